"""What dpone is measured beside: curl, which reads a SELECT and feeds an INSERT in a format of the server's own."""
# ruff: noqa: S608 - statements for a benchmark, of quoted identifiers and numbers

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from urllib.parse import urlencode

from msgspec import Struct, field

from dpone.batch import CH_NATIVE, PG_TEXT, Format
from dpone.connector import Dataset, Json, Target
from dpone.errors import MissingPackage, RemoteError
from dpone.names import print_name
from dpone.schema import Field, Kind, Schema
from dpone.testing.made import refuse_unmade
from dpone.testing.plain import JSON_LINES
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.native import ENGINE, parse_native, with_null
from dpone_clickhouse.state import SHAPES
from dpone_clickhouse.typemap import land

Command = tuple[Sequence[str], Mapping[str, str]]  # arguments, and the whole environment with what is secret

_NAMES = {CH_NATIVE: "Native", PG_TEXT: "TabSeparated", Format(JSON_LINES): "JSONEachRow"}
_SETTINGS = {
    "session_timezone": "UTC",
    "date_time_input_format": "best_effort",
    "input_format_json_read_objects_as_strings": "1",
    "output_format_json_quote_64bit_integers": "0",
}
# The password is on a descriptor of its own: neither among the arguments nor where the rows are read from.
_CURL = """
exec "$0" --silent --show-error --fail --header 'Expect:' --header "X-ClickHouse-User: $DPONE_BENCH_USER" \
--config /dev/fd/3 "$@" 3<<EOF
header = "X-ClickHouse-Key: $DPONE_BENCH_PASSWORD"
EOF
"""
_BARE = """
import os
from clickhouse_driver import Client
client = Client(os.environ["DPONE_BENCH_HOST"], int(os.environ["DPONE_BENCH_PORT"]),
                user=os.environ["DPONE_BENCH_USER"], password=os.environ["DPONE_BENCH_PASSWORD"])
client.connection.connect()
client.disconnect()
"""
_OK = 200

# A value of each kind from the number `i` of its row, one in ten NULL where the column may be; spread, not sorted.
_VALUES: Mapping[Kind, str] = {
    Kind.INT: "i * 7919 % 30011",
    Kind.STRING: "substring(concat(lower(hex(MD5(toString(i)))), repeat('x', i % 20)), 1, 40)",
    Kind.DECIMAL: "toDecimal64(i * 7919 % 100000007, 2) / 100",
    Kind.TIMESTAMPTZ: "addMicroseconds(toDateTime64('2024-01-01 00:00:00', 6, 'UTC'), i * 1000001)",
    Kind.TIMESTAMP: "addMicroseconds(toDateTime64('2024-01-01 00:00:00', 6, 'UTC'), i * 61250000)",
    Kind.DATE: "addDays(toDate32('2020-01-01'), i % 2000)",
    Kind.JSON: (
        'concat(\'{"number": \', toString(i), \', "text": "\', lower(hex(MD5(toString(i * 3)))), '
        '\'", "tags": ["a", \', toString(i % 7), \']}\')'
    ),
    Kind.UUID: "reinterpretAsUUID(MD5(toString(i * 5)))",
    Kind.BOOL: "i % 3 = 0",
    Kind.FLOAT: "sqrt(i)",
}


class CurlControl(Struct, frozen=True):
    """The control of ClickHouse, for the benchmark of dpone-certify."""

    gives: Mapping[Format, str] = field(
        default_factory=lambda: {name: f"curl SELECT FORMAT {word}" for name, word in _NAMES.items()}
    )
    takes: Mapping[Format, str] = field(
        default_factory=lambda: {name: f"curl INSERT FORMAT {word}" for name, word in _NAMES.items()}
    )
    keys: str = ""  # rows are sorted as they come

    def tells(self, schema: Schema) -> Schema:
        return schema

    def fill(self, endpoint: Endpoint, table: SeedTable, rows: int) -> Dataset:
        """The table holds `rows` rows with keys 1 to `rows`, made by numbers(), in one part."""
        name = _table(endpoint, table.label)
        values = ", ".join(_value(f, is_key=f.name in table.schema.key) for f in table.schema)
        _ask(endpoint, f"DROP TABLE IF EXISTS {name} SYNC")
        _ask(endpoint, _creation(name, table.schema))
        _ask(
            endpoint, f"INSERT INTO {name} SELECT {values} FROM (SELECT toInt64(number + 1) AS i FROM numbers({rows}))"
        )
        _ask(endpoint, f"OPTIMIZE TABLE {name} FINAL")
        return Dataset((_database(endpoint), table.label))

    def drop(self, endpoint: Endpoint, target: Target) -> None:
        """There is no such table, and dpone's own tables know of none."""
        _ask(endpoint, f"DROP TABLE IF EXISTS {CLICKHOUSE.table(target.name)} SYNC")
        for name in SHAPES:
            books = CLICKHOUSE.table((target.name[0], name))
            if int(_ask(endpoint, f"EXISTS TABLE {books}")):
                here = f"target = {CLICKHOUSE.text(print_name(target.name))}"
                _ask(endpoint, f"ALTER TABLE {books} DELETE WHERE {here} SETTINGS mutations_sync = 2")

    def prepare(self, endpoint: Endpoint, target: Target, schema: Schema) -> None:
        """An empty table, sorted by the key."""
        self.drop(endpoint, target)
        _ask(endpoint, _creation(CLICKHOUSE.table(target.name), schema))

    def sink_options(self, schema: Schema) -> Mapping[str, Json]:
        return {"order_by": list(schema.key)}

    def strategy_options(self, schema: Schema) -> Mapping[str, Json]:
        """None: no key is unique here, and to look for duplicates is more than the control does."""
        del schema
        return {}

    def reads(self, endpoint: Endpoint, dataset: Dataset, schema: Schema, wire: Format) -> Command:
        columns = CLICKHOUSE.names(schema.names)
        query = f"SELECT {columns} FROM {CLICKHOUSE.table(dataset.name)} FORMAT {_NAMES[wire]}"
        return _curl(endpoint, query, "--data-binary", "")

    def writes(self, endpoint: Endpoint, target: Target, schema: Schema, wire: Format) -> Command:
        columns = CLICKHOUSE.names(schema.names)
        query = f"INSERT INTO {CLICKHOUSE.table(target.name)} ({columns}) FORMAT {_NAMES[wire]}"
        return _curl(endpoint, query, "--request", "POST", "--upload-file", "-")

    def finishes(self, endpoint: Endpoint, target: Target, schema: Schema) -> Sequence[Sequence[Command]]:
        """Nothing: rows are sorted as they come."""
        del endpoint, target, schema
        return []

    def constraints(self, endpoint: Endpoint, target: Target) -> frozenset[str]:
        """The sorting key and the columns without NULL, as the catalogue has them."""
        here = f"database = {CLICKHOUSE.text(target.name[0])} AND"
        table = CLICKHOUSE.text(target.name[-1])
        keys = _ask(endpoint, f"SELECT 'ORDER BY ' || sorting_key FROM system.tables WHERE {here} name = {table}")
        required = _ask(
            endpoint,
            f"SELECT 'NOT NULL ' || name FROM system.columns WHERE {here} table = {table} "
            "AND NOT startsWith(type, 'Nullable')",
        )
        return frozenset([*keys.splitlines(), *required.splitlines()])

    def bare(self, endpoint: Endpoint) -> Command:
        where = {"DPONE_BENCH_HOST": endpoint.host, "DPONE_BENCH_PORT": str(endpoint.ports["native"])}
        return (sys.executable, "-c", _BARE), {**_inherited(), **_login(endpoint), **where}

    def rest(self, endpoint: Endpoint) -> None:
        """Nothing: parts are written as they come."""


def _value(of: Field, *, is_key: bool) -> str:
    refuse_unmade(of, _VALUES, is_key=is_key)
    made = f"CAST({'i' if is_key else _VALUES[of.type.kind]} AS {_native(of)})"
    return f"if((i + {len(of.name)}) % 10 = 0, NULL, {made})" if of.nullable else made


def _native(of: Field) -> str:
    native = parse_native(of.native_of(ENGINE) or land(of).native)
    return str(with_null(native) if of.nullable else native)


def _creation(name: str, schema: Schema) -> str:
    columns = ", ".join(f"{CLICKHOUSE.quote(f.name)} {_native(f)}" for f in schema)
    made = f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY ({CLICKHOUSE.names(schema.key)})"
    may_be_null = any(schema[name].nullable for name in schema.key)
    return f"{made} SETTINGS allow_nullable_key = 1" if may_be_null else made


def _table(endpoint: Endpoint, name: str) -> str:
    return CLICKHOUSE.table((_database(endpoint), name))


def _database(endpoint: Endpoint) -> str:
    return endpoint.database or "default"


def _curl(endpoint: Endpoint, query: str, *more: str) -> Command:
    shell, curl = shutil.which("sh"), shutil.which("curl")
    if shell is None or curl is None:
        raise MissingPackage("there is no curl to measure beside", install="curl")
    url = f"http://{endpoint.host}:{endpoint.ports['http']}/?{urlencode({'query': query, **_SETTINGS})}"
    return (shell, "-c", _CURL, curl, *more, url), {**_inherited(), **_login(endpoint)}


def _login(endpoint: Endpoint) -> dict[str, str]:
    password = endpoint.password.reveal() if endpoint.password else ""
    return {"DPONE_BENCH_USER": endpoint.user or "default", "DPONE_BENCH_PASSWORD": password}


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT") if name in os.environ}


def _ask(endpoint: Endpoint, statement: str) -> str:
    connection = HTTPConnection(endpoint.host, endpoint.ports["http"], timeout=600)
    login = {"X-ClickHouse-User": endpoint.user or "default"}
    if endpoint.password is not None:
        login["X-ClickHouse-Key"] = endpoint.password.reveal()
    try:
        connection.request("POST", "/?wait_end_of_query=1", body=statement.encode(), headers=login)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    finally:
        connection.close()
    if answer.status != _OK:
        raise RemoteError(f"the server refused a statement of the benchmark: {body[:300]}", code="benchmark.failed")
    return body


CURL = CurlControl()
