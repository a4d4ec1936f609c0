"""The default rendering of each operation: a few set-based statements whose row counts add up to the oracle's.

`render` asks the dialect, and the dialect's default is here; an engine that overrides `Dialect.upsert`, say, changes
that operation alone. In the statements `t` is the target, `s` the live rows, `d` the dead keys, `p` the present ones.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals, by the dialect

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, assert_never

from dpone.connector import INSTANT
from dpone.ops import (
    Absent,
    Append,
    DeleteAbsent,
    DeleteKeys,
    DeletePolicy,
    Flag,
    Hard,
    Ignore,
    Op,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
)
from dpone.sql.load import KEPT, SqlLoad
from dpone.sql.statement import Counted, Statement, Statements

if TYPE_CHECKING:  # which imports this module
    from dpone.sql.dialect import Dialect


def render(op: Op, load: SqlLoad, dialect: Dialect) -> Statements:
    """The statements that carry out one operation inside a transaction, in order."""
    match op:
        case Recreate():
            return dialect.recreate(op, load)
        case ReplaceAll():
            return dialect.replace_all(op, load)
        case Append():
            return dialect.append(op, load)
        case Upsert():
            return dialect.upsert(op, load)
        case DeleteKeys():
            return dialect.delete_keys(op, load)
        case DeleteAbsent():
            return dialect.delete_absent(op, load)
        case ReplaceSlice():
            return dialect.replace_slice(op, load)
        case Version():
            return dialect.version(op, load)
        case _:
            assert_never(op)


# ------------------------------------------------------------------ the operations


def recreate(load: SqlLoad, dialect: Dialect) -> Statements:
    """All rows go, the live ones come; the schema was brought in line by `ensure`."""
    return _exchange("1 = 1", load, dialect)


def replace_all(op: ReplaceAll, load: SqlLoad, dialect: Dialect) -> Statements:
    return _exchange(dialect.where(op.where, "t", load.columns), load, dialect)


def replace_slice(op: ReplaceSlice, load: SqlLoad, dialect: Dialect) -> Statements:
    return _exchange(in_slice(op, load, dialect), load, dialect)


def append(op: Append, load: SqlLoad, dialect: Dialect) -> Statements:
    conditions = []
    if op.unless:
        conditions.append(f"NOT {matched(load.target, 't', op.unless, load, dialect)}")
    if load.ledger is not None:
        seen = {load.ledger.column: op.load_id, **load.ledger.also}
        terms = " AND ".join(f"l.{dialect.quote(c)} = {dialect.literal(v)}" for c, v in seen.items())
        conditions.append(f"NOT EXISTS (SELECT 1 FROM {load.ledger.table} AS l WHERE {terms})")
    return (fill(load, dialect, " AND ".join(conditions)),)


def upsert(op: Upsert, load: SqlLoad, dialect: Dialect) -> Statements:
    """UPDATE of the rows that differ, then INSERT of the missing ones."""
    assignments = [(name, incoming(name, load, dialect)) for name in load.names if name not in op.key]
    assignments += [(name, dialect.literal(value)) for name, value in load.stamps.items()]
    if op.flag is not None:
        assignments.append((op.flag, "NULL"))
    found = matched(load.target, "t", op.key, load, dialect)
    missing = fill(load, dialect, f"NOT {found}")
    if not assignments:
        return (missing,)  # every column is in the key: there is nothing to exchange
    condition = f"{on(op.key, 't', 's', load, dialect)} AND {superseded(op, load, dialect)}"
    source = f"{load.live} AS s"
    update = dialect.update(load.target, "t", assignments, source, condition)
    return (Statement(update, Counted.UPDATED), missing)


def delete_keys(op: DeleteKeys, load: SqlLoad, dialect: Dialect) -> Statements:
    gone = []
    if load.dead is not None:
        gone.append(matched(load.dead, "d", op.key, load, dialect, outer="t"))
    if load.cleared:
        gone.append(f"NOT {matched(load.live, 's', op.key, load, dialect, outer='t')}")
    return _remove(f"({' OR '.join(gone)})", op.how, load, dialect) if gone else ()


def delete_absent(op: DeleteAbsent, load: SqlLoad, dialect: Dialect) -> Statements:
    return _remove(absent(op, load, dialect), op.how, load, dialect)


def version(op: Version, load: SqlLoad, dialect: Dialect) -> Statements:
    """Open versions that ended are closed; then every live key without an open version gets one."""
    closed = dialect.quote(op.names[1])
    at = dialect.literal(op.at, INSTANT)
    close = dialect.update(load.target, "t", [(op.names[1], at)], None, ended(op, load, dialect))
    is_open = f"{on(op.key, 't', 's', load, dialect)} AND t.{closed} IS NULL"
    return (
        Statement(close, Counted.UPDATED),
        fill(
            load,
            dialect,
            f"NOT EXISTS (SELECT 1 FROM {load.target} AS t WHERE {is_open})",
            {op.names[0]: at, op.names[1]: "NULL"},
        ),
    )


def _exchange(condition: str, load: SqlLoad, dialect: Dialect) -> Statements:
    return Statement(dialect.delete(load.target, "t", condition), Counted.DELETED), fill(load, dialect)


def _remove(gone: str, how: DeletePolicy, load: SqlLoad, dialect: Dialect) -> Statements:
    match how:
        case Ignore():
            return ()
        case Hard():
            return (Statement(dialect.delete(load.target, "t", gone), Counted.DELETED),)
        case Flag(column=column, at=at):
            condition = f"t.{dialect.quote(column)} IS NULL AND {gone}"
            text = dialect.update(load.target, "t", [(column, dialect.literal(at, INSTANT))], None, condition)
            return (Statement(text, Counted.UPDATED),)
        case _:
            assert_never(how)


# ------------------------------------------------------- the parts they are made of


def fill(load: SqlLoad, dialect: Dialect, condition: str = "", system: dict[str, str] | None = None) -> Statement:
    """Live rows for which `condition` holds, with the load's stamps and the expressions in `system`, are inserted."""
    beside = {name: dialect.literal(value) for name, value in load.stamps.items()} | (system or {})
    selected = ", ".join([*(f"s.{dialect.quote(name)}" for name in load.names), *beside.values()])
    query = f"SELECT {selected} FROM {load.live} AS s" + (f" WHERE {condition}" if condition else "")
    return Statement(dialect.insert(load.target, [*load.names, *beside], query), Counted.INSERTED)


def on(key: Iterable[str], left: str, right: str, load: SqlLoad, dialect: Dialect) -> str:
    """Two rows have the same key."""
    return " AND ".join(
        dialect.equals(f"{left}.{dialect.quote(c)}", f"{right}.{dialect.quote(c)}", load.type_of(c)) for c in key
    )


def matched(table: str, alias: str, key: Sequence[str], load: SqlLoad, dialect: Dialect, *, outer: str = "s") -> str:
    """A row of `table` has the key of the outer row."""
    return f"EXISTS (SELECT 1 FROM {table} AS {alias} WHERE {on(key, alias, outer, load, dialect)})"


def incoming(name: str, load: SqlLoad, dialect: Dialect) -> str:
    """The value that a matched row takes: the staged one, or the stored one where the source did not send it."""
    column = dialect.quote(name)
    return (
        f"CASE WHEN {kept(name, load, dialect)} THEN t.{column} ELSE s.{column} END" if load.partial else f"s.{column}"
    )


def kept(name: str, load: SqlLoad, dialect: Dialect) -> str:
    """The staged row `s` keeps the stored value of the column; never unknown."""
    mask = dialect.one_character(f"s.{dialect.quote(KEPT)}", load.names.index(name) + 1)
    return f"COALESCE({mask}, '0') = '1'"


def superseded(op: Upsert, load: SqlLoad, dialect: Dialect) -> str:
    """The stored row `t` differs from the staged row `s` of its key, or is flagged, and is not newer."""
    reasons = []
    for name in load.names:
        if name not in op.key:
            changed = differs(name, load, dialect)
            reasons.append(f"(NOT {kept(name, load, dialect)} AND {changed})" if load.partial else changed)
    if op.flag is not None:
        reasons.append(f"t.{dialect.quote(op.flag)} IS NOT NULL")
    condition = f"({' OR '.join(reasons)})" if reasons else "1 = 0"
    if op.newer is None:
        return condition
    column = dialect.quote(op.newer)
    wins = dialect.not_older(f"s.{column}", f"t.{column}", load.type_of(op.newer))
    if load.partial:
        wins = f"{kept(op.newer, load, dialect)} OR {wins}"
    return f"({wins}) AND {condition}"


def differs(name: str, load: SqlLoad, dialect: Dialect) -> str:
    column = dialect.quote(name)
    return dialect.differs(f"t.{column}", f"s.{column}", load.type_of(name))


def absent(op: DeleteAbsent, load: SqlLoad, dialect: Dialect) -> str:
    """The stored row `t` is in the reach of the read, and its key is neither staged nor present."""
    terms = [dialect.where(op.within, "t", load.columns)] if op.within else []
    terms.append(f"NOT {matched(load.live, 's', op.key, load, dialect, outer='t')}")
    if load.present is not None:
        terms.append(f"NOT {matched(load.present, 'p', op.key, load, dialect, outer='t')}")
    return " AND ".join(terms)


def in_slice(op: ReplaceSlice, load: SqlLoad, dialect: Dialect) -> str:
    """The stored row `t` lies in the range, or in a slice that the stage contains."""
    of = load.type_of(op.column)
    column = dialect.quote(op.column)
    if op.bounds is not None:
        lo, hi = (dialect.literal(bound, of) for bound in op.bounds)
        return f"t.{column} >= {lo} AND t.{column} < {hi}"
    assert of is not None  # the plan refuses a slice column that is not content
    slices = f"SELECT {dialect.truncate(f's.{column}', op.grain, of)} FROM {load.live} AS s"
    return f"{dialect.truncate(f't.{column}', op.grain, of)} IN ({slices})"


def ended(op: Version, load: SqlLoad, dialect: Dialect) -> str:
    """The stored row `t` is an open version that this load closes."""
    changed = " OR ".join(differs(name, load, dialect) for name in op.compare) or "1 = 0"
    same_key = on(op.key, "s", "t", load, dialect)
    match op.absent:
        case Absent.EXPIRE:
            gone = f"NOT EXISTS (SELECT 1 FROM {load.live} AS s WHERE {same_key} AND NOT ({changed}))"
        case Absent.KEEP:
            gone = f"EXISTS (SELECT 1 FROM {load.live} AS s WHERE {same_key} AND ({changed}))"
        case _:
            assert_never(op.absent)
    return f"t.{dialect.quote(op.names[1])} IS NULL AND {gone}"
