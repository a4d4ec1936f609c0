from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dpone.arrow import record_batch
from dpone.batch import ARROW, Batch
from dpone.connector import Column
from dpone.errors import DataError
from dpone.plan import ChangeKind, ColumnChange, PlannedColumn
from dpone.schema import INT64, STRING, Field, Landing, parse_type
from dpone.transform import through_core
from dpone.where import Compare, Condition, Where

FIELDS = (Field("id", INT64), Field("v", STRING))
CHANGES = (Field("_dpone_seq", INT64), Field("_dpone_change", STRING), Field("_dpone_kept", STRING))


def through(
    values: Mapping[str, Sequence[Any]],
    *,
    where: Where = (),
    fields: tuple[Field, ...] = FIELDS,
    **changes: ColumnChange,
) -> list[dict[str, Any]]:
    columns = [
        PlannedColumn(Column(f.name, f.name), f, f, Landing(""), changes.get(f.name))
        for f in fields
        if not f.name.startswith("_")
    ]
    data = record_batch(values, fields)
    (batch,) = through_core(iter([Batch(ARROW, data, data.num_rows, data.nbytes)]), columns, where)
    assert batch.rows == batch.data.num_rows
    rows: list[dict[str, Any]] = batch.data.to_pylist()
    return rows


def test_a_mask_and_a_hash_hide_values_and_keep_null() -> None:
    rows = through({"id": [1, 2], "v": ["a", None]}, v=ColumnChange(ChangeKind.MASK, "***"))
    assert [r["v"] for r in rows] == ["***", None]
    rows = through({"id": [1, 2], "v": ["a", None]}, v=ColumnChange(ChangeKind.HASH, "sha256"))
    assert [r["v"] for r in rows] == [hashlib.sha256(b"a").hexdigest(), None]


def test_a_cast_that_loses_is_an_error_that_names_the_column() -> None:
    assert through({"id": [1], "v": ["7"]}, v=ColumnChange(ChangeKind.CAST, "int64"))[0]["v"] == 7
    field = (Field("n", parse_type("decimal(9,2)")),)
    with pytest.raises(DataError, match="column n") as caught:
        through({"n": ["1.25"]}, fields=field, n=ColumnChange(ChangeKind.CAST, "int64"))
    assert caught.value.code == "source.value_unfit"


def test_a_value_that_does_not_fit_its_type_is_refused() -> None:
    with pytest.raises(DataError, match="column id"):
        record_batch({"id": [2**63], "v": ["a"]}, FIELDS)


@pytest.mark.parametrize(
    "condition, kept",
    [
        (Condition("v", Compare.EQ, "a"), [1]),
        (Condition("v", Compare.NE, "a"), [2]),
        (Condition("v", Compare.IN, ("a", "b")), [1, 2]),
        (Condition("v", Compare.NOT_IN, ("a",)), [2]),
        (Condition("v", Compare.IS_NULL), [3]),
        (Condition("v", Compare.NOT_NULL), [1, 2]),
        (Condition("id", Compare.GE, 2), [2, 3]),
        (Condition("id", Compare.LT, 2), [1]),
    ],
)
def test_the_filter_agrees_with_the_algebra(condition: Condition, kept: list[int]) -> None:
    rows = through({"id": [1, 2, 3], "v": ["a", "b", None]}, where=(condition,))
    assert [r["id"] for r in rows] == kept


def test_a_change_that_leaves_the_filter_becomes_a_deletion_and_deletions_pass() -> None:
    values: dict[str, list[Any]] = {
        "id": [1, 2, 3], "v": ["in", "out", None],
        "_dpone_seq": [1, 2, 3], "_dpone_change": ["U", "U", "D"], "_dpone_kept": [None, None, None],
    }  # fmt: skip
    rows = through(values, where=(Condition("v", Compare.EQ, "in"),), fields=(*FIELDS, *CHANGES))
    assert [(r["id"], r["_dpone_change"]) for r in rows] == [(1, "U"), (2, "D"), (3, "D")]
    values["_dpone_kept"] = ["01", None, None]
    with pytest.raises(DataError) as caught:
        through(values, where=(Condition("v", Compare.EQ, "in"),), fields=(*FIELDS, *CHANGES))
    assert caught.value.code == "source.partial_filtered"
