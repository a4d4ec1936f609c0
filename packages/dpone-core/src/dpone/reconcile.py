"""What a target must add up to after a program, and the comparison that refuses a difference before it is committed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from dpone.connector import Layout
from dpone.errors import DataError
from dpone.ops import DeleteAbsent, Hard, Program, Recreate, ReplaceAll, Upsert
from dpone.oracle import Counts
from dpone.probes import Greatest, Least, Measure, Measurement, Nulls, Probe, Rows, Total
from dpone.schema import Kind

_SUMMED = frozenset({Kind.INT, Kind.UINT, Kind.DECIMAL})
_RANGED = frozenset({*_SUMMED, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})


def refuse_wrong_count(before: int, counts: Sequence[Counts], after: int) -> None:
    """Raises when rows after is not rows before plus inserted less deleted."""
    done = sum(counts, Counts())
    expected = before + done.inserted - done.deleted
    if after != expected:
        raise DataError(
            f"the target would hold {after} rows, but {before} + {done.inserted} - {done.deleted} is {expected}",
            code="reconcile.rows_differ",
            hint="nothing was published; another writer, a trigger or a fault of the sink changed the count",
        )


def reflects_stage(program: Program) -> bool:
    """True when the target holds exactly the staged rows after the program."""
    match program:
        case (Recreate(),) | (ReplaceAll(where=()),):
            return True
        case (DeleteAbsent(how=Hard(), within=()), Upsert(newer=None)):
            return True
        case _:
            return False


def profile_of(layout: Layout, columns: Sequence[str]) -> Probe:
    """Count, NULLs of each column, the range of the key, exact sums of numbers."""
    measures: list[Measure] = [Rows()]
    for name in columns:
        field = layout.schema[name]
        if field.nullable:
            measures.append(Nulls(name))
        if field.type.kind in _SUMMED:
            measures.append(Total(name))
        if name in layout.schema.key and field.type.kind in _RANGED:
            measures += [Least(name), Greatest(name)]
    return tuple(measures)


def refuse_difference(staged: Measurement, landed: Measurement) -> None:
    """Raises when the profile of the target is not that of the stage."""
    for measure, expected in staged.items():
        found = landed[measure]
        if _comparable(found) != _comparable(expected):
            raise DataError(
                f"{measure} is {found} in the target and {expected} in the stage",
                code="reconcile.profile_differs",
                hint="nothing was published; report the two ends and the column's type",
            )


def _comparable(value: object) -> object:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        number = Decimal(str(value))
        return "NaN" if number.is_nan() else number
    return value
