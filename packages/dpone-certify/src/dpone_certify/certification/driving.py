"""One load as anybody would run it: a manifest with two ends, through the real runner and the real drivers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic import ConfigDict, InstanceOf

from dpone import api
from dpone.connector import Connector, Dataset, SinkOptions, SourceOptions, Stored, Target
from dpone.integration_matrix import Case
from dpone.manifest import Manifest, SinkEnd, SourceEnd, Stream
from dpone.manifest.connections import ConnectionRef, inline
from dpone.manifest.document import node_of
from dpone.manifest.modes import MODELS
from dpone.observe.record import StreamReport
from dpone.strategies import STRATEGIES, Read
from dpone.testing.testkit import SeedTable
from dpone_certify.certification.seeded import MOMENT
from dpone_certify.certification.serving import Served


class _Seeded(SourceOptions):
    """What a testkit says is to be read."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
    held: InstanceOf[Dataset]

    def dataset(self) -> Dataset:
        return self.held


class _Placed(SinkOptions):
    """What a testkit says is to be written."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
    held: InstanceOf[Target]

    def target(self) -> Target:
        return self.held


class Drive(Struct, frozen=True):
    """A case with its two services, its source table and its target."""

    case: Case
    source: Served
    sink: Served
    label: str  # of the target, and of the pipeline
    runs: Path

    @property
    def target(self) -> Target:
        found: Target = self.sink.kit.target(self.sink.endpoint, self.label)
        return found

    def load(self, table: SeedTable, strategy: Mapping[str, Any]) -> StreamReport:
        """One run, whose report says how it ended."""
        manifest = Manifest(name=self.label, streams=(self.stream(table, strategy),))
        return api.run(manifest, runs=self.runs).streams[0]

    def stream(self, table: SeedTable, strategy: Mapping[str, Any]) -> Stream:
        return Stream(
            name=self.label,
            source=SourceEnd(
                connector=self.source.kit.connector,
                connection=connection_of(self.source),
                options=_Seeded(held=self._dataset(table, strategy)),
            ),
            sink=SinkEnd(
                connector=self.sink.kit.connector,
                connection=connection_of(self.sink),
                options=_Placed(held=self.target),
            ),
            strategy=MODELS[self.case.strategy].model_validate(dict(strategy)),
        )

    def _dataset(self, table: SeedTable, strategy: Mapping[str, Any]) -> Dataset:
        """The table as it is read. A testkit may narrow what is read by the moment, and by nothing else."""
        read = STRATEGIES[self.case.strategy].read
        cursor = strategy.get("cursor", {}).get("column")
        reads = frozenset({Read.SCAN if self.source.kit.cursors and cursor not in {None, MOMENT} else read})
        found: Dataset = self.source.kit.dataset(self.source.endpoint, replace(table, reads=reads))
        return found

    def stored(self) -> Stored | None:
        """What the sink's state says of this pipeline now."""
        connector: Connector[Any] = self.sink.kit.connector
        assert connector.sink is not None
        with (
            connector.sink.open(connection_of(self.sink).resolve()) as sink,
            sink.lease(self.target, self.label) as lease,
        ):
            return lease.stored


def connection_of(served: Served) -> ConnectionRef[Any]:
    """The testkit's connection; a secret among its fields is a service's of this run."""
    config = json.loads(json.dumps(dict(served.kit.connection(served.endpoint)), default=str))
    return inline(node_of(config), served.kit.connector, "certification", Path.cwd())[0]
