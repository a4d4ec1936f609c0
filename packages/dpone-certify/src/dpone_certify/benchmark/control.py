"""What a testkit must offer so that its engine can be benchmarked: the tool that a person would use instead of dpone.

Everything here is plain data, since a connector knows core alone and fulfils these protocols by their shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Protocol, TypeGuard, runtime_checkable

from dpone.batch import Format
from dpone.connector import Dataset, Json, Target
from dpone.errors import UsageError
from dpone.registry import TESTKITS
from dpone.schema import Schema
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable, SinkTestkit, SourceTestkit, Testkit
from dpone_certify.benchmark.costs import Command, Pipe
from dpone_certify.benchmark.targets import HOME


@runtime_checkable
class SourceControl(Protocol):
    """The engine's own client, which reads."""

    @property
    def gives(self) -> Mapping[Format, str]:
        """The formats that it writes to its standard output, best first, each in words for the report."""
        ...

    def tells(self, schema: Schema) -> Schema:
        """What the engine can tell of a table of this schema."""
        ...

    def fill(self, endpoint: Endpoint, table: SeedTable, rows: int) -> Dataset:
        """The table exists with so many rows, always the same; keys are 1 to `rows`. How a manifest reads it."""
        ...

    def reads(self, endpoint: Endpoint, dataset: Dataset, schema: Schema, wire: Format) -> Command:
        """What writes the rows to its standard output."""
        ...


@runtime_checkable
class SinkControl(Protocol):
    """The engine's own client, which writes."""

    @property
    def takes(self) -> Mapping[Format, str]:
        """The formats that it reads from its standard input, in words for the report."""
        ...

    @property
    def keys(self) -> str:
        """How keys are built after the rows, in words that follow; empty where that is no step of its own."""
        ...

    def drop(self, endpoint: Endpoint, target: Target) -> None:
        """There is no such table, and nobody remembers one."""
        ...

    def prepare(self, endpoint: Endpoint, target: Target, schema: Schema) -> None:
        """An empty table of this schema stands where the control will copy to. Not measured."""
        ...

    def sink_options(self, schema: Schema) -> Mapping[str, Json]:
        """What a manifest says under `sink:`, so that dpone's table is like the control's."""
        ...

    def strategy_options(self, schema: Schema) -> Mapping[str, Json]:
        """What it says under `strategy:` for the same reason, where the source is another engine."""
        ...

    def writes(self, endpoint: Endpoint, target: Target, schema: Schema, wire: Format) -> Command:
        """What takes the rows from its standard input."""
        ...

    def finishes(self, endpoint: Endpoint, target: Target, schema: Schema) -> Sequence[Pipe]:
        """What builds the keys when the rows are there."""
        ...

    def constraints(self, endpoint: Endpoint, target: Target) -> frozenset[str]:
        """The keys and the required columns of a table, in words that equal tables share."""
        ...

    def rest(self, endpoint: Endpoint) -> None:
        """What was written so far is on disk, so that nobody pays for it later."""
        ...


@runtime_checkable
class Control(SourceControl, SinkControl, Protocol):
    """Both, of an engine beside which an empty run can be measured."""

    def bare(self, endpoint: Endpoint) -> Command:
        """A command that imports the driver, connects and ends: the least that any client costs."""
        ...


@runtime_checkable
class Fetching(Protocol):
    """A control whose client can read a table and keep nothing."""

    def fetches(self, endpoint: Endpoint, dataset: Dataset, schema: Schema) -> tuple[str, Command]:
        """In words for the report, and what prints `{"rows": N}` when it has read all of them."""
        ...


@runtime_checkable
class _Controlled(Protocol):
    @property
    def control(self) -> object: ...


class Controlled(Testkit, _Controlled, Protocol):
    """A testkit that brings a control."""


def is_benchmarkable(testkit: Testkit) -> TypeGuard[Controlled]:
    """It brings a control for an end that it has."""
    if not isinstance(testkit, _Controlled):
        return False
    reads = isinstance(testkit.control, SourceControl) and isinstance(testkit, SourceTestkit)
    return reads or (isinstance(testkit.control, SinkControl) and isinstance(testkit, SinkTestkit))


def benchmarkable(say: Callable[[str], None]) -> list[Controlled]:
    """The installed testkits of engines that can be read or written, that of HOME first; raises when there is none."""
    found: list[Controlled] = []
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
    return sorted(found, key=lambda testkit: testkit.connector.name != HOME)


def no_control(engine: str, ability: str) -> UsageError:
    """What is raised where a benchmark asks an engine's control for more than it has."""
    return UsageError(f"{engine} brings no control that {ability}", code="benchmark.no_control")
