"""What dpone is measured beside: google-cloud-bigquery alone, by one load job of JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from dpone.batch import Format
from dpone.connector import Json, Target
from dpone.schema import Schema
from dpone.testing.plain import JSON_LINES
from dpone.testing.services.endpoint import Endpoint
from dpone_bigquery.config import BigQueryConfig

if TYPE_CHECKING:
    from dpone_bigquery.warehouse import Warehouse

Command = tuple[Sequence[str], Mapping[str, str]]

PLAIN = Path(__file__).with_name("plain.py")
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "GOOGLE_APPLICATION_CREDENTIALS")


class LoadJobControl(Struct, frozen=True):
    """The control of BigQuery, for the benchmark of dpone-certify."""

    takes: Mapping[Format, str] = field(
        default_factory=lambda: {Format(JSON_LINES): "load_table_from_file of NEWLINE_DELIMITED_JSON"}
    )
    keys: str = ""  # a table has none

    def drop(self, endpoint: Endpoint, target: Target) -> None:
        with _connected(endpoint) as warehouse:
            warehouse.client.delete_table(warehouse.full_name(target.name).reference, not_found_ok=True)

    def prepare(self, endpoint: Endpoint, target: Target, schema: Schema) -> None:
        """An empty table."""
        from google.cloud import bigquery

        from dpone_bigquery.columns import columns_of

        self.drop(endpoint, target)
        with _connected(endpoint) as warehouse:
            warehouse.make(bigquery.Table(warehouse.full_name(target.name).reference, columns_of(schema)))

    def sink_options(self, schema: Schema) -> Mapping[str, Json]:
        del schema
        return {}

    def strategy_options(self, schema: Schema) -> Mapping[str, Json]:
        """None: no key is unique here, and to look for duplicates is more than the control does."""
        del schema
        return {}

    def writes(self, endpoint: Endpoint, target: Target, schema: Schema, wire: Format) -> Command:
        del schema, wire
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        address = [endpoint.extra["endpoint"]] if "endpoint" in endpoint.extra else []
        return (sys.executable, str(PLAIN), endpoint.host, *target.name[-2:], *address), environment

    def finishes(self, endpoint: Endpoint, target: Target, schema: Schema) -> Sequence[Sequence[Command]]:
        """Nothing: the table was made with its columns."""
        del endpoint, target, schema
        return []

    def constraints(self, endpoint: Endpoint, target: Target) -> frozenset[str]:
        """The required columns."""
        with _connected(endpoint) as warehouse:
            table = warehouse.find(warehouse.full_name(target.name))
        return frozenset(f"NOT NULL {f.name}" for f in (table.schema if table else ()) if f.mode == "REQUIRED")

    def rest(self, endpoint: Endpoint) -> None:
        """Nothing: a job is done when it is."""


@contextmanager
def _connected(endpoint: Endpoint) -> Iterator[Warehouse]:
    from dpone_bigquery.testkit import testkit
    from dpone_bigquery.warehouse import connected

    with connected(BigQueryConfig.model_validate(dict(testkit.connection(endpoint)))) as warehouse:
        yield warehouse


LOAD_JOB = LoadJobControl()
