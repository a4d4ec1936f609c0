"""How tests drive ClickHouse: it is had, filled, changed and read behind the connector's back, over plain HTTP."""
# ruff: noqa: S608 - statements for tests, of quoted identifiers and literals

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Any, assert_never
from urllib.parse import urlencode
from uuid import uuid4

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.connector import AddColumn, Connector, Dataset, Json, RelaxColumn, Target, WidenColumn
from dpone.schema import Field, Kind
from dpone.testing.losing import losing_answers
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.secret import Secret
from dpone.testing.services.service import Service
from dpone.testing.testkit import (
    Alteration,
    Delete,
    Deviation,
    DropColumn,
    Identity,
    Insert,
    Mutation,
    Names,
    Native,
    Sample,
    SeedTable,
    Truncate,
    Update,
)
from dpone.where import Row
from dpone_clickhouse import ClickHouseConfig
from dpone_clickhouse import connector as declared
from dpone_clickhouse.catalog import DELETED, VERSION
from dpone_clickhouse.control import CURL, CurlControl
from dpone_clickhouse.lease import digest_of
from dpone_clickhouse.native import ENGINE, parse_native, with_null
from dpone_clickhouse.publishing import EXCHANGE
from dpone_clickhouse.samples import SAMPLES
from dpone_clickhouse.state import CHUNKS, LOADS, STATE

if TYPE_CHECKING:
    import pyarrow as pa

GIVEN = "DPONE_CONN_CLICKHOUSE_LIVE"  # a URL
_NAMES = Names(longest="n" * 127, too_long="n" * 128)
_MISSING = frozenset({60, 81})
# Read by text: Arrow has no such type, or another server would name it differently.
_BY_TEXT = (
    "BFloat16",
    "Enum",
    "UUID",
    "IPv",
    "Int128",
    "Int256",
    "UInt128",
    "UInt256",
    "JSON",
    "Dynamic",
    "Variant",
    "Interval",
)

_OF_VERSIONS = frozenset({VERSION, DELETED})
_TOGETHER = 500  # rows of one INSERT

_services: dict[int, Service] = {}  # by port, so that a crash finds its service


class ServerError(Exception):
    """The server refused a statement of a test."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class ClickHouseTestkit(Struct, frozen=True):
    connector: Connector[Any] = declared
    deviations: Sequence[Deviation] = ()
    tables: Names = _NAMES
    columns: Names = _NAMES
    cursors: frozenset[Kind] = frozenset({Kind.INT, Kind.UINT, Kind.DECIMAL, Kind.DATE, Kind.TIMESTAMPTZ})
    storable: frozenset[Kind] = field(default_factory=lambda: frozenset(Kind) - {Kind.TIMESTAMP})
    mutations: frozenset[type[Mutation]] = frozenset({Insert, Update, Delete, Truncate})
    alterations: frozenset[type[Alteration]] = frozenset({AddColumn, WidenColumn, RelaxColumn, DropColumn})
    samples: Sequence[Sample] = SAMPLES
    control: CurlControl = CURL  # what dpone is measured beside
    options: Mapping[str, Json] = field(default_factory=dict)  # of every target
    final: bool = False  # readers say FINAL

    # ------------------------------------------------------------------- service

    def providers(self) -> Sequence[Provider]:
        found = [Provider.EMBEDDED] if find_spec("chdb") else []
        if find_spec("docker"):
            from dpone.testing.services.docker import why_unavailable

            found += [] if why_unavailable() else [Provider.DOCKER]
        return (*found, *([Provider.GIVEN] if os.environ.get(GIVEN) else []))

    @contextmanager
    def service(self, provider: Provider) -> Iterator[Endpoint]:
        if provider is Provider.GIVEN:
            with _given() as endpoint:
                yield endpoint
            return
        service = _service(provider)
        with service as endpoint:
            _services[endpoint.port] = service
            yield endpoint
            del _services[endpoint.port]

    def identify(self, endpoint: Endpoint) -> Identity:
        version = _ask(endpoint, "SELECT version()").strip()
        genuine = endpoint.provider in {Provider.DOCKER, Provider.GIVEN}
        return Identity("ClickHouse", version, genuine, f"version() says {version}; had as {endpoint.provider}")

    def connection(self, endpoint: Endpoint) -> Mapping[str, Json]:
        return {
            "host": endpoint.host,
            "port": endpoint.ports["native"],
            "http_port": endpoint.ports["http"],
            "user": endpoint.user,
            "password": endpoint.password.reveal() if endpoint.password else None,
            "database": endpoint.database,
        }

    # -------------------------------------------------------------------- source

    def dataset(self, endpoint: Endpoint, table: SeedTable) -> Dataset:
        return Dataset((endpoint.database or "default", table.label))

    def seed(self, endpoint: Endpoint, table: SeedTable) -> None:
        name = _quote(table.label)
        _ask(endpoint, f"DROP TABLE IF EXISTS {name} SYNC")
        columns = ", ".join(f"{_quote(f.name)} {self._native(f)}" for f in table.schema)
        key = ", ".join(map(_quote, table.schema.key))
        _ask(
            endpoint,
            f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY ({key}) SETTINGS allow_nullable_key = 1",
        )
        if table.rows:
            self._insert(endpoint, table, table.rows)

    def _native(self, of: Field) -> str:
        native = parse_native(of.native_of(ENGINE) or self.connector.types.land(of).native)
        return str(with_null(native) if of.nullable else native)

    def _insert(self, endpoint: Endpoint, table: SeedTable, rows: Sequence[Row]) -> None:
        """Rows that name the same columns together, a few at a time: what is not named is NULL without being said."""
        alike: dict[tuple[str, ...], list[Row]] = {}
        required = {f.name for f in table.schema if not f.nullable}
        for row in rows:
            names = tuple(n for n in table.schema.names if row.get(n) is not None or n in required)
            alike.setdefault(names or table.schema.names, []).append(row)
        for names, some in alike.items():
            columns = ", ".join(map(_quote, names))
            for start in range(0, len(some), _TOGETHER):
                part = some[start : start + _TOGETHER]
                listed = ", ".join(f"({', '.join(self._value(table, n, row.get(n)) for n in names)})" for row in part)
                _ask(endpoint, f"INSERT INTO {_quote(table.label)} ({columns}) VALUES {listed}")

    def _value(self, table: SeedTable, name: str, value: object) -> str:
        if isinstance(value, Native):
            return value.text
        return "NULL" if value is None else f"CAST({_literal(value)}, {_text(self._native(table.schema[name]))})"

    def change(self, endpoint: Endpoint, table: SeedTable, mutations: Sequence[Mutation]) -> None:
        name = _quote(table.label)
        for kind, run in groupby(mutations, type):
            batch = list(run)
            rows = self._whole_rows(table, batch)
            if rows is not None:  # each statement rewrites parts, so that thousands are carried out as one
                if kind is not Insert:
                    gone = " OR ".join(f"({self._pairs(table, m.key, ' AND ')})" for m in batch)  # type: ignore[union-attr]  # no Insert
                    _ask(endpoint, f"ALTER TABLE {name} DELETE WHERE {gone} SETTINGS mutations_sync = 2")
                if rows:
                    self._insert(endpoint, table, rows)
                continue
            self._one_by_one(endpoint, table, batch)

    def _whole_rows(self, table: SeedTable, batch: Sequence[Mutation]) -> list[Row] | None:
        """The rows that a batch of one kind leaves in the place of its keys; None when that cannot be said."""
        keys = [tuple(m.key.items()) for m in batch if isinstance(m, Update | Delete)]
        if len(set(keys)) != len(keys) or any(isinstance(m, Truncate) for m in batch):
            return None
        rows: list[Row] = []
        for mutation in batch:
            match mutation:
                case Insert(row=row):
                    rows.append(row)
                case Update(key=key, values=values):
                    if values.keys() & key.keys() or {*key, *values} != set(table.schema.names):
                        return None
                    rows.append({**key, **values})
                case _:
                    pass
        return rows

    def _one_by_one(self, endpoint: Endpoint, table: SeedTable, mutations: Sequence[Mutation]) -> None:
        name = _quote(table.label)
        for mutation in mutations:
            match mutation:
                case Insert(row=row):
                    self._insert(endpoint, table, [row])
                case Update(key=key, values=values) if values.keys() & set(table.schema.key):
                    columns = ", ".join(map(_quote, table.schema.names))
                    new = ", ".join(
                        self._value(table, n, values[n]) if n in values else _quote(n) for n in table.schema.names
                    )
                    where = self._pairs(table, key, " AND ")
                    _ask(endpoint, f"INSERT INTO {name} ({columns}) SELECT {new} FROM {name} WHERE {where}")
                    _ask(endpoint, f"ALTER TABLE {name} DELETE WHERE {where} SETTINGS mutations_sync = 2")
                case Update(key=key, values=values):
                    sets, where = self._pairs(table, values, ", "), self._pairs(table, key, " AND ")
                    _ask(endpoint, f"ALTER TABLE {name} UPDATE {sets} WHERE {where} SETTINGS mutations_sync = 2")
                case Delete(key=key):
                    where = self._pairs(table, key, " AND ")
                    _ask(endpoint, f"ALTER TABLE {name} DELETE WHERE {where} SETTINGS mutations_sync = 2")
                case Truncate():
                    _ask(endpoint, f"TRUNCATE TABLE {name}")

    def _pairs(self, table: SeedTable, row: Row, between: str) -> str:
        return between.join(f"{_quote(n)} = {self._value(table, n, v)}" for n, v in row.items())

    def alter(self, endpoint: Endpoint, table: SeedTable, alteration: Alteration) -> None:
        match alteration:
            case AddColumn(field=added):
                action = f"ADD COLUMN {_quote(added.name)} {self._native(added)}"
            case WidenColumn(field=wide):
                action = f"MODIFY COLUMN {_quote(wide.name)} {self._native(wide)}"
            case RelaxColumn(name=name):
                action = f"MODIFY COLUMN {_quote(name)} {self._native(replace(table.schema[name], nullable=True))}"
            case DropColumn(name=name):
                action = f"DROP COLUMN {_quote(name)}"
            case _:
                assert_never(alteration)
        _ask(endpoint, f"ALTER TABLE {_quote(table.label)} {action} SETTINGS mutations_sync = 2, alter_sync = 2")

    # ---------------------------------------------------------------------- sink

    def target(self, endpoint: Endpoint, label: str) -> Target:
        return Target((endpoint.database or "default", label), self.options)

    def rows(self, endpoint: Endpoint, target: Target) -> pa.Table:
        import pyarrow as pa

        name = ".".join(map(_quote, target.name))
        try:
            described = json.loads(_ask(endpoint, f"DESCRIBE TABLE {name} FORMAT JSONCompact"))["data"]
            columns = ", ".join(_read(column, kind) for column, kind, *_ in described if column not in _OF_VERSIONS)
            found = _send(endpoint, f"SELECT {columns} FROM {name}{' FINAL' if self.final else ''} FORMAT ArrowStream")
        except ServerError as error:
            if error.code in _MISSING:
                raise LookupError(name) from None
            raise
        table = pa.ipc.open_stream(found).read_all()
        return pa.table([_text_where_it_is(c) for c in table.columns], names=table.column_names)

    # --------------------------------------------------------------- what goes wrong

    def crash(self, endpoint: Endpoint) -> None:
        service = _services[endpoint.port]
        service.kill()
        service.start()

    def lose_commit_answer(self, endpoint: Endpoint) -> AbstractContextManager[None]:
        return losing_answers(endpoint, EXCHANGE)

    def forget_state(self, endpoint: Endpoint, target: Target) -> None:
        from dpone.names import print_name

        for name in (STATE, LOADS, CHUNKS):
            where = f"target = {_text(print_name(target.name))}"
            _ask(endpoint, f"ALTER TABLE {_quote(name)} DELETE WHERE {where} SETTINGS mutations_sync = 2")

    def forget_marker(self, endpoint: Endpoint, target: Target) -> None:
        _ask(endpoint, f"ALTER TABLE {'.'.join(map(_quote, target.name))} MODIFY COMMENT ''")

    def remove(self, endpoint: Endpoint, target: Target) -> None:
        _ask(endpoint, f"DROP TABLE {'.'.join(map(_quote, target.name))} SYNC")

    def leftovers(self, endpoint: Endpoint, target: Target) -> Sequence[str]:
        database, table = target.name
        prefix = _text(f"_dpone_{digest_of((database, table))}")
        return _ask(endpoint, f"SELECT name FROM system.tables WHERE startsWith(name, {prefix})").splitlines()


# ------------------------------------------------------------------------- services


def _service(provider: Provider) -> Service:
    if provider is Provider.EMBEDDED:
        from dpone_clickhouse.embedded import EmbeddedClickHouse

        return EmbeddedClickHouse()
    from dpone.testing.services.docker import ComposeService, Composition

    return ComposeService(
        Composition(
            "clickhouse",
            "clickhouse",
            {"native": "DPONE_CLICKHOUSE_PORT", "http": "DPONE_CLICKHOUSE_HTTP_PORT"},
            user="dpone",
            password_variable="DPONE_CLICKHOUSE_PASSWORD",  # noqa: S106 - a variable's name
            database="dpone",
        )
    )


@contextmanager
def _given() -> Iterator[Endpoint]:
    """A database of our own on the server that the environment names; it is gone afterwards."""
    from dpone.manifest.connections import from_url

    config = from_url(os.environ[GIVEN], declared).resolve({})
    assert isinstance(config, ClickHouseConfig)
    native, http = config.ports
    server = Endpoint(
        connector="clickhouse",
        host=config.host,
        ports={"native": native, "http": http},
        provider=Provider.GIVEN,
        fidelity=Fidelity.VENDOR,
        user=config.user,
        password=Secret(config.password.get_secret_value()) if config.password else None,
        database=config.database,
    )
    own = f"dpone_test_{uuid4().hex[:12]}"
    _ask(server, f"CREATE DATABASE {own}")
    try:
        yield replace(server, database=own)
    finally:
        _ask(server, f"DROP DATABASE {own} SYNC")


# ---------------------------------------------------------------------------- wire


def _send(endpoint: Endpoint, statement: str) -> bytes:
    """The server's whole answer."""
    settings = {
        "database": endpoint.database or "default",
        "session_timezone": "UTC",
        "output_format_arrow_compression_method": "none",
        "output_format_arrow_low_cardinality_as_dictionary": 0,
        "output_format_arrow_string_as_string": 0,  # a String holds any bytes
        "allow_suspicious_low_cardinality_types": 1,
        "wait_end_of_query": 1,
        "flatten_nested": 0,
        "max_query_size": 1 << 28,
        "max_ast_elements": 10_000_000,
        "max_expanded_ast_elements": 10_000_000,
    }
    connection = HTTPConnection(endpoint.host, endpoint.ports["http"], timeout=60)
    login = {"X-ClickHouse-User": endpoint.user or "default"}
    if endpoint.password is not None:
        login["X-ClickHouse-Key"] = endpoint.password.reveal()
    try:
        connection.request("POST", f"/?{urlencode(settings)}", body=statement.encode(), headers=login)
        answer = connection.getresponse()
        body = answer.read()
        if (code := answer.getheader("X-ClickHouse-Exception-Code")) is not None:
            raise ServerError(int(code), body.decode(errors="replace")[:500])
        return body
    finally:
        connection.close()


def _ask(endpoint: Endpoint, statement: str) -> str:
    return _send(endpoint, statement).decode()


def _quote(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"


def _literal(value: object) -> str:
    """A literal that CAST takes to the column's type."""
    match value:
        case bytes():
            return f"unhex('{value.hex()}')"
        case datetime():
            at = value.astimezone(UTC) if value.tzinfo else value
            digits = at.replace(tzinfo=None).isoformat(" ", "microseconds")
            return f"toDateTime64('{digits}', 6, 'UTC')"
        case list():
            return f"[{', '.join('NULL' if v is None else _literal(v) for v in value)}]"
        case dict():
            if not value:
                return "map()"
            if all(isinstance(k, str) for k in value) and len({type(v) for v in value.values()}) == 1:
                return f"map({', '.join(f'{_literal(k)}, {_literal(v)}' for k, v in value.items())})"
            return f"tuple({', '.join('NULL' if v is None else _literal(v) for v in value.values())})"
        case bool():
            return "true" if value else "false"
        case _:
            return _text(str(value))


def _text_where_it_is(column: Any) -> Any:
    import pyarrow as pa

    if not pa.types.is_binary(column.type):
        return column
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return column


def _read(column: str, kind: str) -> str:
    """The column as Arrow can hold it."""
    name = _quote(column)
    plain = kind.removeprefix("LowCardinality(").removeprefix("Nullable(")
    if plain.startswith("DateTime") and not plain.startswith("DateTime64"):
        return (
            f"toDateTime64({name}, 0, 'UTC') AS {name}"  # otherwise a number of seconds without a word that it is one
        )
    return f"toString({name}) AS {name}" if plain.startswith(_BY_TEXT) else name


testkit = ClickHouseTestkit()
replacing = ClickHouseTestkit(options={"engine": "replacing"}, final=True)  # the same, with tables that keep versions
