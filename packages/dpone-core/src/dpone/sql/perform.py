"""A program carried out statement by statement on anything that runs SQL in a transaction.

The caller brings two functions of its driver and owns the transaction; after an error it rolls back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from dpone.ops import Op, Program, Upsert, domain
from dpone.oracle import Counts, guard_against
from dpone.sql.dialect import Dialect
from dpone.sql.load import SqlLoad
from dpone.sql.operations import render
from dpone.sql.questions import checks, domain_query, guard_of, guard_query, partial_rows, refuse_outside
from dpone.sql.statement import Counted
from dpone.stage import partial_needs_upsert

Run = Callable[[str], int]  # executes a statement, answers its row count
Ask = Callable[[str], Sequence[Any]]  # executes a query, answers its first row


def validate(program: Program, load: SqlLoad, dialect: Dialect, ask: Ask) -> None:
    """Raises unless the sealed stage is inside the domain of the program and no part of a declared key is NULL."""
    bound = domain(program)
    bound = replace(bound, not_null=tuple(dict.fromkeys((*bound.not_null, *load.key))))
    refuse_outside(ask(domain_query(bound, load, dialect)))
    if load.partial and not any(isinstance(op, Upsert) for op in program) and ask(partial_rows(load, dialect))[0]:
        raise partial_needs_upsert()


def carry_out(
    program: Program,
    load: SqlLoad,
    dialect: Dialect,
    run: Run,
    ask: Ask,
    after_each: Callable[[Op], None] = lambda _: None,
) -> tuple[Counts, ...]:
    """What each operation did, in order. The stage was validated; the target holds what the oracle says it should."""
    done = []
    for op in program:
        counts = Counts()
        _refuse(op, load, dialect, ask)
        for statement in render(op, load, dialect):
            if statement.counts is Counted.ANSWERED:
                inserted, updated = map(int, ask(statement.text))
                counts += Counts(inserted=inserted, updated=updated)
            else:
                counts += statement.tally(run(statement.text))
        done.append(counts)
        after_each(op)
    return tuple(done)


def _refuse(op: Op, load: SqlLoad, dialect: Dialect, ask: Ask) -> None:
    guard = guard_of(op)
    if guard is not None:
        query = guard_query(op, load, dialect)
        assert query is not None  # what has a guard has a question
        before, after, removed = map(int, ask(query))
        guard_against(guard, before=before, after=after, removed=removed)
    for check in checks(op, load, dialect):
        check.refuse(ask(check.text)[0])
