"""What each strategy is asked for: the words of a manifest, and the same for the postcondition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from dpone_certify.certification import seeded
from dpone_certify.certification.document import Volume
from dpone_certify.certification.seeded import AMOUNT, DAY, KEY, LAG, MOMENT, NAME, SEQ, WIDE
from dpone_certify.postconditions.options import Options

CONTENT = (KEY, NAME, AMOUNT, DAY, SEQ, MOMENT, WIDE)
INTERVAL = ("valid_from", "valid_to")
_CHUNKS = 2
_LAG = f"{int(LAG.total_seconds() // 60)}m"


def bounds_of(volume: Volume, *, first: bool) -> tuple[int, int]:
    """The range of a backfill. The second one cuts through the deleted rows and through the new ones."""
    everything = (0, 2 * volume.row_count)
    return everything if first else (volume.deleted // 2 + 1, volume.row_count + volume.inserted // 2 + 1)


def strategy_of(name: str, volume: Volume, *, first: bool, by_cursor: bool = True) -> dict[str, Any]:
    """What stands under `strategy:`; a source that goes on at positions of its own is given no cursor."""
    found = {"mode": name, **_SETTINGS[name], **(_range(volume, first=first) if name == "backfill" else {})}
    return found if by_cursor else {setting: value for setting, value in found.items() if setting != "cursor"}


_KEYED: Mapping[str, Any] = {"key": [KEY]}
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "full_refresh": _KEYED,
    "incremental_append": {"cursor": {"column": SEQ}},
    "incremental_merge": {**_KEYED, "cursor": {"column": MOMENT, "lag": _LAG}},
    "replace": _KEYED,
    "partition_replace": {**_KEYED, "column": DAY, "grain": "month"},
    "snapshot_diff": _KEYED,
    "scd2": _KEYED,
    "backfill": {**_KEYED, "column": KEY},
    "xmin": _KEYED,
    "cdc": _KEYED,
}


def _range(volume: Volume, *, first: bool) -> dict[str, Any]:
    lo, hi = bounds_of(volume, first=first)
    return {"bounds": {"from": lo, "to": hi}, "chunk": volume.row_count // _CHUNKS}


def options_of(name: str, volume: Volume, *, first: bool, at: datetime | None, by_cursor: bool = True) -> Options:
    """What the postcondition is told of the first load, or of the second one; `at` is the time of the load.

    A source without cursors is a log: what was written since is read, and it says which keys are gone.
    """
    asked = Options(CONTENT, (KEY,), first=first, at=at, interval=INTERVAL)
    if not first:
        asked = replace(asked, touched=keys_of(seeded.touched(volume)))
    match name:
        case "incremental_append":
            since = None if first else seeded.greatest_seq(volume) + 1
            return replace(asked, key=(), cursor=SEQ, since=since)
        case "incremental_merge" if not by_cursor:
            return replace(asked, names_deletes=True)
        case "incremental_merge":
            begins = None if first else seeded.greatest_moment(volume) - LAG
            return replace(asked, cursor=MOMENT, since=begins)
        case "partition_replace":
            return replace(asked, slice_column=DAY, grain="month")
        case "backfill":
            return replace(asked, slice_column=KEY, bounds=bounds_of(volume, first=first))
        case _:
            return asked


def keys_of(ids: Iterable[int]) -> frozenset[tuple[object, ...]]:
    return frozenset((n,) for n in ids)
