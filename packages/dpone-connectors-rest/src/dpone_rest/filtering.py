"""The rows of a batch that match a filter, column by column; numbers that travel as text are compared as numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.schema import Kind, Schema
from dpone.transform import mask_of
from dpone.where import Condition, Where, matches


def matching(batch: pa.RecordBatch, where: Where, schema: Schema) -> pa.RecordBatch:
    """The rows for which every condition is true."""
    keep: Any = None
    for condition in where:
        found = _mask(batch, condition, schema)
        keep = found if keep is None else pc.and_(keep, found)
    return batch if keep is None else batch.filter(keep)


def _mask(batch: pa.RecordBatch, condition: Condition, schema: Schema) -> pa.Array[Any]:
    of = schema[condition.column].type
    column = batch.column(condition.column)
    if of.kind in {Kind.INT, Kind.UINT, Kind.DECIMAL} and pa.types.is_string(column.type):
        name = condition.column
        rows = ({name: None if text is None else Decimal(text)} for text in column.to_pylist())
        return pa.array([matches(row, (condition,)) for row in rows], pa.bool_())
    return mask_of(batch, (condition,))
