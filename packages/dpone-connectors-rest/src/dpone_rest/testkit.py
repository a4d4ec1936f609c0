"""How tests drive a REST API: the mock service is had, filled and changed behind the connector's back, over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from http.client import HTTPConnection
from importlib.metadata import version
from math import isfinite
from typing import Any
from urllib.parse import quote

from msgspec import Struct, field

from dpone.connector import AddColumn, Connector, Dataset, Json, RelaxColumn, WidenColumn
from dpone.schema import Kind, Type
from dpone.strategies import Read
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.ports import LOOPBACK
from dpone.testing.services.secret import Secret
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
from dpone_rest import connector as declared
from dpone_rest.control import REQUESTS, RequestsControl
from dpone_rest.mock.guard import Credentials
from dpone_rest.mock.server import ROOT, MockApi, serving
from dpone_rest.options import RestSource
from dpone_rest.samples import SAMPLES

_PAGE = 100
_SPECIAL = {name: said for said in ("NaN", "Infinity", "-Infinity") for name in (said.lower(), said[:-5].lower())}
_TABLES, _COLUMNS = Names(longest="n" * 200), Names(longest="n" * 255)
_OK = 200
_CURSOR_NAMES = ("updated_at", "c")  # of tables that are read by a cursor


class RestTestkit(Struct, frozen=True):
    connector: Connector[Any] = declared
    deviations: Sequence[Deviation] = ()
    tables: Names = _TABLES
    columns: Names = _COLUMNS
    cursors: frozenset[Kind] = frozenset(
        {Kind.INT, Kind.UINT, Kind.DECIMAL, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}
    )
    storable: frozenset[Kind] = field(default_factory=lambda: frozenset(Kind))
    mutations: frozenset[type[Mutation]] = frozenset({Insert, Update, Delete, Truncate})
    alterations: frozenset[type[Alteration]] = frozenset({AddColumn, WidenColumn, RelaxColumn, DropColumn})
    samples: Sequence[Sample] = SAMPLES
    control: RequestsControl = REQUESTS

    # ------------------------------------------------------------------- service

    def providers(self) -> Sequence[Provider]:
        return (Provider.EMBEDDED,)

    @contextmanager
    def service(self, provider: Provider) -> Iterator[Endpoint]:
        """The mock service, in a thread of this process: over HTTP it is as real as any."""
        token = Secret.generate()
        with serving(MockApi(Credentials("bearer", secret=token.reveal()))) as api:
            port = int(api.url.rpartition(":")[2].partition("/")[0])
            yield Endpoint(
                self.connector.name,
                LOOPBACK,
                {"http": port},
                provider,
                Fidelity.REAL,
                password=token,
                scheme="http",
                extra={"root": ROOT},
            )

    def identify(self, endpoint: Endpoint) -> Identity:
        return Identity(
            "mock API", version(self.connector.distribution), genuine=False, evidence="a service of our own"
        )

    def connection(self, endpoint: Endpoint) -> Mapping[str, Json]:
        token = endpoint.password.reveal() if endpoint.password else None
        return {"url": f"http://{endpoint.host}:{endpoint.port}{ROOT}", "token": token}

    # -------------------------------------------------------------------- source

    def dataset(self, endpoint: Endpoint, table: SeedTable) -> Dataset:
        """The collection by offset, its columns declared, and narrowed where it is read by a cursor."""
        given: dict[str, Any] = {
            "path": "tables/" + quote(table.label, safe=""),
            "records": "data",
            "count": "total",
            "pagination": {"type": "offset", "size": _PAGE},
            "columns": {
                f.name: {"type": str(self._type(f.native, f.type)), "nullable": f.nullable} for f in table.schema
            },
        }
        if table.schema.key:
            given["key"] = table.schema.key
        by = next((name for name in _CURSOR_NAMES if name in table.schema), None)
        if Read.SINCE in table.reads and by is not None:
            given |= {"params": {"by": by}, "timezone": "UTC"}
            if not table.schema[by].nullable:  # otherwise the API would hide the records without it
                given["since"] = {"params": {"since": "{since}", "until": "{until}"}}
        return RestSource.model_validate(given).dataset()

    def _type(self, native: str | None, of: Type) -> Type | str:
        """The type as it is declared: by its own name where that is no JSON's."""
        return of if native is None else self.connector.types.read(native)

    def seed(self, endpoint: Endpoint, table: SeedTable) -> None:
        self._put(endpoint, table, [self._record(table, row) for row in table.rows])

    def change(self, endpoint: Endpoint, table: SeedTable, mutations: Sequence[Mutation]) -> None:
        records = _Records(map(_decoded, self._get(endpoint, table)))
        for mutation in mutations:
            match mutation:
                case Insert(row=row):
                    records.add(_decoded(self._record(table, row)))
                case Update(key=key, values=values):
                    records.update(_decoded(self._part(table, key)), _decoded(self._part(table, values)))
                case Delete(key=key):
                    records.remove(_decoded(self._part(table, key)))
                case Truncate():
                    records = _Records(())
        self._put(endpoint, table, [_encoded(row) for row in records])

    def alter(self, endpoint: Endpoint, table: SeedTable, alteration: Alteration) -> None:
        """Records have another field from now on; a declared type is the manifest's, and changes there."""
        rows = [_decoded(text) for text in self._get(endpoint, table)]
        for row in rows:
            match alteration:
                case AddColumn(field=added):
                    row[added.name] = None
                case DropColumn(name=name):
                    row.pop(name, None)
                case _:
                    pass
        self._put(endpoint, table, [_encoded(row) for row in rows])

    def _record(self, table: SeedTable, row: Row) -> str:
        return self._part(table, {name: row.get(name) for name in table.schema.names})

    def _part(self, table: SeedTable, row: Row) -> str:
        pairs = (f"{json.dumps(name)}:{json_of(value, table.schema[name].type)}" for name, value in row.items())
        return "{" + ",".join(pairs) + "}"

    # ---------------------------------------------------------------------- HTTP

    def _put(self, endpoint: Endpoint, table: SeedTable, rows: Sequence[str]) -> None:
        self._ask(endpoint, "PUT", table, json.dumps(list(rows)))

    def _get(self, endpoint: Endpoint, table: SeedTable) -> list[str]:
        found: list[str] = json.loads(self._ask(endpoint, "GET", table, None))
        return found

    def _ask(self, endpoint: Endpoint, method: str, table: SeedTable, body: str | None) -> bytes:
        connection = HTTPConnection(endpoint.host, endpoint.port, timeout=30)
        token = endpoint.password.reveal() if endpoint.password else ""
        try:
            headers = {"Authorization": f"Bearer {token}"}
            path = f"{ROOT}/_tables/{quote(table.label, safe='')}"
            connection.request(method, path, None if body is None else body.encode(), headers)
            answer = connection.getresponse()
            found = answer.read()
        finally:
            connection.close()
        if answer.status != _OK:
            raise LookupError(table.label)
        return found


class _Records:
    """Records in their order, found by what some of their fields hold."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self._rows = dict(enumerate(rows))
        self._next = len(self._rows)
        self._by: tuple[str, ...] = ()
        # of the rows that hold these values in the fields `_by`
        self._numbers: dict[tuple[Any, ...], set[int]] = {(): set(self._rows)}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows.values())

    def add(self, row: dict[str, Any]) -> None:
        self._rows[self._next] = row
        self._enter(self._next)
        self._next += 1

    def update(self, wanted: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        for number in self._found(wanted):
            self._leave(number)
            self._rows[number].update(values)
            self._enter(number)

    def remove(self, wanted: Mapping[str, Any]) -> None:
        for number in self._found(wanted):
            self._leave(number)
            del self._rows[number]

    def _found(self, wanted: Mapping[str, Any]) -> list[int]:
        if self._by != tuple(wanted):
            self._by, self._numbers = tuple(wanted), {}
            for number in self._rows:
                self._enter(number)
        return sorted(self._numbers.get(tuple(wanted.values()), ()))

    def _enter(self, number: int) -> None:
        self._numbers.setdefault(self._held(number), set()).add(number)

    def _leave(self, number: int) -> None:
        self._numbers[self._held(number)].remove(number)

    def _held(self, number: int) -> tuple[Any, ...]:
        return tuple(self._rows[number].get(name) for name in self._by)


# ------------------------------------------------------------------ values as JSON


class _Exact(str):
    """A number as it is written."""

    __slots__ = ()


def _decoded(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text, parse_float=_Exact, parse_int=_Exact)
    return found


def _encoded(value: Any) -> str:
    match value:
        case _Exact():
            return str(value)
        case dict():
            return "{" + ",".join(f"{json.dumps(k)}:{_encoded(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_encoded, value)) + "]"
        case _:
            return json.dumps(value)


def json_of(value: Any, of: Type) -> str:
    """A seeded value as an API writes it."""
    match value:
        case None:
            return "null"
        case Native(text=text):
            return text
        case bool():
            return "true" if value else "false"
        case str() if of.kind is Kind.JSON:
            return value
        case bytes():
            return json.dumps(base64.b64encode(value).decode())
        case float() | Decimal():
            return str(value) if isfinite(value) else json.dumps(_SPECIAL[str(value).lower()])
        case int() if of.kind in {Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}:
            return json.dumps(_nanoseconds(value, of))
        case int():
            return str(value)
        case date() | time() | datetime():
            return json.dumps(value.isoformat())
        case list():
            return "[" + ",".join(json_of(item, of.items[0].type) for item in value) + "]"
        case dict():
            return (
                "{" + ",".join(f"{json.dumps(str(k))}:{json_of(v, _item(of, str(k)))}" for k, v in value.items()) + "}"
            )
        case _:
            return json.dumps(value)


def _item(of: Type, name: str) -> Type:
    return of.items[1].type if of.kind is Kind.MAP else next(f.type for f in of.items if f.name == name)


def _nanoseconds(value: int, of: Type) -> str:
    """Nanoseconds since midnight or 1970 as text, which Python's own times cannot say."""
    whole, rest = divmod(value, 10**9)
    at = datetime(1970, 1, 1) + timedelta(seconds=whole)  # noqa: DTZ001 - the zone is written below
    if of.kind is Kind.TIME:
        return f"{at:%H:%M:%S}.{rest:09}"
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest:09}" + ("Z" if of.kind is Kind.TIMESTAMPTZ else "")


testkit = RestTestkit()
