from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.arrow import record_batch
from dpone.batch import ARROW, Batch
from dpone.connector import Column
from dpone.errors import DataError
from dpone.plan import ChangeKind, ColumnChange, PlannedColumn
from dpone.schema import FLOAT64, INT64, STRING, Field, Landing, Type, parse_type
from dpone.transform import mask_of, through_core
from dpone.where import ORDERED, Compare, Condition, Where, is_nan, matches

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


_VALUES: dict[Type, list[Any]] = {
    FLOAT64: [None, float("nan"), float("-inf"), -0.0, 0.0, 1.5, float("inf")],
    INT64: [None, -1, 0, 7],
    parse_type("decimal(9,2)"): [None, Decimal("-1.50"), Decimal(0), Decimal("1.5")],
    STRING: [None, "", "a", "NaN"],
}
_ASKED = st.sampled_from(list(_VALUES)).flatmap(
    lambda of: st.tuples(
        st.just(of),
        st.sampled_from(list(Compare)).flatmap(
            lambda op: st.builds(
                Condition,
                st.just("c"),
                st.just(op),
                st.none()
                if op in {Compare.IS_NULL, Compare.NOT_NULL}
                else st.lists(st.sampled_from(_numbers(of)), max_size=3).map(tuple)
                if op in {Compare.IN, Compare.NOT_IN}
                else st.sampled_from([v for v in _numbers(of) if v is not None or op not in ORDERED]),
            )
        ),
    )
)


def _numbers(of: Type) -> list[Any]:
    """What a filter may compare with."""
    return [v for v in _VALUES[of] if not is_nan(v)]


@given(_ASKED)
def test_rows_are_filtered_in_arrow_as_the_algebra_says(asked: tuple[Type, Condition]) -> None:
    of, condition = asked
    data = record_batch({"c": _VALUES[of]}, (Field("c", of),))
    assert mask_of(data, (condition,)).to_pylist() == [matches({"c": v}, (condition,)) for v in _VALUES[of]]


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
