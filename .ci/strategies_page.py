"""Writes docs/reference/strategies.md: what each strategy does to a table, drawn by carrying it out on the oracle.

`python .ci/strategies_page.py` writes the page; a test compares it with what this module makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
from dpone.ops import Grain, Guard
from dpone.oracle import Table, apply
from dpone.stage import Change, ChangeKind, Sealing, seal
from dpone.strategies import STRATEGIES, Load

PAGE = Path(__file__).parents[1] / "docs/reference/strategies.md"
AT = datetime(2026, 6, 3, 4, tzinfo=UTC)
COLUMNS = ("id", "state", "day")
Row = dict[str, Any]


def row(number: int, state: str, day: int) -> Row:
    return {"id": number, "state": state, "day": date(2026, 6, day)}


BEFORE = [row(1, "open", 1), row(2, "open", 1), row(3, "paid", 2)]
SOURCE = [row(1, "paid", 2), row(3, "paid", 2), row(4, "open", 2)]  # 1 changed, 2 is gone, 4 is new
LOOSE = Guard(max_removed_share=1.0)

HEAD = """\
# Strategies

A strategy is what a manifest says under `strategy: {mode: ...}`. Each is a short program of operations, which every
sink carries out in its own words. The pictures below are not drawn by hand: each is what the program does to this
target when the source has become this, carried out by the oracle that certification compares every engine with
(`python .ci/strategies_page.py`).
"""
ENDS = """\
One row changed (1), one is gone (2), one is the same (3), one is new (4).

## Which one?

| if | then |
|---|---|
| the table is small, or its history does not matter | `full_refresh` |
| the target has views, grants or other readers of its own | `replace` |
| rows are only ever added | `incremental_append` |
| rows change, and a column says when | `incremental_merge` |
| rows change or vanish, and nothing says so | `snapshot_diff` |
| every earlier value must be kept | `scd2` |
| days, or other slices, are delivered anew | `partition_replace` |
| a long past is loaded once, in parts | `backfill` |
| the source is PostgreSQL and no column says when | `xmin` |
| deletes must follow at once, and the source keeps a log | `cdc` |

Every strategy creates a target that is absent. A load that would remove more than half of the rows, or all of them, is
stopped (`guard.removed_share`, `guard.empty`) unless the manifest allows it.
"""


@dataclass(frozen=True)
class Scene:
    """What one strategy reads in the story of this page, and how its load is declared."""

    words: str
    load: dict[str, Any]
    staged: Sequence[Change]
    key: tuple[str, ...] = ("id",)
    changes: bool = False
    before: Sequence[Row] = tuple(BEFORE)


def upserts(rows: Sequence[Row]) -> list[Change]:
    return [Change(r, ChangeKind.UPSERT, seq) for seq, r in enumerate(rows)]


OPEN = [{**r, "valid_from": datetime(2026, 6, 2, 4, tzinfo=UTC), "valid_to": None} for r in BEFORE]
SCENES = {
    "full_refresh": Scene("The target becomes what the source is, columns and rows.", {}, upserts(SOURCE)),
    "incremental_append": Scene(
        "Rows since the stored position are added, those whose key is there left out. Nothing is changed or removed.",
        {},
        upserts([SOURCE[0], SOURCE[2]]),
    ),
    "incremental_merge": Scene(
        "Rows since the stored position are added, or exchanged where their content differs. A row that is gone\n"
        "leaves no trace for a cursor, so it stays.",
        {},
        upserts([SOURCE[0], SOURCE[2]]),
    ),
    "replace": Scene(
        "The rows are exchanged; the table itself, its grants, indexes and views stay.",
        {},
        upserts(SOURCE),
    ),
    "partition_replace": Scene(
        "The slices that the source holds are exchanged, here days; all others stay. The source holds the second of\n"
        "June alone, so row 2 stays, and so does the old row 1 of the first of June.",
        {"slice_column": "day", "grain": Grain.DAY},
        upserts(SOURCE),
        key=(),
    ),
    "snapshot_diff": Scene(
        "All rows are read, and only the differences written. With `deletes: soft` row 2 is flagged, not removed.",
        {},
        upserts(SOURCE),
    ),
    "scd2": Scene(
        "A changed row's version is closed and a new one opened; so is that of a row that is gone.",
        {"compare": ("state", "day")},
        upserts(SOURCE),
        before=tuple(OPEN),
    ),
    "backfill": Scene(
        "One range is exchanged, chunk by chunk: here ids from 1 up to 3, so that rows 3 and 4 are another chunk's.",
        {"slice_column": "id", "bounds": (1, 3)},
        upserts([SOURCE[0]]),
        key=(),
    ),
    "xmin": Scene(
        "Rows written since the last run, by PostgreSQL's own row versions. With `reconcile: true` the keys of all\n"
        "rows are read as well, so that what is gone is removed.",
        {"reconcile": True},
        [*upserts([SOURCE[0], SOURCE[2]]), *(Change(r, ChangeKind.PRESENT) for r in SOURCE)],
    ),
    "cdc": Scene(
        "Every insert, update, delete and TRUNCATE since the confirmed position of the source's log, in order.",
        {},
        [
            Change(SOURCE[0], ChangeKind.UPSERT, 1),
            Change({"id": 2}, ChangeKind.DELETE, 2),
            Change(SOURCE[2], ChangeKind.UPSERT, 3),
        ],
        changes=True,
    ),
}


def table(rows: Sequence[Row], mark: dict[int, str] | None = None) -> str:
    """The rows as Markdown; a mark stands in a column of its own."""
    names = list(dict.fromkeys(name for r in rows for name in r))
    head = [*names, *([""] if mark else [])]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in rows:
        cells = [shown(r.get(name)) for name in names]
        lines.append("| " + " | ".join([*cells, *([mark.get(id(r), "")] if mark else [])]) + " |")
    return "\n".join(lines)


def shown(value: object) -> str:
    match value:
        case None:
            return "·"
        case datetime():
            return value.strftime("%d %B, %H:%M").lstrip("0")
        case date():
            return value.strftime("%d %B").lstrip("0")
        case _:
            return str(value)


def outcome(name: str, scene: Scene) -> tuple[list[Row], str, str]:
    """The target afterwards, what was done by the oracle's count, and the program."""
    strategy = STRATEGIES[name]
    key = scene.key
    load = Load("load-2", AT, COLUMNS, key=key, first=False, guard=LOOSE, **scene.load)
    program = strategy.program(load)
    sealed = seal(scene.staged, Sealing(columns=COLUMNS, key=key, changes=scene.changes))
    after, counts = apply(program, Table(COLUMNS, tuple(scene.before)), sealed)
    done = f"{counts.inserted} inserted, {counts.updated} updated, {counts.deleted} deleted"
    rows = sorted((dict(r) for r in after.rows), key=lambda r: (r["id"], str(r.get("valid_from"))))
    return rows, done, ", ".join(type(op).__name__ for op in program)


def marks(before: Sequence[Row], after: Sequence[Row]) -> dict[int, str]:
    """What is to be said beside a row of the target: new, or changed."""
    said = {}
    known = {r["id"] for r in before}
    for r in after:
        if r not in before:
            said[id(r)] = "new" if r["id"] not in known else "changed"
    return said


def pairs(name: str) -> str:
    cases = [case for case in DEFAULT_INTEGRATION_MATRIX.cases if case.strategy == name]
    sources = ", ".join(dict.fromkeys(case.source for case in cases))
    sinks = ", ".join(dict.fromkeys(case.sink for case in cases))
    return f"For {len(cases)} pairs: from {sources} into {sinks}"


def page() -> str:
    """The page."""
    parts = [HEAD, "| the target was | the source has become |\n|---|---|\n" + beside(BEFORE, SOURCE), ENDS]
    for name in STRATEGIES:
        scene = SCENES[name]
        after, done, program = outcome(name, scene)
        parts += [
            f"## {name}",
            scene.words,
            table(after, marks(list(scene.before), after) or {0: ""}),
            f"Operations: {program}. {done}.\n\n{pairs(name)}.",
        ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def beside(left: Sequence[Row], right: Sequence[Row]) -> str:
    """Two tables of three rows in one."""
    return "\n".join(
        "| " + " | ".join(" ".join(f"`{shown(v)}`" for v in r.values()) for r in two) + " |"
        for two in zip(left, right, strict=True)
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
