"""A connector with its service, as tests use it: connected ends, fresh names, and rows read behind its back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from msgspec import Struct
from msgspec.structs import replace

from dpone.connector import Config, Connector, Dataset, Sink, SinkSpec, Source, SourceSpec, Target
from dpone.errors import UsageError
from dpone.ops import Op
from dpone.registry import TESTING_TESTKITS, TESTKITS
from dpone.schema import Field, Schema
from dpone.strategies import Read
from dpone.testing.services.endpoint import Endpoint, Provider
from dpone.testing.suite.compare import Plain, assert_same, plain_rows, plain_table
from dpone.testing.testkit import Mutation, SeedTable, SinkTestkit, SourceTestkit, Testkit, values_read
from dpone.where import Row

_numbers = count(1)


@cache
def load_testkit(name: str) -> Testkit:
    """The testkit that is registered under a connector's name, or `module:attribute`."""
    if ":" in name:
        module, _, attribute = name.partition(":")
        found: Testkit = getattr(import_module(module), attribute)
        return found
    points = {point.name: point for group in (TESTKITS, TESTING_TESTKITS) for point in entry_points(group=group)}
    if name not in points:
        raise UsageError(
            f"no testkit is registered for {name!r}",
            code="suite.unknown_testkit",
            hint=f"registered: {', '.join(sorted(points)) or 'none'}; or name it by --testkit module:attribute",
        )
    testkit: Testkit = points[name].load()
    return testkit


class Rig(Struct, frozen=True):
    """One connector at one endpoint; `spec` is what its testkit is found by, in another process too."""

    spec: str
    kit: Testkit
    endpoint: Endpoint

    @property
    def connector(self) -> Connector[Any]:
        return self.kit.connector

    @property
    def config(self) -> Config:
        config: Config = self.connector.config.model_validate(dict(self.kit.connection(self.endpoint)))
        return config

    def fresh(self, stem: str = "t") -> str:
        """A name that no other test has."""
        return f"{stem}_{next(_numbers)}_{uuid4().hex[:6]}"


class SourceRig(Rig, frozen=True):
    """The reading end."""

    @property
    def source_kit(self) -> SourceTestkit:
        assert isinstance(self.kit, SourceTestkit)
        return self.kit

    @property
    def spec_of_source(self) -> SourceSpec[Any]:
        assert self.connector.source is not None
        return self.connector.source

    def source(self) -> AbstractContextManager[Source]:
        return self.spec_of_source.open(self.config)

    def require(self, *reads: Read) -> None:
        """Skips the test when the source cannot be read so."""
        if missing := sorted(read.value for read in reads if read not in self.spec_of_source.reads):
            pytest.skip(f"{self.connector.name} cannot be read by {', '.join(missing)}")

    def seed(self, schema: Schema, rows: Sequence[Row], *reads: Read, label: str | None = None) -> Seeded:
        """A new table with these rows."""
        table = SeedTable(label or self.fresh("src"), schema, tuple(rows), frozenset(reads or {Read.SCAN}))
        self.source_kit.seed(self.endpoint, table)
        return Seeded(self, table)


class Seeded(Struct, frozen=True):
    """A seeded table, as it was seeded; changes happen behind it."""

    rig: SourceRig
    table: SeedTable

    @property
    def dataset(self) -> Dataset:
        return self.rig.source_kit.dataset(self.rig.endpoint, self.table)

    @property
    def schema(self) -> Schema:
        return self.table.schema

    @property
    def rows(self) -> list[dict[str, object]]:
        """What dpone must read of it as it was seeded."""
        return [{name: values_read(row).get(name) for name in self.schema.names} for row in self.table.rows]

    def change(self, *mutations: Mutation) -> None:
        self.rig.source_kit.change(self.rig.endpoint, self.table, mutations)

    def with_schema(self, schema: Schema) -> Seeded:
        return replace(self, table=replace(self.table, schema=schema))


class SinkRig(Rig, frozen=True):
    """The writing end."""

    @property
    def sink_kit(self) -> SinkTestkit:
        assert isinstance(self.kit, SinkTestkit)
        return self.kit

    @property
    def spec_of_sink(self) -> SinkSpec[Any]:
        assert self.connector.sink is not None
        return self.connector.sink

    def require(self, *ops: type[Op]) -> None:
        """Skips the test when the sink does not carry out these operations."""
        if missing := sorted(op.__name__ for op in ops if op not in self.spec_of_sink.ops):
            pytest.skip(f"{self.connector.name} does not carry out {', '.join(missing)}")

    def sink(self) -> AbstractContextManager[Sink]:
        return self.spec_of_sink.open(self.config)

    def target(self, label: str | None = None) -> Target:
        return self.sink_kit.target(self.endpoint, label or self.fresh("dst"))

    def found(self, target: Target, fields: Sequence[Field]) -> Counter[Plain]:
        """The rows that an independent reader sees now; none when there is no such table."""
        try:
            table = self.sink_kit.rows(self.endpoint, target)
        except LookupError:
            return Counter()
        return plain_table(table, fields)

    def exists(self, target: Target) -> bool:
        try:
            self.sink_kit.rows(self.endpoint, target)
        except LookupError:
            return False
        return True

    def assert_rows(self, target: Target, rows: Sequence[Row], fields: Sequence[Field], where: str = "") -> None:
        """The target holds these rows and no others."""
        assert_same(self.found(target, fields), plain_rows(rows, fields), fields, where or "target")


@contextmanager
def rigged(spec: str, provider: str | None) -> Iterator[Rig]:
    """The service of this testkit runs within the context."""
    kit = load_testkit(spec)
    offered = list(kit.providers())
    chosen = Provider(provider) if provider else next(iter(offered), None)
    if chosen is None:
        raise UsageError(
            f"no service for {kit.connector.name} can be had on this machine",
            code="suite.no_provider",
            hint="install the connector's [local] extra, or name a server and use --provider given",
        )
    with kit.service(chosen) as endpoint:
        yield Rig(spec, kit, endpoint)
