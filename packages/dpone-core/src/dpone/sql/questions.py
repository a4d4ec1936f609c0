"""What is asked before an operation runs: whether the stage is inside its domain, and whether the load must be stopped.

The queries measure; what the numbers mean is said by `oracle.guard_against` and by the error that a check carries.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals, by the dialect

from __future__ import annotations

from collections.abc import Sequence

from dpone.connector import INSTANT
from dpone.ops import (
    Absent,
    DeleteAbsent,
    Domain,
    Guard,
    Ignore,
    Op,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
)
from dpone.oracle import at_not_after, two_open_versions
from dpone.sql.dialect import Dialect
from dpone.sql.load import KEPT, SqlLoad
from dpone.sql.operations import absent, ended, in_slice, matched
from dpone.sql.statement import Check
from dpone.stage import outside, partial_without_base


def guard_of(op: Op) -> Guard | None:
    """The guard to hold the answer of `guard_query` against, for operations that have one."""
    match op:
        case Recreate(guard=guard) | ReplaceAll(guard=guard) | ReplaceSlice(guard=guard):
            return guard
        case DeleteAbsent(guard=guard, how=how):
            return None if isinstance(how, Ignore) else guard
        case Version(guard=guard, absent=Absent.EXPIRE):
            return guard
        case _:
            return None


def guard_query(op: Op, load: SqlLoad, dialect: Dialect) -> str | None:
    """A query of one row: `before`, `after` and `removed` for `oracle.guard_against`; None when nothing is guarded.

    Of `after` only zero or not zero matters, so that keys both staged and present may count twice.
    """
    match op:
        case Recreate():
            return _exchange_query("1 = 1", load)
        case ReplaceAll(where=where):
            return _exchange_query(dialect.where(where, "t", load.columns), load)
        case ReplaceSlice():
            return _exchange_query(in_slice(op, load, dialect), load)
        case DeleteAbsent(how=Ignore()):
            return None
        case DeleteAbsent():
            return _absent_query(op, load, dialect)
        case Version(absent=Absent.EXPIRE):
            return _version_query(op, load, dialect)
        case _:
            return None


def _exchange_query(condition: str, load: SqlLoad) -> str:
    before = f"SELECT COUNT(*) FROM {load.target} AS t WHERE {condition}"
    after = f"SELECT COUNT(*) FROM {load.live} AS s"
    removed = "CASE WHEN g.was > g.will THEN g.was - g.will ELSE 0 END"
    return f"SELECT g.was, g.will, {removed} FROM (SELECT ({before}) AS was, ({after}) AS will) AS g"


def _absent_query(op: DeleteAbsent, load: SqlLoad, dialect: Dialect) -> str:
    reach = dialect.where(op.within, "t", load.columns)
    if (flag := getattr(op.how, "column", None)) is not None:
        reach += f" AND t.{dialect.quote(flag)} IS NULL"
    before = f"SELECT COUNT(*) FROM {load.target} AS t WHERE {reach}"
    after = f"(SELECT COUNT(*) FROM {load.live} AS s)"
    if load.present is not None:
        after += f" + (SELECT COUNT(*) FROM {load.present} AS p)"
    removed = f"SELECT COUNT(*) FROM {load.target} AS t WHERE {reach} AND {absent(op, load, dialect)}"
    return f"SELECT ({before}), {after}, ({removed})"


def _version_query(op: Version, load: SqlLoad, dialect: Dialect) -> str:
    valid = f"SELECT COUNT(*) FROM {load.target} AS t WHERE t.{dialect.quote(op.names[1])} IS NULL"
    staged = matched(load.live, "s", op.key, load, dialect, outer="t")
    return f"SELECT ({valid}), (SELECT COUNT(*) FROM {load.live} AS s), ({valid} AND NOT {staged})"


def checks(op: Op, load: SqlLoad, dialect: Dialect) -> tuple[Check, ...]:
    """What must hold in the target for the operation to mean anything, in the order in which the oracle asks."""
    match op:
        case Upsert() if load.partial:
            return (_based(op, load, dialect),)
        case Version():
            return _versions(op, load, dialect)
        case _:
            return ()


def partial_rows(load: SqlLoad, dialect: Dialect) -> str:
    """A query of one number: the live rows that keep a stored value."""
    return f"SELECT COUNT(*) FROM {load.live} AS s WHERE s.{dialect.quote(KEPT)} LIKE '%1%'"


def _based(op: Upsert, load: SqlLoad, dialect: Dialect) -> Check:
    stored = matched(load.target, "t", op.key, load, dialect)
    return Check(f"{partial_rows(load, dialect)} AND NOT {stored}", partial_without_base(()))


def _versions(op: Version, load: SqlLoad, dialect: Dialect) -> tuple[Check, ...]:
    opened, closed = map(dialect.quote, op.names)
    at = dialect.literal(op.at, INSTANT)
    key = ", ".join(dialect.grouped(f"t.{dialect.quote(c)}", load.type_of(c)) for c in op.key)
    doubled = f"SELECT 1 AS one FROM {load.target} AS t WHERE t.{closed} IS NULL GROUP BY {key} HAVING COUNT(*) > 1"
    count = f"SELECT COUNT(*) FROM {load.target} AS t WHERE"
    return (
        Check(f"{count} t.{opened} > {at} OR t.{closed} > {at}", at_not_after(op)),
        Check(f"SELECT COUNT(*) FROM ({doubled}) AS q", two_open_versions()),
        Check(f"{count} {ended(op, load, dialect)} AND t.{opened} = {at}", at_not_after(op)),
    )


# ------------------------------------------------------------------------- the domain

OUTSIDE = ("stage.null_key", "stage.outside_where", "stage.outside_bounds")


def domain_query(bound: Domain, load: SqlLoad, dialect: Dialect) -> str:
    """A query of one row: how many staged rows break each demand of the domain, in the order of OUTSIDE."""
    null = _null(bound.not_null, "s", dialect)
    where = dialect.where(bound.where, "s", load.columns)
    inside = "1 = 1"
    if bound.bounds is not None:
        name, *limits = bound.bounds
        lo, hi = (dialect.literal(limit, load.type_of(name)) for limit in limits)
        inside = f"s.{dialect.quote(name)} >= {lo} AND s.{dialect.quote(name)} < {hi}"
    nulls = _sum(f"CASE WHEN {null} THEN 1 ELSE 0 END")
    for table in (load.dead, load.present):
        if table is not None:
            nulls += f" + (SELECT COUNT(*) FROM {table} AS k WHERE {_null(load.key, 'k', dialect)})"
    outside = _sum(f"CASE WHEN {null} THEN 0 WHEN {where} THEN 0 ELSE 1 END")
    beyond = _sum(f"CASE WHEN {null} THEN 0 WHEN {where} THEN CASE WHEN {inside} THEN 0 ELSE 1 END ELSE 0 END")
    return f"SELECT {nulls}, {outside}, {beyond} FROM {load.live} AS s"


def refuse_outside(found: Sequence[int]) -> None:
    """Raises the first demand that was broken, given the row that `domain_query` yields."""
    for code, rows in zip(OUTSIDE, found, strict=True):
        if rows:
            raise outside(code, rows)


def _null(columns: Sequence[str], alias: str, dialect: Dialect) -> str:
    return " OR ".join(f"{alias}.{dialect.quote(c)} IS NULL" for c in columns) or "1 = 0"


def _sum(expression: str) -> str:
    return f"COALESCE(SUM({expression}), 0)"
