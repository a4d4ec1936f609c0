"""What a testkit must offer so that its engine can be benchmarked: the tool that a person would use instead of dpone.

Everything here is plain data, since a connector knows core alone and fulfils these protocols by their shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Protocol, TypeGuard, runtime_checkable

from dpone.connector import Dataset, Target
from dpone.errors import UsageError
from dpone.registry import TESTKITS
from dpone.schema import Schema
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable, SinkTestkit, SourceTestkit, Testkit
from dpone_certify.benchmark.costs import Command, Pipe


class Control(Protocol):
    """The engine's own fastest way to copy a table, and what a benchmark needs beside it."""

    @property
    def description(self) -> str:
        """The control in a line, for the report."""
        ...

    def fill(self, endpoint: Endpoint, table: SeedTable, rows: int) -> None:
        """The table exists with so many rows made by the engine itself, always the same; keys are 1 to `rows`."""
        ...

    def drop(self, endpoint: Endpoint, target: Target) -> None:
        """There is no such table."""
        ...

    def prepare(self, endpoint: Endpoint, target: Target, schema: Schema) -> None:
        """An empty table of this schema, without keys, stands where the control will copy to. Not measured."""
        ...

    def pipes(
        self, source: Endpoint, dataset: Dataset, sink: Endpoint, target: Target, schema: Schema
    ) -> Sequence[Pipe]:
        """What copies the rows and then builds the same keys, as commands."""
        ...

    def constraints(self, endpoint: Endpoint, target: Target) -> frozenset[str]:
        """The primary key and the required columns of a table, in words that equal tables share."""
        ...

    def bare(self, endpoint: Endpoint) -> Command:
        """A command that imports the driver, connects and ends: the least that any client costs."""
        ...

    def rest(self, endpoint: Endpoint) -> None:
        """What was written so far is on disk, so that nobody pays for it later."""
        ...


@runtime_checkable
class Controlled(Protocol):
    """A testkit that brings a control."""

    @property
    def control(self) -> Control: ...


class BenchmarkTestkit(Testkit, SourceTestkit, SinkTestkit, Controlled, Protocol):
    """All that a benchmark asks of a connector that is both ends."""


def is_benchmarkable(testkit: Testkit) -> TypeGuard[BenchmarkTestkit]:
    """It is both ends, and brings a control."""
    return isinstance(testkit, SourceTestkit) and isinstance(testkit, SinkTestkit) and isinstance(testkit, Controlled)


def benchmarkable(say: Callable[[str], None]) -> list[BenchmarkTestkit]:
    """The installed testkits of engines that can be copied from and to themselves; raises when there is none."""
    found: list[BenchmarkTestkit] = []
    for point in entry_points(group=TESTKITS):
        try:
            testkit = point.load()
        except ModuleNotFoundError as missing:
            say(f"{point.name} is left out: its testkit needs {missing.name}")
            continue
        if is_benchmarkable(testkit):
            found.append(testkit)
    if not found:
        raise UsageError(
            "no installed connector brings a control to measure beside",
            code="benchmark.no_control",
            hint="pip install 'dpone-connectors-postgres[local]'",
        )
    return found
