"""Bugs in the default rendering and in the rendered sealing: the oracle must contradict them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from algebra.seams import Bug, around, dialect, put, text
from dpone import stage
from dpone.ops import Absent, Flag, Grain, Hard
from dpone.sql import operations, perform, questions, rehearsal, seal, statement
from dpone.sql.sqlite import SqliteDialect
from dpone.where import Compare


def _without_condition(honest: Callable[..., Any], load: Any, way: Any, condition: str = "", system: Any = None) -> Any:
    return honest(load, way, "", system)


def _flag_removes(honest: Callable[..., Any], gone: str, how: Any, load: Any, way: Any) -> Any:
    return honest(gone, Hard() if isinstance(how, Flag) else how, load, way)


def _null_unsafe(_self: SqliteDialect, left: str, right: str, _of: object = None) -> str:
    return f"{left} <> {right}"


def _nulls_listed(self: SqliteDialect, expression: str, values: tuple[object, ...], of: Any, *, inside: bool) -> str:
    return f"{expression} {'IN' if inside else 'NOT IN'} ({', '.join(self.literal(v, of) for v in values)})"


def _load_with(**changed: Any) -> Callable[..., object]:
    return lambda honest, op, load, way: honest(op, replace(load, **changed), way)


def _strictly_less(honest: Callable[..., str], self: SqliteDialect, column: str, condition: Any, of: Any = None) -> str:
    return honest(self, column, replace(condition, op=Compare.LT) if condition.op is Compare.LE else condition, of)


IN_RENDERING = (
    Bug("an upsert inserts every live row", ("snapshot_diff",), around(operations, "fill", _without_condition)),
    Bug("an upsert exchanges equal rows", ("snapshot_diff",), put(operations, "superseded", lambda *_: "1 = 1")),
    Bug("differences from NULL are not seen", ("snapshot_diff",), dialect("differs", _null_unsafe)),
    Bug("older rows win", ("snapshot_diff",), text(operations, "superseded", ">=", "<=")),
    Bug("equally old rows lose", ("snapshot_diff",), text(operations, "superseded", ">=", ">")),
    Bug("the mask of partial rows is ignored", ("cdc",), put(operations, "kept", lambda *_: "1 = 0")),
    Bug(
        "the mask is read one column late",
        ("cdc",),
        around(SqliteDialect, "one_character", lambda h, s, e, p: h(s, e, p + 1)),
    ),
    Bug(
        "the flag is not cleared",
        ("cdc",),
        text(operations, "upsert", '"deleted at" = NULL', '"deleted at" = t."deleted at"'),
    ),
    Bug("a flag removes the row", ("snapshot_diff",), around(operations, "_remove", _flag_removes)),
    Bug("a flag is set again", ("snapshot_diff",), text(operations, "_remove", 't."deleted at" IS NULL AND', "")),
    Bug("dead keys are not deleted", ("cdc",), put(operations, "delete_keys", lambda *_: ())),
    Bug("absent keys are not deleted", ("snapshot_diff",), put(operations, "delete_absent", lambda *_: ())),
    Bug(
        "the truncate of the source is not carried out",
        ("cdc",),
        around(operations, "delete_keys", _load_with(cleared=False)),
    ),
    Bug("present keys are deleted", ("xmin",), around(operations, "absent", _load_with(present=None))),
    Bug(
        "rows outside the read are deleted",
        ("snapshot_diff",),
        around(operations, "absent", lambda h, op, load, way: h(replace(op, within=()), load, way)),
    ),
    Bug(
        "replace leaves its filter out",
        ("replace",),
        around(operations, "replace_all", lambda h, op, load, way: h(replace(op, where=()), load, way)),
    ),
    Bug("the range includes its end", ("backfill",), text(operations, "in_slice", " < ", " <= ")),
    Bug("the range excludes its start", ("backfill",), text(operations, "in_slice", " >= ", " > ")),
    Bug(
        "days are cut as months",
        ("partition_replace",),
        around(SqliteDialect, "truncate", lambda h, s, e, g, of: h(s, e, Grain.MONTH if g is Grain.DAY else g, of)),
    ),
    Bug("the ledger is not asked", ("incremental_append",), around(operations, "append", _load_with(ledger=None))),
    Bug("versions are closed and not opened", ("scd2",), around(operations, "version", lambda h, *a: h(*a)[:1])),
    Bug("versions are opened and not closed", ("scd2",), around(operations, "version", lambda h, *a: h(*a)[1:])),
    Bug(
        "closed versions hide the open one", ("scd2",), text(operations, "version", ' AND t."valid""to" IS NULL)', ")")
    ),
    Bug(
        "absent versions expire against the policy",
        ("scd2",),
        around(operations, "ended", lambda h, op, load, way: h(replace(op, absent=Absent.EXPIRE), load, way)),
    ),
    Bug("the time of a load is not checked", ("scd2",), around(questions, "_versions", lambda h, *a: h(*a)[1:2])),
    Bug("two open versions are not seen", ("scd2",), around(questions, "_versions", lambda h, *a: h(*a)[::2])),
    Bug("the guard is not asked", ("snapshot_diff",), put(perform, "guard_against", lambda *_, **__: None)),
    Bug(
        "the guard reads the whole target",
        ("replace",),
        around(questions, "_exchange_query", lambda h, _condition, load: h("1 = 1", load)),
    ),
    Bug(
        "the guard's query counts flagged rows",
        ("snapshot_diff",),
        around(questions, "_absent_query", lambda h, op, load, way: h(replace(op, how=Hard()), load, way)),
    ),
    Bug(
        "the guard counts closed versions in SQL",
        ("scd2",),
        text(questions, "_version_query", 't."valid""to" IS NULL', "1 = 1"),
    ),
    Bug("NULL in the key passes the domain", ("snapshot_diff",), put(questions, "_null", lambda *_: "1 = 0")),
    Bug(
        "rows beyond the bounds pass the domain",
        ("backfill",),
        put(perform, "refuse_outside", lambda found: questions.refuse_outside((*found[:2], 0))),
    ),
    Bug("a partial row without a base is inserted", ("cdc",), put(perform, "checks", lambda *_: ())),
    Bug(
        "updates are counted as inserts",
        ("snapshot_diff",),
        around(
            statement.Statement,
            "tally",
            lambda h, s, n: h(
                replace(s, counts=statement.Counted.INSERTED) if s.counts is statement.Counted.UPDATED else s, n
            ),
        ),
    ),
    Bug("a NULL in a list of values is listed", ("replace",), dialect("among", _nulls_listed)),
    Bug("at most is less than", ("replace",), around(SqliteDialect, "condition", _strictly_less)),
    Bug(
        "quotes in text are not doubled",
        ("replace",),
        dialect("text", lambda _, value: "'" + value.replace("'", "’") + "'"),
    ),
)

# ------------------------------------------------------------------- in sealing, rendered

IN_RENDERED_SEALING = (
    Bug("SQL: the first change of a key wins", ("cdc",), text(seal, "_ranked", " DESC) AS", ") AS")),
    Bug("SQL: what precedes a truncate counts", ("cdc",), put(seal, "_after_truncate", lambda *_: "1 = 1")),
    Bug(
        "SQL: the least of duplicates is the last",
        ("snapshot_diff",),
        around(SqliteDialect, "greatest_first", lambda _h, _s, e, _of: e),
    ),
    Bug("SQL: duplicates take any row", ("snapshot_diff",), put(seal, "_tied", lambda *_: "SELECT 0")),
    Bug("SQL: duplicate keys are let through", ("snapshot_diff",), put(seal, "_doubled", lambda *_: "SELECT 0")),
    Bug(
        "SQL: a key that came back is still dead",
        ("cdc",),
        text(rehearsal, "dead_query", 'e."_dpone_rank" = 1', "1 = 1"),
    ),
    Bug(
        "SQL: a partial row is laid over the wrong one",
        ("cdc",),
        text(seal, "_folded", '"_dpone_seq" DESC)', '"_dpone_seq")'),
    ),
    Bug("SQL: partial rows are dropped", ("cdc",), around(seal, "_folded", lambda h, *a: h(*a) + " AND 1 = 0")),
    Bug(
        "SQL: a partial row after its delete is let through",
        ("cdc",),
        text(seal, "_change_checks", "e.\"_dpone_before\" = 'D'", "1 = 0"),
    ),
    Bug(
        "SQL: changes without an order are let through",
        ("cdc",),
        around(seal, "_change_checks", lambda h, *a: h(*a)[1:]),
    ),
    Bug(
        "SQL: rows with NULL in the key are collapsed",
        ("incremental_merge", "cdc"),
        put(seal, "_null", lambda *_: "1 = 0"),
    ),
    Bug(
        "SQL: a truncate is not stopped",
        ("cdc",),
        around(
            seal,
            "_change_checks",
            lambda h, raw, how, found, way: h(raw, replace(how, on_truncate=stage.OnTruncate.APPLY), found, way),
        ),
    ),
)
