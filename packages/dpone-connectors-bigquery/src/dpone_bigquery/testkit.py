"""How tests drive BigQuery: it is had as an emulator, and read behind the connector's back, over plain HTTP."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from http.client import HTTPConnection
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace

from dpone.connector import Connector, Json, Target
from dpone.errors import RemoteError
from dpone.testing.losing import losing_answers
from dpone.testing.services.endpoint import URL_QUERY, Endpoint, Fidelity, Provider
from dpone.testing.services.service import Service
from dpone.testing.testkit import HOSTILE_LABELS, Deviation, Identity, Names
from dpone_bigquery import BigQueryConfig
from dpone_bigquery import connector as declared
from dpone_bigquery.control import LOAD_JOB, LoadJobControl
from dpone_bigquery.naming import LEFTOVER, Name

if TYPE_CHECKING:
    import pyarrow as pa

GIVEN = "DPONE_CONN_BIGQUERY_LIVE"  # a URL
_EMULATED = ("duckdb", "sqlglot", "pyarrow", "google.cloud.bigquery")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ADDRESS = "endpoint"  # among what an endpoint holds beside: where the emulator answers
_services: dict[str, Service] = {}  # by address, so that a crash finds its service

# What BigQuery's documentation says of names: letters, marks, digits, connectors, dashes; of tables also a space, of
# columns also some signs.
_IN_TABLES = {"select", "Order Lines", "UPPER_and_lower", "-dash-1st"}
_IN_COLUMNS = {*_IN_TABLES, "single'quote"}
_TABLES = Names("n" * 1024, "n" * 1025, frozenset(HOSTILE_LABELS) - _IN_TABLES)
_COLUMNS = Names("n" * 300, "n" * 301, frozenset(HOSTILE_LABELS) - _IN_COLUMNS)
_DEVIATIONS = (
    Deviation(
        "test_names::test_targets_whose_names_differ_little_are_two",
        Fidelity.EMULATED,
        "DuckDB, which the emulator stands on, takes names that differ in case alone for one",
        "docs/testing/bigquery-emulators.md#what-ours-does-not-do",
        "sink.table_missing",
    ),
)


class BigQueryTestkit(Struct, frozen=True):
    connector: Connector[Any] = declared
    deviations: Sequence[Deviation] = _DEVIATIONS
    tables: Names = _TABLES
    columns: Names = _COLUMNS
    control: LoadJobControl = LOAD_JOB

    # ------------------------------------------------------------------- service

    def providers(self) -> Sequence[Provider]:
        emulated = [Provider.EMULATED] if all(map(_is_installed, _EMULATED)) else []
        return (*emulated, *([Provider.GIVEN] if os.environ.get(GIVEN) else []))

    @contextmanager
    def service(self, provider: Provider) -> Iterator[Endpoint]:
        if provider is Provider.GIVEN:
            with _given() as endpoint:
                yield endpoint
            return
        from dpone_bigquery.emulator.service import EmulatedBigQuery

        service = EmulatedBigQuery()
        with service as started:
            address = f"http://{started.host}:{started.port}"
            _services[address] = service
            # a connection to BigQuery names a project, and no host with a port
            asked = urlencode({"auth": "anonymous", "endpoint": address})
            yield replace(started, host=started.extra["project"], ports={}, extra={_ADDRESS: address, URL_QUERY: asked})
            del _services[address]

    def identify(self, endpoint: Endpoint) -> Identity:
        if endpoint.provider is Provider.GIVEN:
            return Identity("BigQuery", "v2", genuine=True, evidence="Google's own address answers, over TLS")
        version = _version()
        return Identity(
            "DuckDB behind BigQuery's interface", version, genuine=False, evidence="we started it ourselves"
        )

    def connection(self, endpoint: Endpoint) -> Mapping[str, Json]:
        if endpoint.provider is Provider.GIVEN:
            return {**_of_environment().model_dump(mode="json", exclude_none=True), "dataset": endpoint.database}
        return {
            "project": endpoint.host,
            "dataset": endpoint.database,
            "auth": "anonymous",
            "endpoint": endpoint.extra[_ADDRESS],
        }

    # ---------------------------------------------------------------------- sink

    def target(self, endpoint: Endpoint, label: str) -> Target:
        return Target((endpoint.database or "", label))

    def rows(self, endpoint: Endpoint, target: Target) -> pa.Table:
        """By `tabledata.list`, which no code of the sink calls."""
        import pyarrow as pa

        path = f"/datasets/{target.name[-2]}/tables/{quote(target.name[-1], safe='')}"
        fields = _ask(endpoint, "GET", path)["schema"]["fields"]
        columns: list[list[Any]] = [[] for _ in fields]
        token = ""
        while True:
            page = _ask(endpoint, "GET", f"{path}/data?maxResults=10000&pageToken={token}")
            for row in page.get("rows", ()):
                for column, cell, of in zip(columns, row["f"], fields, strict=True):
                    value = cell["v"]
                    column.append(None if value is None else _value(value, of))
            token = page.get("pageToken") or ""
            if not token:
                break
        arrays = [pa.array(column, _arrow(of)) for column, of in zip(columns, fields, strict=True)]
        return pa.table(arrays, names=[of["name"] for of in fields])

    # --------------------------------------------------------------- what goes wrong

    def crash(self, endpoint: Endpoint) -> None:
        service = _services[endpoint.extra[_ADDRESS]]
        service.kill()
        service.start()

    def lose_commit_answer(self, endpoint: Endpoint) -> AbstractContextManager[None]:
        from dpone_bigquery.publishing import COMMIT, SHOW

        return losing_answers(endpoint, COMMIT, SHOW)

    def remove(self, endpoint: Endpoint, target: Target) -> None:
        _ask(endpoint, "DELETE", f"/datasets/{target.name[-2]}/tables/{quote(target.name[-1], safe='')}")

    def leftovers(self, endpoint: Endpoint, target: Target) -> Sequence[str]:
        dataset, table = target.name[-2:]
        digest = Name(endpoint.host, dataset, table).digest
        found = _ask(endpoint, "GET", f"/datasets/{dataset}/tables").get("tables", ())
        names = [t["tableReference"]["tableId"] for t in found]
        return [name for name in names if (made := LEFTOVER.fullmatch(name)) and made[1] == digest]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _version() -> str:
    from importlib.metadata import version

    return f"duckdb {version('duckdb')}"


def _of_environment() -> BigQueryConfig:
    from dpone.manifest.connections import from_url

    config = from_url(os.environ[GIVEN], declared).resolve({})
    assert isinstance(config, BigQueryConfig)
    return config


@contextmanager
def _given() -> Iterator[Endpoint]:
    """A dataset of our own in the project that the environment names; it is gone afterwards."""
    from google.cloud import bigquery

    from dpone_bigquery.warehouse import connected

    config = _of_environment()
    dataset = f"dpone_test_{uuid4().hex[:12]}"
    with connected(config) as warehouse:
        made = bigquery.Dataset(bigquery.DatasetReference(config.project, dataset))
        made.location = config.location
        made.default_table_expiration_ms = int(timedelta(days=1).total_seconds() * 1000)
        warehouse.client.create_dataset(made)
        try:
            yield Endpoint(
                connector="bigquery",
                host=config.project,
                ports={},
                provider=Provider.GIVEN,
                fidelity=Fidelity.VENDOR,
                database=dataset,
            )
        finally:
            warehouse.client.delete_dataset(made, delete_contents=True)


# ---------------------------------------------------------------------------- wire


def _ask(endpoint: Endpoint, method: str, path: str) -> dict[str, Any]:
    whole = f"/bigquery/v2/projects/{endpoint.host}{path}"
    if endpoint.provider is Provider.GIVEN:
        return _ask_vendor(method, f"https://bigquery.googleapis.com{whole}", path)
    connection = HTTPConnection(endpoint.extra[_ADDRESS].removeprefix("http://"), timeout=60)
    try:
        connection.request(method, whole)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    return _read(answer.status, body, path)


def _ask_vendor(method: str, address: str, path: str) -> dict[str, Any]:
    from google.auth.transport.requests import AuthorizedSession

    from dpone_bigquery.credentials import credentials_of

    scopes = ("https://www.googleapis.com/auth/bigquery",)
    session = AuthorizedSession(credentials_of(_of_environment(), scopes))  # type: ignore[no-untyped-call]  # the library has no types
    answer = session.request(method, address, timeout=60)  # type: ignore[no-untyped-call]  # no types either
    return _read(answer.status_code, answer.content, path)


def _read(status: int, body: bytes, path: str) -> dict[str, Any]:
    if status == 404:  # noqa: PLR2004 - not found
        raise LookupError(path)
    if status not in {200, 204}:
        raise RemoteError(f"{path} was answered by {status}", code="service.not_ready")
    found: dict[str, Any] = json.loads(body or b"{}")
    return found


def _value(value: Any, of: Mapping[str, Any], *, repeated: bool = True) -> Any:
    """A cell as a Python value."""
    if repeated and of.get("mode") == "REPEATED":
        return [_value(cell["v"], of, repeated=False) for cell in value]
    if value is None:
        return None
    match of["type"]:
        case "INTEGER" | "INT64":
            return int(value)
        case "FLOAT" | "FLOAT64":
            return float(value)
        case "BOOLEAN" | "BOOL":
            return value == "true"
        case "NUMERIC" | "BIGNUMERIC":
            return Decimal(value)
        case "BYTES":
            return base64.b64decode(value)
        case "DATE":
            return date.fromisoformat(value)
        case "TIME":
            return time.fromisoformat(value)
        case "DATETIME":
            return datetime.fromisoformat(value)
        case "TIMESTAMP":
            return _instant(value)
        case "RECORD" | "STRUCT":
            cells = zip(of["fields"], value["f"], strict=True)
            return {part["name"]: _value(cell["v"], part) for part, cell in cells}
        case _:
            return value


def _instant(value: str) -> datetime:
    """Microseconds, or seconds with a fraction and an exponent, as the interface answers unless told otherwise."""
    if "." in value or "E" in value:
        return _EPOCH + timedelta(microseconds=int(Decimal(value) * 1_000_000))
    return _EPOCH + timedelta(microseconds=int(value))


def _arrow(of: Mapping[str, Any], *, repeated: bool = True) -> Any:
    import pyarrow as pa

    if repeated and of.get("mode") == "REPEATED":
        return pa.list_(_arrow(of, repeated=False))
    plain = {
        "INTEGER": pa.int64(),
        "INT64": pa.int64(),
        "FLOAT": pa.float64(),
        "FLOAT64": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "BOOL": pa.bool_(),
        "NUMERIC": pa.decimal128(38, 9),
        "BIGNUMERIC": pa.decimal256(76, 38),
        "BYTES": pa.binary(),
        "DATE": pa.date32(),
        "TIME": pa.time64("us"),
        "DATETIME": pa.timestamp("us"),
        "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    }
    if of["type"] in {"RECORD", "STRUCT"}:
        return pa.struct([(part["name"], _arrow(part)) for part in of["fields"]])
    return plain.get(of["type"], pa.string())


testkit = BigQueryTestkit()
