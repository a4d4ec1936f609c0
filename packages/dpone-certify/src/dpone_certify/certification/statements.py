"""The statements of a load, rendered by the sink's own dialect, and read by a grammar that is not dpone's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from dpone.ops import domain
from dpone.prepare import Prepared
from dpone.sql.dialect import Dialect
from dpone.sql.load import Ledger, SqlLoad
from dpone.sql.operations import render
from dpone.sql.questions import checks, domain_query, guard_query
from dpone.sql.seal import RawStage, Survey, dead_query, live_query, present_query, seal_checks, survey_query

# Statements that the public grammar takes as one opaque command, each carried out on a real engine by the tests of its
# connector. None is needed so far: what renames a table is no part of a load's statements.
OPAQUE: tuple[re.Pattern[str], ...] = ()
# What the public grammars do not know, and what is read in its place. The conformance suite creates, fills and reads
# back a column of each of the types (`test_types.py`, among the samples of its connector) and tables with such a key.
UNKNOWN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bTime64\((\d+)\)"), r"DateTime64(\1)"),
    (re.compile(r"\bBFloat16\b"), "Float32"),
    (re.compile(r"\bnumeric\((\d+),-\d+\)"), r"numeric(\1,0)"),
    (re.compile(r"\bPRIMARY KEY CLUSTERED \("), "PRIMARY KEY ("),
)
_KNOWN = 4_096  # texts whose reading is remembered: the same text is read in the same way


def statements_of(prepared: Prepared, dialect: Dialect, *, changes: bool) -> Iterator[str]:
    """Everything that is said to the sink's engine for a load: its tables, its sealing, its questions, its program."""
    *parents, name = prepared.spec.target.name
    columns = prepared.spec.layout.schema.fields
    key = prepared.load.key

    def table(suffix: str) -> str:
        return dialect.table((*parents, name + suffix))

    system = tuple(s.field for s in prepared.spec.layout.system)
    yield dialect.create_table(table(""), (*columns, *system), key)
    raw = RawStage(table("_raw"), columns, tagged=changes)
    yield from _sealing(prepared, raw, dialect, table("_sealed"), changes=changes)
    load = SqlLoad(
        target=table(""),
        live=table("_live"),
        columns=columns,
        key=key,
        dead=table("_dead") if changes else None,
        present=table("_present") if prepared.load.reconcile else None,
        stamps=prepared.spec.layout.stamps,
        ledger=Ledger(table("_ledger")),
    )
    yield domain_query(domain(prepared.program), load, dialect)
    for op in prepared.program:
        yield from (check.text for check in checks(op, load, dialect))
        if query := guard_query(op, load, dialect):
            yield query
        yield from (statement.text for statement in render(op, load, dialect))


def _sealing(prepared: Prepared, raw: RawStage, dialect: Dialect, table: str, *, changes: bool) -> Iterator[str]:
    how, found = prepared.spec.sealing, Survey(1, partial=changes)
    yield survey_query(raw, how, dialect)
    yield from (check.text for check in seal_checks(raw, how, found, dialect))
    for query in (live_query, dead_query, present_query):
        if text := query(raw, how, found, dialect):
            yield dialect.create_as(table, text)


@lru_cache(_KNOWN)
def misread(text: str, grammar: str) -> str | None:
    """Why the grammar does not read the text as one statement that it understands; None when it does."""
    read = text
    for unknown, known in UNKNOWN:
        read = unknown.sub(known, read)
    try:
        found = sqlglot.parse(read, read=grammar, error_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as error:
        return f"{grammar} does not read it: {str(error).splitlines()[0]}"
    if len(found) != 1 or found[0] is None:
        return f"{grammar} reads {len(found)} statements"
    if found[0].find(exp.Command) is not None and not any(shape.fullmatch(text) for shape in OPAQUE):
        return f"{grammar} takes it as an opaque command"
    return None
