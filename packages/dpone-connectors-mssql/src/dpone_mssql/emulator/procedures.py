"""The stored procedures that drivers and this package call."""
# ruff: noqa: PLR2004 - the numbers are those of the protocol

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dpone_mssql.emulator.batches import Token
from dpone_mssql.emulator.collations import BYTES, DEFAULT
from dpone_mssql.emulator.faults import Fault, Refused
from dpone_mssql.emulator.names import quoted
from dpone_mssql.emulator.results import table
from dpone_mssql.emulator.tds import MORE, SELECT, done

if TYPE_CHECKING:
    from dpone_mssql.emulator.session import Scope, Session

Arguments = dict[str, str | None]
_PAUSE = 0.02
_TIMED_OUT, _GRANTED = -1, 0


def execute(session: Session, tokens: Sequence[Token], scope: Scope) -> None:
    """EXEC [@result =] name [@argument =] value, ..."""
    into = None
    if tokens[0].kind == "variable" and tokens[1].text == "=":
        into, tokens = tokens[0].text.lstrip("@").lower(), tokens[2:]
    if tokens[0].text == "(":
        raise Refused("the emulator does not carry out EXEC of a text")
    names = [tokens[0].name]
    at = 1
    while at < len(tokens) and tokens[at].text == ".":
        names += [t.name for t in tokens[at + 1 : at + 2] if t.text != "."]
        at += 1 if tokens[at + 1].text == "." else 2
    returned = call(session, names[-1].lower(), _arguments(session, tokens[at:], scope), scope)
    if into is not None:
        scope.variables[into].value = str(returned)


def _arguments(session: Session, tokens: Sequence[Token], scope: Scope) -> Arguments:
    found: Arguments = {}
    part: list[Token] = []
    parts: list[list[Token]] = []
    for token in tokens:
        if token.text == ",":
            parts.append(part)
            part = []
        else:
            part.append(token)
    parts += [part] if part else []
    for number, one in enumerate(parts):
        name, values = str(number), one
        if len(one) > 2 and one[0].kind == "variable" and one[1].text == "=":
            name, values = one[0].text.lstrip("@").lower(), one[2:]
        found[name] = _value(session, values, scope)
    return found


def _value(session: Session, tokens: Sequence[Token], scope: Scope) -> str | None:
    """A constant or a variable: nothing else can be an argument."""
    token = tokens[0]
    if token.kind == "variable":
        return scope.variables[token.text.lstrip("@").lower()].value
    if token.kind == "text":
        return token.value
    if token.word == "NULL":
        return None
    del session
    return "".join(t.text for t in tokens)


def call(session: Session, name: str, arguments: Arguments, scope: Scope) -> int:
    """The procedure was carried out; what it returns."""
    found = _PROCEDURES.get(name)
    if found is None:
        if name.startswith("sp_tablecollations"):
            _table_collations(session, arguments, scope)
            return 0
        raise Fault(2812, f"Could not find stored procedure '{name}'.")
    return found(session, arguments, scope)


def _argument(arguments: Arguments, place: int, name: str, default: str | None = None) -> str | None:
    return arguments.get(name, arguments.get(str(place), default))


# ------------------------------------------------------------------------------ locks


def _get_lock(session: Session, arguments: Arguments, _: Scope) -> int:
    resource = _argument(arguments, 0, "resource") or ""
    owner = (_argument(arguments, 2, "lockowner", "Transaction") or "").lower()
    timeout = int(_argument(arguments, 3, "locktimeout", "-1") or -1)
    function = "pg_try_advisory_lock" if owner == "session" else "pg_try_advisory_xact_lock"
    if owner != "session" and not session.depth:
        raise Fault(1223, "sp_getapplock requires a transaction for the lock owner 'Transaction'.")
    until = None if timeout < 0 else time.monotonic() + timeout / 1000
    while True:
        if session.backend.run(f"SELECT {function}({_lock_number(resource)})").get_value(0, 0) == b"t":
            return _GRANTED
        if until is not None and time.monotonic() >= until:
            return _TIMED_OUT
        time.sleep(_PAUSE)


def _release_lock(session: Session, arguments: Arguments, _: Scope) -> int:
    resource = _argument(arguments, 0, "resource") or ""
    released = session.backend.run(f"SELECT pg_advisory_unlock({_lock_number(resource)})").get_value(0, 0)
    if released != b"t":
        raise Fault(1223, f"Cannot release the application lock '{resource}' because it is not currently held.")
    return 0


def _lock_number(resource: str) -> int:
    return int.from_bytes(hashlib.sha256(f"applock:{resource}".encode()).digest()[:8], "big", signed=True)


# ------------------------------------------------------------------------------ names


def _rename(session: Session, arguments: Arguments, _: Scope) -> int:
    old, new = _argument(arguments, 0, "objname") or "", _argument(arguments, 1, "newname") or ""
    kind = (_argument(arguments, 2, "objtype", "OBJECT") or "OBJECT").upper()
    short = session.backend.names.short
    found = session.backend.run("SELECT tsql.name_parts($1)", [old]).get_value(0, 0)
    assert found is not None
    parts = session.backend.run("SELECT unnest(tsql.name_parts($1))", [old])
    names = [short((parts.get_value(i, 0) or b"").decode()) for i in range(parts.ntuples)]
    renamed = quoted(short(new))
    if kind == "OBJECT":
        schema, name = ("dbo", *names)[-2:]
        known = session.backend.run(
            "SELECT c.relkind, k.conname, c.oid::regclass::text FROM (SELECT $1::text AS s, $2::text AS n) w "
            "LEFT JOIN pg_namespace p ON p.nspname = w.s "
            "LEFT JOIN pg_class c ON c.relname = w.n AND c.relnamespace = p.oid "
            "LEFT JOIN pg_constraint k ON k.conindid = c.oid",
            [schema, name],
        )
        what = known.get_value(0, 0)
        if what is None:
            raise Fault(15225, f"No item by the name of '{old}' could be found.")
        session.backend.run(
            f"ALTER {'INDEX' if what == b'i' else 'TABLE'} {quoted(schema)}.{quoted(name)} RENAME TO {renamed}"
        )
        return 0
    if kind == "COLUMN":
        schema, name, column = ("dbo", *names)[-3:]
        session.backend.run(f"ALTER TABLE {quoted(schema)}.{quoted(name)} RENAME COLUMN {quoted(column)} TO {renamed}")
        return 0
    if kind == "INDEX":
        schema, _table, index = ("dbo", *names)[-3:]
        session.backend.run(f"ALTER INDEX {quoted(schema)}.{quoted(index)} RENAME TO {renamed}")
        return 0
    message = f"the emulator does not rename {kind}"
    raise Refused(message)


def _property(session: Session, arguments: Arguments, _scope: Scope) -> int:
    """One property of one table, kept as its comment."""
    value = _argument(arguments, 1, "value")
    schema, name = _argument(arguments, 3, "level0name") or "", _argument(arguments, 5, "level1name") or ""
    short = session.backend.names.short
    spelled = "NULL" if value is None else "'" + value.replace("'", "''") + "'"
    session.backend.run(f"COMMENT ON TABLE {quoted(short(schema))}.{quoted(short(name))} IS {spelled}")
    return 0


# ------------------------------------------------------------------- what drivers ask


def _table_collations(session: Session, arguments: Arguments, scope: Scope) -> None:
    written = _argument(arguments, 0, "object") or ""
    names = session.backend.run(
        "SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE a.attrelid = CAST(tsql.object_id(CAST($1 AS tsql.nvarchar)) AS oid) AND a.attnum > 0 "
        "AND NOT a.attisdropped ORDER BY a.attnum",
        [written.replace("..", ".")],
    )
    rows = []
    for number in range(names.ntuples):
        name = session.backend.names.long((names.get_value(number, 0) or b"").decode())
        collation = BYTES[DEFAULT].hex()
        rows.append((number + 1, name, b"\\x" + collation.encode(), DEFAULT))
    scope.out += table(
        [("colid", "int4"), ("name", "sysname"), ("tds_collation", "varbinary"), ("collation", "sysname")], rows
    )
    scope.out += done(scope.token, MORE | 0x10, SELECT, len(rows))


def _enable_capture(session: Session, arguments: Arguments, _: Scope) -> int:
    schema, name = arguments.get("source_schema") or "", arguments.get("source_name") or ""
    instance = arguments.get("capture_instance") or f"{schema}_{name}"
    session.backend.run(f"SELECT tsql.enable_capture(CAST({_class(session, schema, name)} AS oid), $1)", [instance])
    return 0


def _disable_capture(session: Session, arguments: Arguments, _: Scope) -> int:
    schema, name = arguments.get("source_schema") or "", arguments.get("source_name") or ""
    instance = arguments.get("capture_instance") or "all"
    session.backend.run(f"SELECT tsql.disable_capture(CAST({_class(session, schema, name)} AS oid), $1)", [instance])
    return 0


def _clean_up(session: Session, arguments: Arguments, _: Scope) -> int:
    low = (arguments.get("low_water_mark") or "0x").removeprefix("0x")
    session.backend.run(
        "SELECT tsql.cdc_cleanup(CAST($1 AS tsql.nvarchar), CAST($2 AS tsql.varbinary))",
        [arguments.get("capture_instance"), f"\\x{low}"],
    )
    return 0


def _class(session: Session, schema: str, name: str) -> str:
    short = session.backend.names.short
    table = f"{quoted(short(schema))}.{quoted(short(name))}"
    return "CAST('" + table.replace("'", "''") + "' AS regclass)"


def _nothing(session: Session, arguments: Arguments, scope: Scope) -> int:
    del session, arguments, scope
    return 0


Procedure = Callable[["Session", Arguments, "Scope"], int]
_PROCEDURES: dict[str, Procedure] = {
    "sp_getapplock": _get_lock,
    "sp_releaseapplock": _release_lock,
    "sp_rename": _rename,
    "sp_addextendedproperty": _property,
    "sp_updateextendedproperty": _property,
    "sp_reset_connection": _nothing,
    "sp_tableoption": _nothing,
    "sp_cdc_enable_db": _nothing,
    "sp_cdc_enable_table": _enable_capture,
    "sp_cdc_disable_table": _disable_capture,
    "sp_cdc_cleanup_change_table": _clean_up,
}
