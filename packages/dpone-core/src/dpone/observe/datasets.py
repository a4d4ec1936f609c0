"""What the rest of the world calls the datasets of a stream, by OpenLineage's naming convention for each engine.

A connection that knows better says so by a method `dataset_name`; the engines of the specification are in a table
here. Names hold hosts, databases and tables, and nothing secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from dpone.connector import Config
from dpone.errors import DponeError, PlanError
from dpone.events import ColumnFlow, DatasetName
from dpone.loopback import before_port
from dpone.manifest.models import SinkEnd, SourceEnd, Stream
from dpone.names import print_name
from dpone.plan import Plan, system_columns
from dpone.schema import Field, Landing

Name = tuple[str, ...]
_MSSQL_PORT, _KAFKA_PORT = 1433, 9092


@runtime_checkable
class NamesDatasets(Protocol):
    """A connection's configuration that names its datasets itself."""

    def dataset_name(self, name: tuple[str, ...]) -> tuple[str, str]: ...  # namespace, name


def _postgres(config: Any, name: Name) -> tuple[str, str]:
    return f"postgres://{before_port(config.host)}:{config.port}", ".".join((config.database, *name))


def _mssql(config: Any, name: Name) -> tuple[str, str]:
    place = (
        f"{config.host}/{config.instance}"
        if config.instance
        else f"{before_port(config.host)}:{config.port or _MSSQL_PORT}"
    )
    return f"mssql://{place}", ".".join((config.database, *name))


def _clickhouse(config: Any, name: Name) -> tuple[str, str]:
    # the specification has no row for it; JDBC and dbt reach it over HTTP and name it by that port
    return f"clickhouse://{before_port(config.host)}:{config.ports[1]}", ".".join(
        name if len(name) > 1 else (config.database, *name)
    )


def _bigquery(config: Any, name: Name) -> tuple[str, str]:
    before = (config.project, config.dataset or "")[: max(0, 3 - len(name))]
    return "bigquery", ".".join(part for part in (*before, *name) if part)


def _kafka(config: Any, name: Name) -> tuple[str, str]:
    first = config.brokers.split(",")[0].strip()
    return f"kafka://{first if ':' in first else f'{first}:{_KAFKA_PORT}'}", ".".join(name)


def _rest(config: Any, name: Name) -> tuple[str, str]:
    parts = urlsplit(config.url)
    path = "/".join(part.strip("/") for part in (parts.path, *name) if part.strip("/"))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", f"/{path}"


CONVENTIONS: Mapping[str, Callable[[Any, Name], tuple[str, str]]] = MappingProxyType(
    {
        "postgres": _postgres,
        "mssql": _mssql,
        "clickhouse": _clickhouse,
        "bigquery": _bigquery,
        "kafka": _kafka,
        "rest": _rest,
    }
)


def dataset_name(connector: str, connection: str, config: Config, name: Name) -> DatasetName:
    """The dataset's name in the world; of an engine without a convention, by the connection's own name."""
    if isinstance(config, NamesDatasets):
        return DatasetName(*config.dataset_name(name))
    if (convention := CONVENTIONS.get(connector)) is not None:
        return DatasetName(*convention(config, name))
    return DatasetName(f"{connector}://{connection}", print_name(name))


def named(end: SourceEnd | SinkEnd) -> DatasetName | None:
    """The dataset of one end; None for a query, and for a connection that cannot be resolved, as the run will say."""
    try:
        return dataset_of(end, end.connection.resolve())
    except DponeError:
        return None


def dataset_of(end: SourceEnd | SinkEnd, config: Config) -> DatasetName | None:
    """The dataset of an end whose connection is this; None for a query."""
    name = end.options.dataset().name if isinstance(end, SourceEnd) else end.options.target().name
    return dataset_name(end.connector.name, end.connection.name, config, name) if name else None


def refuse_itself(reads: DatasetName | None, writes: DatasetName | None) -> None:
    """Raises where a stream reads the very dataset that it writes, as far as their names tell."""
    if reads is not None and reads == writes:
        raise PlanError(
            f"source and target are one: {reads.name} at {reads.namespace}",
            code="plan.onto_itself",
            hint="write somewhere else: what is added to a table while it is read to be exchanged would be lost",
        )


def flows(stream: Stream, plan: Plan) -> tuple[ColumnFlow, ...]:
    """Every column of the target, those that dpone adds included, and where its values come from."""
    sink = stream.sink.connector
    carried = tuple(
        ColumnFlow(
            c.field.name,
            c.landing.native,
            c.column.source,
            _spelled(c.found, plan.source.connector),
            c.change.kind.value if c.change else None,
        )
        for c in plan.columns
    )
    added = system_columns(plan.load, plan.rule.program(plan.load), audit=plan.audit)
    return (*carried, *(ColumnFlow(c.field.name, _landed(sink.types.land, c.field)) for c in added))


def deciding(plan: Plan) -> tuple[str, ...]:
    """The source's columns that decide which rows are read: those of the filter, the cursor, and the bounds."""
    sources = {c.column.name: c.column.source for c in plan.columns}
    asked = [condition.column for condition in plan.load.where]
    if plan.cursor is not None:
        asked.append(plan.cursor.column)
    if plan.load.bounds is not None and plan.load.slice_column is not None:
        asked.append(plan.load.slice_column)
    return tuple(dict.fromkeys(sources.get(name, name) for name in asked))


def _spelled(field: Field, engine: str) -> str:
    return field.native_of(engine) or str(field.type)


def _landed(land: Callable[[Field], Landing], field: Field) -> str:
    return land(field).native
