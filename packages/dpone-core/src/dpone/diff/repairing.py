"""Differences are mended by `dpone resync` of the keys that differ: nothing is written in any other way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dpone.api import REPLAYS, loaded, resync
from dpone.diff.report import DiffReport, KeyValues, StreamDiff
from dpone.errors import DataError, UsageError
from dpone.manifest import Manifest
from dpone.replay.evidence import ReplayEvidence
from dpone.replay.scope import Keys


def repair(
    manifest: str | Path | Manifest,
    report: DiffReport,
    *,
    select: Sequence[str] = (),
    yes: bool,
    artifact_dir: Path = REPLAYS,
) -> Iterator[ReplayEvidence]:
    """The evidence of each stream's resync, one after another; without `yes` what each would do, and nothing done."""
    keys = {s.name: tuple(s.strategy.setting("key") or ()) for s in loaded(manifest, select).streams}
    scopes = [(stream.name, _scope(stream, keys[stream.name])) for stream in report.streams if _differing(stream)]
    for name, scope in scopes:
        yield resync(manifest, scope, select=(name,), yes=yes, artifact_dir=artifact_dir)


def _differing(stream: StreamDiff) -> list[KeyValues]:
    return [*stream.missing, *stream.extra, *(found.key for found in stream.different)]


def _scope(stream: StreamDiff, key: tuple[str, ...]) -> Keys:
    if not stream.complete:
        raise DataError(
            f"{stream.name}: the search ended before all differing keys were found",
            code="diff.incomplete",
            hint="find all with --limit 0, or land the whole table again: dpone resync --all",
        )
    if key and set(key) != set(stream.key):
        raise UsageError(
            f"{stream.name} was compared by {', '.join(stream.key)}, and is landed again by {', '.join(key)}",
            code="diff.other_key",
            hint="repair without --key",
        )
    return Keys(tuple(tuple(found[name] for name in key or stream.key) for found in _differing(stream)))
