"""What core does to rows on their way when it is asked to: casts, masks, hashes, filters a source cannot apply."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.arrow import arrow_type, unfit
from dpone.batch import ARROW, Batch
from dpone.connector import CHANGE_FIELDS
from dpone.errors import DataError
from dpone.plan import ChangeKind, ColumnChange, PlannedColumn
from dpone.schema import Field, parse_type
from dpone.stage import ChangeKind as Change
from dpone.where import Compare, Condition, Where

UPSERT, DELETE = Change.UPSERT.value, Change.DELETE.value


def through_core(batches: Iterator[Batch], columns: Sequence[PlannedColumn], where: Where) -> Iterator[Batch]:
    """The same batches with columns changed and rows that do not match left out; change columns pass as they are."""
    for batch in batches:
        data: pa.RecordBatch = batch.data
        if where:
            data = _filtered(data, where)
        for index, column in enumerate(columns):
            if column.change is not None:
                values = _change(data.column(index), column.field, column.change)
                data = data.set_column(index, pa.field(column.field.name, values.type), values)
        yield Batch(ARROW, data, data.num_rows, data.nbytes)


def _filtered(data: pa.RecordBatch, where: Where) -> pa.RecordBatch:
    """The rows that match; a change that takes a row out of the filter becomes its deletion; deletions pass."""
    matching = mask_of(data, where)
    _, kind, kept = CHANGE_FIELDS
    if kind not in data.schema.names:
        return data.filter(matching)
    partial = pc.is_valid(data.column(kept))
    if pc.any(partial).as_py():
        raise DataError(
            "a change without all its columns cannot be filtered on its way",
            code="source.partial_filtered",
            hint="set REPLICA IDENTITY FULL on the source table, or drop the `where`",
        )
    upsert = pc.equal(data.column(kind), pa.scalar(UPSERT))
    leaves = pc.and_(upsert, pc.invert(matching))
    kinds = pc.if_else(leaves, pa.scalar(DELETE), data.column(kind))
    return data.set_column(data.schema.get_field_index(kind), kind, kinds)


def _change(values: pa.Array[Any], field: Field, change: ColumnChange) -> pa.Array[Any]:
    match change.kind:
        case ChangeKind.CAST:
            try:
                cast: pa.Array[Any] = pc.cast(values, arrow_type(parse_type(change.to)), safe=True)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise unfit(field, error) from None
            return cast
        case ChangeKind.MASK:
            masked: pa.Array[Any] = pc.if_else(pc.is_null(values), pa.scalar(None, pa.string()), pa.scalar(change.to))
            return masked
        case ChangeKind.HASH:
            digest = _digest(change.to)
            plain = values if values.type in (pa.binary(), pa.string()) else pc.cast(values, pa.string())
            return pa.array([None if v is None else digest(v) for v in plain.to_pylist()], pa.string())


def _digest(algorithm: str) -> Callable[[str | bytes], str]:
    return lambda value: hashlib.new(algorithm, value if isinstance(value, bytes) else value.encode()).hexdigest()


_ORDER = {
    Compare.EQ: pc.equal,
    Compare.NE: pc.not_equal,
    Compare.LT: pc.less,
    Compare.LE: pc.less_equal,
    Compare.GT: pc.greater,
    Compare.GE: pc.greater_equal,
}


def mask_of(data: pa.RecordBatch, where: Where) -> pa.Array[Any]:
    """True for each row that matches; a comparison with NULL is not a match."""
    keep = pa.array([True] * data.num_rows, pa.bool_())
    for condition in where:
        holds: Any = pc.fill_null(_holds(data.column(condition.column), condition), pa.scalar(False))
        keep = pc.and_(keep, holds)
    return keep


def _holds(values: pa.Array[Any], condition: Condition) -> pa.Array[Any]:
    match condition.op:
        case Compare.IS_NULL:
            return pc.is_null(values)
        case Compare.NOT_NULL:
            return pc.is_valid(values)
        case Compare.NE if condition.value is None:  # as `dpone.where` has it: nothing equals NULL
            return pc.is_valid(values)
        case Compare.IN | Compare.NOT_IN:
            assert isinstance(condition.value, tuple)
            listed = pa.array(condition.value, values.type)
            if pa.types.is_floating(values.type):  # is_in compares bits, and zero has two signs
                values, listed = (pc.add(pc.cast(part, pa.float64()), 0.0) for part in (values, listed))
            found = pc.and_(pc.is_in(values, listed), pc.is_valid(values))
            return found if condition.op is Compare.IN else pc.and_(pc.invert(found), pc.is_valid(values))
        case _:
            return _ORDER[condition.op](values, pa.scalar(condition.value, values.type))
