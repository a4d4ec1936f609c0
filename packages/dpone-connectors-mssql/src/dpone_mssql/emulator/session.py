"""What one client's batches do: variables, control of flow, transactions, and statements handed to PostgreSQL."""
# ruff: noqa: PLR2004, S608 - the numbers are those of the protocol, the text is what PostgreSQL is told

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct, field
from psycopg.pq import ExecStatus, TransactionStatus

from dpone_mssql.emulator import procedures
from dpone_mssql.emulator.backend import Backend
from dpone_mssql.emulator.batches import Branch, Node, Plain, Token, parse, plain, tokens_of
from dpone_mssql.emulator.definitions import Cursor, define
from dpone_mssql.emulator.expressions import Translated, translate
from dpone_mssql.emulator.faults import Fault, Refused
from dpone_mssql.emulator.names import quoted
from dpone_mssql.emulator.results import result_tokens
from dpone_mssql.emulator.tds import COUNT, DONE, DONE_IN_PROC, ERROR, MORE, OTHER, SELECT, done, environment
from dpone_mssql.emulator.typenames import type_name

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

VERSION = "SQL Server 2022 emulator of dpone (TDS 7.4 over PostgreSQL): not Microsoft SQL Server"
_IGNORED = re.compile(
    r"(ANSI_\w+|QUOTED_IDENTIFIER|ARITHABORT|ARITHIGNORE|CONCAT_NULL_YIELDS_NULL|TEXTSIZE|ROWCOUNT|DATEFORMAT|DATEFIRST|"
    r"LANGUAGE|CURSOR_CLOSE_ON_COMMIT|NO_BROWSETABLE|NUMERIC_ROUNDABORT|DEADLOCK_PRIORITY|STATISTICS|CONTEXT_INFO)",
    re.IGNORECASE,
)
# how bulk copy asks what it will fill: the columns by name into a variable, and then a SELECT made of it
_BULK_PRELUDE = re.compile(
    r"(?P<before>.*?)DECLARE @Column_Names NVARCHAR\(MAX\).*?EXEC\(N'SELECT ' \+ @Column_Names \+ N' FROM "
    r"(?P<table>(?:[^']|'')+)'\);(?P<after>.*)",
    re.DOTALL,
)
_CAPTURED = re.compile(
    r"cdc\.\[fn_cdc_get_all_changes_(?P<name>(?:[^\]]|\]\])+)\]\((?P<low>[^,]+), (?P<high>[^,]+), N'all update old'\)"
)
_TRACKED = re.compile(
    r"CHANGETABLE\(CHANGES \[(?P<schema>(?:[^\]]|\]\])+)\]\.\[(?P<name>(?:[^\]]|\]\])+)\], (?P<since>-?\d+)\)"
)


class Variable(Struct):
    type: str
    value: str | None = None


class Scope(Struct):
    """The variables of one batch, and the token that ends its statements."""

    variables: dict[str, Variable] = field(default_factory=dict)
    token: int = DONE
    out: bytearray = field(default_factory=bytearray)
    returned: int = 0


class Session:
    def __init__(self, backend: Backend, create_database: Callable[[str], None]) -> None:
        self.backend = backend
        self.create_database = create_database
        self.depth = 0  # @@TRANCOUNT
        self.implicit = False
        self.aborts = False  # XACT_ABORT
        self.error = 0
        self.rows = 0
        self.bulk: tuple[str, list[str]] | None = None
        self.isolation = "READ COMMITTED"
        self._counts = True
        self._metadata_only = False
        self._saved: list[str] = []

    # ------------------------------------------------------------------------ batches

    def batch(self, text: str, scope: Scope) -> None:
        """The statements of the batch, in order; the first that fails ends it."""
        for node in _parsed(_plainly(text, self.backend.names.short)):
            self._carry_out(node, scope)

    def _carry_out(self, node: Node, scope: Scope) -> None:
        if isinstance(node, Branch):
            chosen = node.then if self._is_true(node.condition, scope) else node.otherwise
            for inner in chosen:
                self._carry_out(inner, scope)
            return
        self._statement(node, scope)

    def failed(self, fault: Fault) -> None:
        """What an error leaves behind: with XACT_ABORT, or for a deadlock's victim, no transaction."""
        self.error = fault.number
        status = self.backend.pg.transaction_status
        if self.depth and (self.aborts or fault.number in {1205, 3960} or status == TransactionStatus.INERROR):
            self.rollback()
        elif status == TransactionStatus.INERROR:
            self.backend.pg.exec_(b"ROLLBACK")

    def _is_true(self, condition: str, scope: Scope) -> bool:
        found = self.query(f"SELECT 1 AS found WHERE {condition}", scope)
        return found.ntuples > 0

    # --------------------------------------------------------------------- statements

    def _statement(self, statement: Plain, scope: Scope) -> None:
        statement = self._expanded(statement)
        tokens = statement.tokens
        if not tokens:
            return
        match tokens[0].word:
            case "SET":
                self._set(tokens, scope)
            case "DECLARE":
                self._declare(tokens, scope)
            case "BEGIN":
                self.begin()
                self._end(scope, 0)
            case "COMMIT":
                self.commit()
                self._end(scope, 0)
            case "ROLLBACK":
                self._rollback(tokens)
                self._end(scope, 0)
            case "SAVE":
                self._save(tokens)
                self._end(scope, 0)
            case "EXEC" | "EXECUTE":
                procedures.execute(self, tokens[1:], scope)
            case "THROW" | "RAISERROR":
                raise _thrown(tokens)
            case "WAITFOR":
                self.backend.run(f"SELECT pg_sleep_for(interval '{tokens[-1].value}')")
            case "USE" | "PRINT" | "RETURN":
                self._end(scope, 0)
            case "CREATE" | "ALTER" | "DROP" | "TRUNCATE":
                self._define(statement, scope)
            case "INSERT" if tokens[1].word == "BULK":
                self._begin_bulk(tokens)
                self._end(scope, 0)
            case _:
                self._rows(statement.text, scope)

    def _expanded(self, statement: Plain) -> Plain:
        """Without `@@` names, which stand for what the session knows."""
        if not any(t.kind == "global" for t in statement.tokens):
            return statement
        tokens = [Token("number", self._global(t.text)) if t.kind == "global" else t for t in tokens_of(statement.text)]
        return plain(tokens)

    def _global(self, name: str) -> str:
        match name.lower():
            case "@@version":
                return f"N'{VERSION}'"
            case "@@trancount":
                return str(self.depth)
            case "@@rowcount":
                return str(self.rows)
            case "@@error":
                return str(self.error)
            case "@@spid":
                return str(self.backend.pid)
            case "@@servername":
                return "N'emulator'"
            case "@@identity":
                return "lastval()"
            case "@@lock_timeout":
                return "-1"
            case "@@microsoftversion":
                return "268435456"
            case "@@options":
                return "5432"
            case "@@dbts":
                return "CAST(2000 AS binary(8))"
            case _:
                pass
        message = f"the emulator does not know {name}"
        raise Refused(message)

    def query(self, text: str, scope: Scope) -> PGresult:
        """What a SELECT answers."""
        statement = self._expanded(plain(tokens_of(text)))
        translated = self._translated(statement.text, scope)
        return self.backend.run(translated.text, self._values(translated, scope))

    def _translated(self, text: str, scope: Scope) -> Translated:
        types = tuple(sorted((name, v.type) for name, v in scope.variables.items()))
        return _translated(text, types, self.backend.names.short)

    @staticmethod
    def _values(translated: Translated, scope: Scope) -> list[str | None]:
        return [scope.variables[name].value for name in translated.names]

    def _rows(self, text: str, scope: Scope) -> None:
        """A query, or a change of rows."""
        translated = self._translated(text, scope)
        values = self._values(translated, scope)
        if self._metadata_only and translated.is_query:
            result = self.backend.run(f"SELECT * FROM ({translated.text}) AS q LIMIT 0", values)
            scope.out += result_tokens(result, self.backend.types, self.backend.names)
            self._end(scope, SELECT)
            return
        if self.implicit and not self.depth:
            self.begin()
        with_locks = self.depth > 0 and translated.locks
        statement, given = (_inlined(translated, values), ()) if translated.makes_table else (translated.text, values)
        result = self._protected(statement, given, translated.locks if with_locks else ())
        if result.status == ExecStatus.TUPLES_OK and translated.assigns:
            self._assign(translated.assigns, result, scope)
            self._end(scope, SELECT, result.ntuples)
        elif result.status == ExecStatus.TUPLES_OK:
            scope.out += result_tokens(result, self.backend.types, self.backend.names)
            self._end(scope, SELECT, result.ntuples)
        else:
            self._end(scope, OTHER, int(result.command_tuples or 0))

    def _protected(self, statement: str, values: Sequence[str | None], locks: Sequence[str]) -> PGresult:
        """In a transaction that outlives errors, a failed statement is undone alone."""
        if not self.depth or self.aborts:
            for table in locks:
                self.backend.run(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            return self.backend.run(statement, values)
        self.backend.protect()
        try:
            for table in locks:
                self.backend.run(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            result = self.backend.run(statement, values)
        except Fault:
            self.backend.restore()
            raise
        self.backend.release()
        return result

    def _assign(self, names: Sequence[str], result: PGresult, scope: Scope) -> None:
        if not result.ntuples:
            return
        last = result.ntuples - 1
        for column, name in enumerate(names):
            value = result.get_value(last, column)
            scope.variables[name].value = None if value is None else value.decode()

    def _end(self, scope: Scope, command: int, count: int | None = None) -> None:
        """The token after a statement. More may come: the last one of the batch is mended at its end."""
        if count is not None:
            self.rows = count
        self.error = 0
        status = MORE | (COUNT if count is not None and self._counts else 0)
        scope.out += done(scope.token, status, command, count or 0)

    # --------------------------------------------------------------- variables, settings

    def _declare(self, tokens: Sequence[Token], scope: Scope) -> None:
        cursor = Cursor(tokens, 1)
        while not cursor.is_through:
            name = cursor.take().text.lstrip("@").lower()
            cursor.accept("AS")
            written = cursor.take().name
            if cursor.sees("("):
                written += "(" + "".join(t.text for t in cursor.enclosed()) + ")"
            scope.variables[name] = Variable(type_name(written))
            if cursor.accept_sign("="):
                start, depth = cursor.at, 0
                while cursor.at < len(tokens) and (depth or not cursor.sees(",")):
                    depth += {"(": 1, ")": -1}.get(cursor.take().text, 0)
                self._evaluate(name, cursor.tokens[start : cursor.at], scope)
            cursor.accept_sign(",")

    def _evaluate(self, name: str, tokens: Sequence[Token], scope: Scope) -> None:
        variable = scope.variables.get(name)
        if variable is None:
            raise Fault(137, f'Must declare the scalar variable "@{name}".', 15)
        text = "SELECT " + " ".join(t.text for t in tokens)
        translated = self._translated(text, scope)
        inner = translated.text.removeprefix("SELECT ")
        by_text = "CAST({} AS tsql.nvarchar)" if "char" in variable.type or "text" in variable.type else "{}"
        result = self.backend.run(
            f"SELECT CAST({by_text.format('(' + inner + ')')} AS {variable.type})", self._values(translated, scope)
        )
        value = result.get_value(0, 0)
        variable.value = None if value is None else value.decode()

    def _set(self, tokens: Sequence[Token], scope: Scope) -> None:
        if tokens[1].kind == "variable":
            self._evaluate(tokens[1].text.lstrip("@").lower(), tokens[3:], scope)
            return
        words = [t.text.upper() for t in tokens[1:]]
        is_on = words[-1] == "ON"
        match words:
            case ["XACT_ABORT", *_]:
                self.aborts = is_on
            case ["IMPLICIT_TRANSACTIONS", *_]:
                self.implicit = is_on
            case ["NOCOUNT", *_]:
                self._counts = not is_on
            case ["FMTONLY", *_]:
                self._metadata_only = is_on
            case ["TRANSACTION", "ISOLATION", "LEVEL", *level]:
                self.isolation = " ".join(level)
            case ["LOCK_TIMEOUT", *value]:
                wait = "".join(value)
                self.backend.run(f"SET lock_timeout = {0 if wait == '-1' else max(1, int(wait))}")
            case ["IDENTITY_INSERT", *_]:
                pass
            case [name, *_] if _IGNORED.match(name):
                pass
            case _:
                message = f"the emulator does not know SET {words[0]}"
                raise Refused(message)
        self._end(scope, 0)

    # ----------------------------------------------------------------------- transactions

    def begin(self) -> None:
        if not self.depth:
            level = "REPEATABLE READ" if self.isolation == "SNAPSHOT" else "READ COMMITTED"
            self.backend.run(f"BEGIN ISOLATION LEVEL {level}")
        self.depth += 1

    def commit(self) -> None:
        if not self.depth:
            raise Fault(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self.depth -= 1
        if not self.depth:
            self._saved.clear()
            self.backend.run("COMMIT")

    def rollback(self) -> None:
        self.depth = 0
        self._saved.clear()
        self.backend.pg.exec_(b"ROLLBACK")

    def _rollback(self, tokens: Sequence[Token]) -> None:
        names = [t.name for t in tokens[1:] if t.word not in {"TRAN", "TRANSACTION", "WORK"}]
        if names and names[0] in self._saved:
            self.backend.run(f"ROLLBACK TO SAVEPOINT {quoted(names[0])}")
            return
        if not self.depth:
            raise Fault(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self.rollback()

    def _save(self, tokens: Sequence[Token]) -> None:
        name = tokens[-1].name
        self.backend.run(f"SAVEPOINT {quoted(name)}")
        self._saved.append(name)

    # ------------------------------------------------------------------------ definitions

    def _define(self, statement: Plain, scope: Scope) -> None:
        if self.implicit and not self.depth:
            self.begin()
        words = [t.word for t in statement.tokens[:2]]
        if words == ["CREATE", "DATABASE"]:
            self.create_database(statement.tokens[2].name)
        elif words != ["ALTER", "DATABASE"]:  # of whose settings none means anything here
            made = define(statement, self.backend.names.short, lambda text: self._value(text, scope))
            self._protected("; ".join(made) or "SELECT 1", (), ())
        self._end(scope, 0)

    def _value(self, text: str, scope: Scope) -> str:
        if text.lstrip().upper().startswith("SELECT"):
            return self._translated(text, scope).text
        if " and " in f" {text.lower()} " or any(sign in text for sign in "<>=") or " in " in text.lower():
            return self._translated(f"SELECT 1 AS one WHERE {text}", scope).text.partition(" WHERE ")[2]
        return self._translated(f"SELECT {text}", scope).text.removeprefix("SELECT ")

    def _begin_bulk(self, tokens: Sequence[Token]) -> None:
        """INSERT BULK t (a int, b nvarchar(5) COLLATE x, ...) WITH (...): rows come in the next message."""
        cursor = Cursor(tokens, 2)
        parts = [self.backend.names.short(part) for part in cursor.parts()]
        names, depth, fresh = [], 0, True
        for token in cursor.enclosed():
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if fresh:
                names.append(self.backend.names.short(token.name))
            fresh = token.text == "," and depth == 0
        table = quoted(parts[-1]) if parts[-1].startswith("#") else ".".join(map(quoted, ("dbo", *parts)[-2:]))
        self.bulk = (table, names)


def environment_of(kind: int, began: bool) -> bytes:  # noqa: FBT001 - which of two
    """A transaction began, or ended."""
    number = b"\x08" + (1).to_bytes(8, "little")
    return environment(kind, number, b"\0") if began else environment(kind, b"\0", number)


def finished(scope: Scope) -> bytes:
    """What the client gets: the last token of the batch says that no more come."""
    out = scope.out
    if not out:
        return done(scope.token, 0)
    if scope.token != DONE_IN_PROC and len(out) >= 13 and out[-13] == scope.token:
        out[-12] &= ~MORE
    return bytes(out)


def failure(token: int) -> bytes:
    """The token after an error."""
    return done(token, ERROR)


@lru_cache(maxsize=512)
def _parsed(text: str) -> tuple[Node, ...]:
    return parse(text)


@lru_cache(maxsize=2048)
def _translated(text: str, types: tuple[tuple[str, str], ...], short: Callable[[str], str]) -> Translated:
    return translate(text, dict(types), short)


def _plainly(text: str, short: Callable[[str], str]) -> str:
    """Without EXEC of a text, and with CDC's functions and CHANGETABLE as what they answer."""
    if "@Column_Names" in text and (found := _BULK_PRELUDE.fullmatch(text)):
        table = found["table"].replace("''", "'")
        return f"{found['before']} SET FMTONLY ON; SELECT * FROM {table}; {found['after']}"
    if "CHANGETABLE" in text:
        text = _TRACKED.sub(lambda call: _tracked(call, short), text)
    return _CAPTURED.sub(_changes, text) if "fn_cdc_get_all_changes" in text else text


def _tracked(call: re.Match[str], short: Callable[[str], str]) -> str:
    """The last change of each key since a version."""
    schema, name = (short(call[part].replace("]]", "]")) for part in ("schema", "name"))
    store = hashlib.md5(f"{schema}.{name}".encode(), usedforsecurity=False).hexdigest()
    kind = f"CASE WHEN z.[~gone] = 1 THEN N'D' WHEN z.[~created] > {call['since']} THEN N'I' ELSE N'U' END"
    return (
        f"(SELECT z.*, {kind} AS [SYS_CHANGE_OPERATION] FROM cdc.[tracked_{store}] AS z "
        f"WHERE z.[SYS_CHANGE_VERSION] > {call['since']})"
    )


def _changes(call: re.Match[str]) -> str:
    """The rows between two bounds, of which the lower one must not be older than what is kept."""
    name, low, high = call["name"], call["low"], call["high"]
    instance = name.replace("]]", "]").replace("'", "''")
    column = "z.[__$start_lsn]"
    return (
        f"(SELECT z.* FROM cdc.[{name}_CT] AS z WHERE {column} >= {low} AND {column} <= {high} "
        f"AND cdc_may_read(N'{instance}', {low}) = 1)"
    )


def _inlined(translated: Translated, values: Sequence[str | None]) -> str:
    """SELECT INTO takes no parameters."""
    text = translated.text
    for number in range(len(values), 0, -1):
        value = values[number - 1]
        spelled = "NULL" if value is None else "'" + value.replace("'", "''") + "'"
        text = text.replace(f"${number}", spelled)
    return text


def _thrown(tokens: Sequence[Token]) -> Fault:
    if tokens[0].word == "THROW" and len(tokens) > 3:
        return Fault(int(tokens[1].text), tokens[3].value)
    return Fault(50000, next((t.value for t in tokens if t.kind == "text"), "raised"))
