"""Tables that keep versions of a row: a ReplacingMergeTree, of which a reader with FINAL sees the newest ones alone.

A load adds rows to such a table and rebuilds no partition: a changed row is a newer version of it, a row that goes is
a version that says so. Two columns of dpone's own hold this; a table that has them under its engine's own arguments is
one of these tables, whatever its columns are called.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dpone.connector import Json, Layout
from dpone.errors import PlanError
from dpone.oracle import Counts
from dpone.plan import reserved_column
from dpone_clickhouse.catalog import DELETED, VERSION, Name
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.rebuilding import Rebuild
from dpone_clickhouse.session import Session

COLUMNS = (VERSION, DELETED)
DEFINITIONS = (
    f"{CLICKHOUSE.quote(VERSION)} UInt64 DEFAULT 1",
    f"{CLICKHOUSE.quote(DELETED)} UInt8 DEFAULT 0",
)
MERGED = {"final": 1}  # every SELECT of the session sees the newest versions alone
UNMERGED = "SETTINGS final = 0"


def wants_versions(options: Mapping[str, Json]) -> bool:
    """A new table keeps versions."""
    return options.get("engine") == "replacing"


def refuse_unkeyed(layout: Layout, options: Mapping[str, Json]) -> None:
    """Raises when it is not known which rows are versions of one."""
    key, order = layout.schema.key, options.get("order_by")
    if not key:
        raise PlanError(
            "a table that keeps versions needs a key, which says what they are versions of",
            code="sink.versions_need_key",
            hint="give the strategy a `key`, or leave out `engine: replacing`",
        )
    if order is not None and set(order) != set(key):
        raise PlanError(
            f"a table that keeps versions is sorted by its key, {', '.join(key)}, and by nothing else",
            code="sink.versions_need_key",
            hint="leave out `order_by`, or name the columns of the key in the order that suits readers",
        )
    if taken := set(layout.schema.names) & set(COLUMNS):
        raise reserved_column(", ".join(sorted(taken)))


def overlay(own: Session, shadow: Name, delta: Name, columns: Sequence[str], made: Rebuild, changed: str) -> Counts:
    """The delta holds what is newer than the shadow's rows; `changed` gives the rows that come back."""
    version = CLICKHOUSE.quote(VERSION)
    newest = int(own.value(f"SELECT ifNull(max({version}), 0) FROM {CLICKHOUSE.table(shadow)} {UNMERGED}"))
    gone = 0 if made.gone is None else int(own.value(f"SELECT count() FROM {made.rows} WHERE {made.gone}"))
    back = 0
    if gone and made.back is None:
        leaving = f"SELECT {CLICKHOUSE.names(columns, 't')} FROM {made.rows} WHERE {made.gone}"
        _add(own, delta, columns, leaving, newest + 1, is_deleted=True)
    elif gone:
        _add(own, delta, columns, changed, newest + 2, is_deleted=False)
        back = gone
    for addition in made.added:
        _add(own, delta, addition.columns, addition.query, newest + 2, is_deleted=False)
    here = f"SELECT count() FROM {CLICKHOUSE.table(delta)} WHERE {version} = {newest + 2} {UNMERGED}"
    return Counts(inserted=int(own.value(here)) - back, updated=back, deleted=gone - back)


def _add(own: Session, into: Name, columns: Sequence[str], query: str, version: int, *, is_deleted: bool) -> None:
    """The rows of the query are added under this version."""
    listed = CLICKHOUSE.names([*COLUMNS, *columns])
    values = query.removeprefix("SELECT ")
    own.run(f"INSERT INTO {CLICKHOUSE.table(into)} ({listed}) SELECT {version}, {int(is_deleted)}, {values}")
