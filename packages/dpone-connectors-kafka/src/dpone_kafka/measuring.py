"""The answers of rows in Arrow to a probe, computed by column; sums are exact."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal, localcontext
from typing import Any, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from dpone.probes import Beyond, Duplicates, Greatest, Least, Measure, Measurement, Nulls, Outside, Probe, Rows, Total
from dpone.schema import Field, Schema
from dpone.stage import canonical
from dpone.transform import mask_of
from dpone.where import Compare, Condition, Where
from dpone_kafka.json_text import json_objects
from dpone_kafka.values import arrow_column, is_text_of_number, python_values

_EXACT = Context(prec=10_000, traps=[])
_WIDE = 76
_LONGEST_INT = 20


def measure(table: pa.Table, schema: Schema, probe: Probe) -> Measurement:
    """One answer for each measure."""
    (batch,) = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
    return {asked: _answer(batch, schema, asked) for asked in probe}


def adds_up(probe: Probe) -> bool:
    """Whether the answers over all rows follow from those over each batch."""
    return not any(isinstance(asked, Duplicates) for asked in probe)


def measured(batches: Iterable[pa.RecordBatch], schema: Schema, probe: Probe) -> Measurement:
    """One answer for each measure, over rows that come a batch at a time; see `adds_up`."""
    found: dict[Measure, Any] = dict(measure(empty(schema), schema, probe))
    for batch in batches:
        for asked in probe:
            found[asked] = _together(asked, found[asked], _answer(batch, schema, asked))
    return found


def _together(asked: Measure, one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    match asked:
        case Least():
            return min(one, other)
        case Greatest():
            return max(one, other)
        case _:
            with localcontext(_EXACT):
                return one + other


def _answer(batch: pa.RecordBatch, schema: Schema, asked: Measure) -> object:
    match asked:
        case Rows(where=where):
            return batch.num_rows if not where else int(pc.sum(_mask(batch, schema, where)).as_py() or 0)
        case Nulls(column=column):
            return batch.column(column).null_count
        case Duplicates(columns=columns):
            return _duplicates(batch, schema, columns)
        case Outside(column=column, values=values):
            allowed = {canonical(v) for v in values}
            held = _held(batch, schema[column])
            return sum(canonical(v) not in allowed for v in held)
        case Beyond(column=column, lo=lo, hi=hi):
            where = (Condition(column, Compare.GE, lo), Condition(column, Compare.LT, hi))
            return batch.num_rows - int(pc.sum(_mask(batch, schema, where)).as_py() or 0)
        case Least(column=column):
            return min(_ends(batch, schema[column]), default=None)
        case Greatest(column=column):
            return max(_ends(batch, schema[column]), default=None)
        case Total(column=column):
            return _total(batch.column(column), schema[column])
        case _:
            assert_never(asked)


def _mask(batch: pa.RecordBatch, schema: Schema, where: Where) -> Any:
    """True for each row that matches. Numbers that travel as text are looked at one by one."""
    if any(is_text_of_number(schema[c.column].type) for c in where):
        from dpone.where import matches

        names = {c.column for c in where}
        columns = {name: python_values(batch.column(name), schema[name].type) for name in names}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return pa.array([matches(row, where) for row in rows], pa.bool_())
    return mask_of(batch, where)


def _held(batch: pa.RecordBatch, field: Field) -> list[Any]:
    return list(python_values(pc.drop_null(batch.column(field.name)), field.type))


def _ends(batch: pa.RecordBatch, field: Field) -> list[Any]:
    """The least and the greatest value, where there is one."""
    column = pc.drop_null(batch.column(field.name))
    if not len(column):
        return []
    if is_text_of_number(field.type):
        return python_values(column, field.type)
    ends = pc.min_max(column)
    return python_values(pa.array([ends["min"].as_py(), ends["max"].as_py()], column.type), field.type)


def _total(column: Any, field: Field) -> Decimal | None:
    if column.null_count == len(column):
        return None
    if is_text_of_number(field.type) or pa.types.is_floating(column.type):
        with localcontext(_EXACT):
            return sum((Decimal(v) for v in python_values(pc.drop_null(column), field.type)), Decimal(0))
    scale = column.type.scale if pa.types.is_decimal(column.type) else 0
    if pa.types.is_integer(column.type):
        column = pc.cast(column, pa.decimal128(_LONGEST_INT, 0))
    found: Decimal = pc.sum(pc.cast(column, pa.decimal256(_WIDE, scale))).as_py()
    return found


def _duplicates(batch: pa.RecordBatch, schema: Schema, columns: tuple[str, ...]) -> int:
    fields = [schema[name] for name in columns]
    whole = batch
    for name in columns:
        whole = whole.filter(pc.is_valid(whole.column(name)))
    keys = json_objects([whole.column(name) for name in columns], fields)
    return len(keys) - len(pc.unique(keys))


def empty(fields: Schema) -> pa.Table:
    return pa.table({f.name: arrow_column([], f.type) for f in fields})
