"""How many rows a case moves, which of them change, and how many must be there afterwards."""

from __future__ import annotations

from dpone.errors import UsageError
from dpone_certify.certification.document import Volume

ROWS, CHANGED, DELETED, SEED = 10_000, 0.20, 0.05, 20_260_601
WIDE_COLUMNS = 120
_LEAST = 20  # rows: fewer leave no row on one side of some bound


def volume_of(
    row_count: int = ROWS, change_ratio: float = CHANGED, delete_ratio: float = DELETED, seed: int = SEED
) -> Volume:
    """Of the changed rows the deleted ones are told; a third of the others is new, two thirds are updated.

    Ids 1 to `deleted` are deleted, the `updated` ones after them updated; new ones follow the greatest.
    """
    changed, deleted = round(row_count * change_ratio), round(row_count * delete_ratio)
    inserted = (changed - deleted) // 3
    updated = changed - deleted - inserted
    if row_count < _LEAST or min(deleted, inserted, updated) < 1 or deleted + updated > row_count // 2:
        raise UsageError(
            f"{row_count} rows of which {changed} change and {deleted} are deleted leave too few on one side",
            code="certification.invalid_volume",
            hint=f"at least {_LEAST} rows; more rows change than are deleted, and less than half of all",
        )
    return Volume(
        row_count=row_count,
        changed=changed,
        deleted=deleted,
        updated=updated,
        inserted=inserted,
        wide_columns=WIDE_COLUMNS,
        change_ratio=change_ratio,
        delete_ratio=delete_ratio,
        seed=seed,
    )


def rows_expected(strategy: str, volume: Volume, *, by_cursor: bool = True) -> int | None:
    """The rows of the target after both loads; None where it depends on how the source is cut into slices."""
    if strategy == "incremental_merge" and not by_cursor:
        strategy = "cdc"  # a log says which keys are gone
    whole = volume.row_count - volume.deleted + volume.inserted
    match strategy:
        case "full_refresh" | "replace" | "snapshot_diff" | "cdc":
            return whole
        case "incremental_merge" | "xmin":  # deletes are not seen
            return whole + volume.deleted
        case "incremental_append" | "scd2":  # a changed row is one more; of a history, the old versions stay
            return volume.row_count + volume.updated + volume.inserted
        case _:
            return None


def versions_closed(volume: Volume) -> int:
    """The versions of scd2 that have ended after both loads."""
    return volume.updated + volume.deleted
