"""What a comparison found, as a document: `dpone.diff.v1`, in text for people and in JSON for gates.

`python -m dpone.diff.report docs/reference/schemas/diff.schema.json` publishes its schema.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from dpone.evidence.canonical import canonical
from dpone.evidence.document import Blocker, Document, Part

SCHEMA_VERSION: Literal["dpone.diff.v1"] = "dpone.diff.v1"

KeyValues = Mapping[str, bool | int | float | str | None]


class Both(Part):
    """A number of each end."""

    source: int
    target: int


class Range(Part):
    """The least and the greatest value of a column at each end."""

    column: str
    source: tuple[int | None, int | None]
    target: tuple[int | None, int | None]


class Differing(Part):
    """A key that both ends have with unlike rows; `columns` are those that differ, where one row stands against one."""

    key: KeyValues
    columns: tuple[str, ...]


class StreamDiff(Part):
    """One stream. `keys` are listed up to the limit; `complete` is false where the search ended there."""

    name: str
    source: str
    sink: str
    strategy: str
    comparable: str
    method: Literal["checksums", "rows"]
    why_rows: tuple[str, ...] = ()  # why all rows had to be read
    columns: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    columns_absent: tuple[str, ...] = ()
    key: tuple[str, ...]
    key_range: Range | None = None
    rows: Both
    segments_compared: int = 0
    segments_differing: int = 0
    rows_fetched: Both
    bytes_fetched: Both
    missing: tuple[KeyValues, ...] = ()
    extra: tuple[KeyValues, ...] = ()
    different: tuple[Differing, ...] = ()
    waiting: int = 0  # keys that the next run reads in any case
    kept: int = 0  # keys that the strategy or the manifest leaves in the target
    kept_because: str | None = None
    complete: bool = True
    steady: bool | None = True  # null: nobody can tell whether rows came or went meanwhile
    equal: bool
    seconds: float


class DiffReport(Document):
    """All streams. It passes when every one of them is equal."""

    schema_version: Literal["dpone.diff.v1"] = SCHEMA_VERSION
    manifest: str
    streams: tuple[StreamDiff, ...]

    def to_text(self) -> str:
        """As a person reads it."""
        return "\n".join(line for stream in self.streams for line in _lines(stream))


def blockers_of(stream: StreamDiff) -> list[Blocker]:
    """Why the stream is not equal."""
    found = []
    if stream.columns_absent:
        absent = ", ".join(stream.columns_absent)
        found.append(Blocker(code=f"diff.columns_absent:{stream.name}", message=absent, action="run the manifest"))
    if count := len(stream.missing) + len(stream.extra) + len(stream.different):
        message = f"{'' if stream.complete else 'at least '}{count} keys differ"
        found.append(Blocker(code=f"diff.rows_differ:{stream.name}", message=message, action="land them anew"))
    if stream.steady is False:
        message = "rows came or went while they were compared"
        found.append(Blocker(code=f"diff.not_steady:{stream.name}", message=message, action="compare again"))
    return found


_SHOWN = 20


def _lines(stream: StreamDiff) -> list[str]:
    verdict = "equal" if stream.equal else "different"
    lines = [
        f"{stream.name}: {verdict}; {stream.strategy}, {stream.source} -> {stream.sink}",
        f"  comparable  {stream.comparable}",
        f"  rows        {stream.rows.source:,} at the source, {stream.rows.target:,} in the target",
    ]
    if (limits := stream.key_range) is not None:
        source, target = _reach(limits.source), _reach(limits.target)
        lines.append(f"  {limits.column:<10}  {source} at the source, {target} in the target")
    if stream.method == "checksums":
        lines.append(f"  segments    {stream.segments_compared:,} compared, {stream.segments_differing:,} differing")
    else:
        lines += [f"  all rows were read: {why}" for why in stream.why_rows]
    fetched, size = stream.rows_fetched, stream.bytes_fetched
    lines.append(
        f"  fetched     {fetched.source + fetched.target:,} rows, {size.source + size.target:,} bytes "
        f"in {stream.seconds:.2f} s"
    )
    if stream.skipped:
        lines.append(f"  not compared: {', '.join(stream.skipped)}")
    if stream.columns_absent:
        lines.append(f"  the target has no {', '.join(stream.columns_absent)}")
    lines += _keys("missing", [(key, ()) for key in stream.missing])
    lines += _keys("extra", [(key, ()) for key in stream.extra])
    lines += _keys("different", [(d.key, d.columns) for d in stream.different])
    if not stream.complete:
        lines.append("  the search ended here; --limit 0 finds all")
    if stream.waiting:
        lines.append(f"  {stream.waiting:,} keys wait for the next run")
    if stream.kept:
        lines.append(f"  {stream.kept:,} keys are in the target alone: {stream.kept_because}")
    if stream.steady is False:
        lines.append("  rows came or went while they were compared: compare again")
    return lines


def _reach(limits: tuple[int | None, int | None]) -> str:
    least, greatest = limits
    return "nothing" if least is None else f"{least}..{greatest}"


def _keys(title: str, found: list[tuple[KeyValues, tuple[str, ...]]]) -> list[str]:
    lines = []
    for key, columns in found[:_SHOWN]:
        values = ", ".join(f"{name}={'NULL' if value is None else value}" for name, value in key.items())
        lines.append(f"  {title:<10}  {values}" + (f"  ({', '.join(columns)})" if columns else ""))
    if len(found) > _SHOWN:
        lines.append(f"  {title:<10}  ... {len(found):,} in all; --format json lists them")
    return lines


def print_schema() -> str:
    """The JSON Schema of the document, as it is published."""
    found = DiffReport.model_json_schema(mode="serialization")
    return canonical({"$schema": "https://json-schema.org/draft/2020-12/schema", **found})


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(print_schema(), encoding="utf-8")
