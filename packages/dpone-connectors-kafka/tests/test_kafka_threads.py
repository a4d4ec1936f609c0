"""What threads of the connector do: an error in one of them ends the run, and JSON that they parse at once is exact."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from dpone.batch import ARROW, Batch
from dpone.connector import StageRef
from dpone.schema import INT64, JSON, STRING, Field
from dpone_kafka import json_rows, staging
from dpone_kafka.json_rows import UnfitError, column_of, read_objects
from dpone_kafka.prepared import Preparation
from dpone_kafka.spills import Spill
from dpone_kafka.staging import SpillWriter

FIELDS = (Field("id", INT64), Field("v", STRING))


@pytest.fixture
def spill() -> Any:
    found = Spill.new("nowhere", "threads")
    yield found
    found.drop()


def _writer(spill: Spill) -> SpillWriter:
    columns: dict[str, Any] = {"id": pa.int64(), "v": pa.string()}
    schema = pa.schema(columns)
    prepared = Preparation(FIELDS, ("id",), content=True, hash=True).to_json()
    payload = {"path": str(spill.path), "schema": schema.serialize().to_pybytes().hex(), "limits": {}}
    return SpillWriter(StageRef(spill.name, {**payload, "prepared": prepared}), "0")


def _batch(first: int, size: int) -> Batch:
    rows = {"id": pa.array(range(first, first + size), pa.int64()), "v": pa.array(["x"] * size)}
    return Batch(ARROW, pa.record_batch(rows), size, size)


def _written(writer: SpillWriter, batches: int) -> None:
    for number in range(batches):
        writer.write(_batch(number, 5))
    writer.close()


def test_all_rows_are_in_the_stage_in_their_order(spill: Spill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_ROWS_AT_ONCE", 10)
    writer = _writer(spill)
    for first in range(0, 95, 5):
        writer.write(_batch(first, 5))
    writer.close()
    table = pa.concat_tables(pa.ipc.open_file(str(part)).read_all() for part in spill.parts())
    assert table.column("id").to_pylist() == list(range(95))
    assert table.column("_dpone_content")[7].as_py() == b'{"id":7,"v":"x"}'


@pytest.mark.parametrize("batches", [1, 3])
def test_an_error_in_the_thread_ends_the_writing_and_leaves_nothing(
    spill: Spill, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    def broken(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr(staging, "_ROWS_AT_ONCE", 5)
    monkeypatch.setattr(Preparation, "columns", broken)
    writer = _writer(spill)
    with pytest.raises(LookupError):
        _written(writer, batches)
    writer.abandon()
    assert not spill.parts()
    assert not list(spill.path.glob("*.open"))


@pytest.mark.parametrize(
    "values",
    [
        [b'{"id":1}\n{"id":2}', b'{"id":', b"3}"],
        [b'{"id":1}\n{"id":2}', b" ", b'{"id":3}'],
        [b'{"id":1}{"id":2}', b"{}", b""],
        [b'{"id":1},', b'{"id":2}'],
    ],
)
def test_objects_that_only_together_are_as_many_as_messages_are_refused(values: list[bytes]) -> None:
    with pytest.raises(UnfitError):
        read_objects(values, FIELDS)


def test_objects_of_several_lines_are_read() -> None:
    (ids, texts) = read_objects([b'{"id":1,\n"v":"a"}', b'{"v":"b",\n\n"id":2}', b"{}"], FIELDS)
    assert ids.to_pylist() == [1, 2, None]
    assert texts.to_pylist() == ["a", "b", None]


def test_a_column_that_is_looked_at_value_by_value_leaves_the_others_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And keeps the digits of its numbers, which a float has not."""
    looked_at: list[str] = []

    def watched(values: Any, field: Field) -> Any:
        looked_at.append(field.name)
        return column_of(values, field)

    monkeypatch.setattr(json_rows, "column_of", watched)
    values = [b'{"v":"a","id":1,"about":{"b":[1.10,null,"\xc3\xa9"]}}', b'{"id":2,"about":7}', b'{"about":null}']
    ids, about, texts = read_objects(values, (FIELDS[0], Field("about", JSON), FIELDS[1]))
    assert looked_at == ["about"]
    assert about.to_pylist() == ['{"b":[1.10,null,"\u00e9"]}', "7", None]
    assert (ids.to_pylist(), texts.to_pylist()) == ([1, 2, None], ["a", None, None])
