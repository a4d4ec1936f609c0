"""One statement of a query job, carried out in a session: what it yields and what the job's statistics say of it."""
# ruff: noqa: S608 - all text here is made of quoted identifiers

from __future__ import annotations

import re
from typing import Any

import duckdb
import sqlglot
from msgspec import Struct, field
from msgspec.structs import replace
from sqlglot import exp

from dpone_bigquery.emulator.answers import Json, invalid_query
from dpone_bigquery.emulator.definitions import (
    Definition,
    alter_table,
    create_table,
    drop_table,
    parse_copy,
    parse_options,
)
from dpone_bigquery.emulator.fields import field_of
from dpone_bigquery.emulator.sessions import Session, Sessions
from dpone_bigquery.emulator.store import Store, transaction, translated
from dpone_bigquery.emulator.translate import names_of, translate

_ABORT = re.compile(r"CALL\s+BQ\.ABORT_SESSION\s*\(\s*(?:'([^']*)')?\s*\)", re.IGNORECASE)
_ASSERT = re.compile(r"ASSERT\s", re.IGNORECASE)
_MERGED = {"INSERT": "insertedRowCount", "UPDATE": "updatedRowCount", "DELETE": "deletedRowCount"}
_CHANGED = {exp.Insert: "insertedRowCount", exp.Update: "updatedRowCount", exp.Delete: "deletedRowCount"}


class Outcome(Struct):
    """The rows of the last query, their columns, and statistics."""

    statistics: Json = field(default_factory=dict)
    fields: list[Json] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)


class Engine(Struct, frozen=True):
    store: Store
    sessions: Sessions

    def run(self, text: str, session: Session, default: str | None) -> Outcome:
        """All statements of the text, one after another; a transaction that a script leaves open is undone."""
        outcome = Outcome()
        parts = split(text)
        for part in parts:
            try:
                outcome = self._one(part, session, default)
            except duckdb.Error as error:
                self.sessions.roll_back(session)
                raise translated(error) from None
            except BaseException:
                self.sessions.roll_back(session)
                raise
        if len(parts) > 1:
            outcome.statistics["statementType"] = "SCRIPT"
            outcome.statistics.pop("dmlStats", None)  # those of a script are of its parts
        return outcome

    def check(self, text: str, session: Session, default: str | None) -> Outcome:
        """A dry run: the statement is planned, and nothing is done."""
        (part,) = split(text)
        tree = _parse(part)
        if isinstance(tree, exp.Query):
            sql = self._translated(tree, session, default)
            try:
                described = session.own.execute(f"SELECT * FROM ({sql}) LIMIT 0").description or []
            except duckdb.Error as error:
                raise translated(error) from None
            return Outcome({"statementType": "SELECT"}, [field_of(c[0], c[1]) for c in described])
        return Outcome({"statementType": _word(tree)})

    # ------------------------------------------------------------------ statements

    def _one(self, text: str, session: Session, default: str | None) -> Outcome:
        if found := _ABORT.fullmatch(text.strip()):
            self.sessions.abort(found[1] or session.id)
            return Outcome({"statementType": "CALL"})
        if _ASSERT.match(text):
            return self._assert(text, session, default)
        if copied := parse_copy(text):
            self._define(copied, session, default)
            return Outcome({"statementType": "CREATE_TABLE"})
        tree = _parse(text)
        match tree:
            case exp.Transaction():
                self.sessions.begin(session)
                return Outcome({"statementType": "BEGIN_TRANSACTION"})
            case exp.Commit():
                self.sessions.commit(session)
                return Outcome({"statementType": "COMMIT_TRANSACTION"})
            case exp.Rollback():
                self.sessions.roll_back(session)
                return Outcome({"statementType": "ROLLBACK_TRANSACTION"})
            case exp.Create() | exp.Drop() | exp.Alter():
                self._define(Definition(tree, text), session, default)
                return Outcome({"statementType": _word(tree)})
            case exp.Insert() | exp.Update() | exp.Delete() | exp.Merge() | exp.TruncateTable():
                return self._change(tree, session, default)
            case exp.Query():
                return self._select(tree, session, default)
            case _:
                raise invalid_query(f"the emulator does not know the statement: {text[:80]}")

    def _assert(self, text: str, session: Session, default: str | None) -> Outcome:
        found = self._select(_parse(_ASSERT.sub("SELECT ", text, count=1)), session, default)
        if found.rows[0][0] is not True:
            raise invalid_query("Assertion failed")
        return Outcome({"statementType": "ASSERT"})

    def _select(self, tree: exp.Expression, session: Session, default: str | None) -> Outcome:
        result = session.own.execute(self._translated(tree, session, default))
        fields = [field_of(column[0], column[1]) for column in result.description or []]
        return Outcome({"statementType": "SELECT"}, fields, result.fetchall())

    def _change(self, tree: exp.Expression, session: Session, default: str | None) -> Outcome:
        into = tree.expressions[0] if isinstance(tree, exp.TruncateTable) else tree.this
        table = into if isinstance(into, exp.Table) else into.find(exp.Table)
        name = names_of(table, default)
        self.store.table(*name)
        if isinstance(tree, exp.Insert):
            return self._count(tree, session, default)
        with self.sessions.changing(session, name):
            return self._count(tree, session, default)

    def _count(self, tree: exp.Expression, session: Session, default: str | None) -> Outcome:
        counts = dict.fromkeys(_MERGED.values(), 0)
        sql = self._translated(tree, session, default)
        if isinstance(tree, exp.Merge):
            for (action,) in session.own.execute(f"{sql} RETURNING merge_action").fetchall():
                counts[_MERGED[action]] += 1
        else:
            row = session.own.execute(sql).fetchone()
            counts[_CHANGED.get(type(tree), "deletedRowCount")] = int(row[0]) if row else 0
        statistics: Json = {
            "statementType": _word(tree),
            "numDmlAffectedRows": str(sum(counts.values())),
            "dmlStats": {name: str(rows) for name, rows in counts.items()},
        }
        return Outcome(statistics)

    def _define(self, what: Definition, session: Session, default: str | None) -> None:
        if session.is_open:
            raise invalid_query("DDL on a permanent entity is not supported inside a transaction")

        def in_duck(tree: exp.Expression) -> str:
            return self._translated(tree, session, default)

        what = replace(what, options=parse_options(what.text))
        with self.store.defining, transaction(session.own) as own:
            match what.tree:
                case exp.Drop():
                    drop_table(self.store, own, what, default)
                case exp.Alter():
                    alter_table(self.store, own, what, default)
                case _:
                    create_table(self.store, own, what, default, in_duck)

    def _translated(self, tree: exp.Expression, session: Session, default: str | None) -> str:
        return translate(tree, default, self.store.find, {"session_id": session.id})


def split(text: str) -> list[str]:
    """The statements of a script; semicolons inside of texts and names separate nothing."""
    try:
        tokens = sqlglot.tokenize(text, read="bigquery")
    except sqlglot.errors.TokenError as error:
        raise invalid_query(f"Syntax error: {error}") from None
    parts, at = [], 0
    for token in tokens:
        if token.token_type is sqlglot.TokenType.SEMICOLON:
            parts.append(text[at : token.start])
            at = token.end + 1
    parts.append(text[at:])
    return [part.strip() for part in parts if part.strip()]


def _parse(text: str) -> exp.Expression:
    try:
        tree = sqlglot.parse_one(text, read="bigquery")
    except sqlglot.errors.SqlglotError as error:
        raise invalid_query(f"Syntax error: {str(error)[:300]}") from None
    assert isinstance(tree, exp.Expression)
    return tree


def _word(tree: exp.Expression) -> str:
    match tree:
        case exp.Create():
            return "CREATE_TABLE_AS_SELECT" if tree.expression else "CREATE_TABLE"
        case exp.Drop():
            return "DROP_TABLE"
        case exp.Alter():
            return "ALTER_TABLE"
        case exp.TruncateTable():
            return "TRUNCATE_TABLE"
        case exp.Query():
            return "SELECT"
        case _:
            return type(tree).__name__.upper()
