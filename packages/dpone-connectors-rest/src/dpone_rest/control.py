"""What dpone is measured beside: requests alone, which reads page by page and parses JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.batch import PG_TEXT, Format
from dpone.connector import Dataset
from dpone.schema import Schema
from dpone.testing.made import made_rows
from dpone.testing.plain import JSON_LINES
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable
from dpone_rest.mock.server import ROOT
from dpone_rest.options import RestSource

Command = tuple[Sequence[str], Mapping[str, str]]  # arguments, and the whole environment with what is secret

PLAIN = Path(__file__).with_name("plain.py")
PAGE = 1000
_SAID = "a loop of requests.get and json"
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")


class RequestsControl(Struct, frozen=True):
    """The control of a REST API, for the benchmark of dpone-certify."""

    gives: Mapping[Format, str] = field(default_factory=lambda: {Format(JSON_LINES): _SAID, PG_TEXT: _SAID})

    def tells(self, schema: Schema) -> Schema:
        return schema

    def fill(self, endpoint: Endpoint, table: SeedTable, rows: int) -> Dataset:
        """The collection holds `rows` records with keys 1 to `rows`."""
        from dpone_rest.testkit import testkit

        testkit.seed(endpoint, replace(table, rows=tuple(made_rows(table.schema, rows))))
        said = {
            "path": f"offset/{table.label}",
            "records": "data",
            "pagination": {"type": "offset", "size": PAGE},
            "columns": {f.name: {"type": str(f.type), "nullable": f.nullable} for f in table.schema},
        }
        return RestSource.model_validate(said).dataset()

    def reads(self, endpoint: Endpoint, dataset: Dataset, schema: Schema, wire: Format) -> Command:
        del schema
        (path,) = dataset.name
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment["DPONE_BENCH_TOKEN"] = endpoint.password.reveal() if endpoint.password else ""
        url = f"http://{endpoint.host}:{endpoint.port}{ROOT}/{path}"
        return (sys.executable, str(PLAIN), url, str(PAGE), wire), environment


REQUESTS = RequestsControl()
