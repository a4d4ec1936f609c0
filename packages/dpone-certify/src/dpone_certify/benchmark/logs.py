"""Rows to a log and back, beside the bare loop of the log's own client, which encodes, decodes and loads nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Protocol, TypeGuard, runtime_checkable

from msgspec import Struct

from dpone.connector import Dataset, Json, Target
from dpone.registry import TESTKITS
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable, SinkTestkit, SourceTestkit, Testkit
from dpone_certify.benchmark.bench import Engine, Measured, Say, refuse_wrong_rows
from dpone_certify.benchmark.costs import Command, Cost, measure
from dpone_certify.benchmark.pipelines import FULL_REFRESH, Workplace, sink_end, source_end
from dpone_certify.benchmark.rounds import Contestant, Course, play
from dpone_certify.benchmark.shape import KEY, MESSAGE_BYTES, NARROW
from dpone_certify.benchmark.targets import CONTROL, DPONE, pair_of

_UPSERT: Mapping[str, object] = {"mode": "incremental_merge", "key": [KEY], "cursor": {"column": KEY}}


class Loops(Protocol):
    """A log's own client, written as plainly as it can be."""

    @property
    def said(self) -> tuple[str, str]:
        """How the two loops are called, that which writes first."""
        ...

    def fill(self, endpoint: Endpoint, table: SeedTable, rows: int) -> Dataset:
        """A log with so many messages, one a row and always the same; how a manifest reads it."""
        ...

    def fresh(self, endpoint: Endpoint, target: Target) -> None:
        """There is no such log, and nobody remembers one."""
        ...

    def sink_options(self) -> Mapping[str, Json]:
        """What a manifest says under `sink:`, so that dpone's log is made like the control's."""
        ...

    def writes(self, endpoint: Endpoint, target: Target, rows: int, size: int) -> Command:
        """Sends so many messages of so many bytes in one transaction, all acknowledged at the end."""
        ...

    def reads(self, endpoint: Endpoint, dataset: Dataset, rows: int) -> Command:
        """Takes so many committed messages, and does nothing with them."""
        ...


@runtime_checkable
class Looped(Protocol):
    """A testkit that brings loops."""

    @property
    def loops(self) -> Loops: ...


class LogTestkit(Testkit, SourceTestkit, SinkTestkit, Looped, Protocol):
    """All that is asked of the connector of a log."""


def is_log(testkit: Testkit) -> TypeGuard[LogTestkit]:
    return isinstance(testkit, SourceTestkit) and isinstance(testkit, SinkTestkit) and isinstance(testkit, Looped)


def logs() -> list[LogTestkit]:
    """The installed testkits of logs that this machine can run."""
    found: list[LogTestkit] = []
    for point in entry_points(group=TESTKITS):
        try:
            testkit = point.load()
        except ModuleNotFoundError:
            continue  # who asks for the others is told
        if is_log(testkit) and testkit.providers():
            found.append(testkit)
    return found


class ThereAndBack(Struct, frozen=True):
    """A log beside an engine of tables, and where manifests are."""

    work: Workplace
    home: Engine
    log: LogTestkit
    endpoint: Endpoint

    def there(self, rows: int, rounds: int, say: Say) -> Measured:
        """Rows of a table are written to a log that is not there yet."""
        name, loops = pair_of(self.home.name, self.log.connector.name, rows), self.log.loops
        say(f"{name}: the source is being filled")
        table = SeedTable(f"dpone_bench_narrow_{rows}", NARROW)
        source = self.home.source(self.home.reader.fill(self.home.endpoint, table, rows))
        ours, theirs = (self.log.target(self.endpoint, f"dpone_bench_{rows}_{part}") for part in ("ours", "control"))
        sink = sink_end(self.log, ours, loops.sink_options())
        manifest = self.work.write(name, source, sink, _UPSERT)
        contestants: dict[str, Contestant] = {
            DPONE: lambda: self._run(manifest, rows),
            CONTROL: lambda: self._loop(loops.writes(self.endpoint, theirs, rows, MESSAGE_BYTES)),
        }
        course = Course(name, contestants, lambda who: loops.fresh(self.endpoint, ours if who == DPONE else theirs))
        return Measured(name, loops.said[0], rows, play(course, rounds, say))

    def back(self, rows: int, rounds: int, say: Say) -> Measured:
        """Messages of a log are loaded into a table."""
        name, loops = pair_of(self.log.connector.name, self.home.name, rows), self.log.loops
        say(f"{name}: the source is being filled")
        dataset = loops.fill(self.endpoint, SeedTable(f"dpone_bench_narrow_{rows}", NARROW), rows)
        source = source_end(self.log, dataset)
        manifest = self.work.write(name, source, self.home.sink(self.home.target(f"of_log_{rows}")), FULL_REFRESH)
        contestants: dict[str, Contestant] = {
            DPONE: lambda: self._run(manifest, rows),
            CONTROL: lambda: self._loop(loops.reads(self.endpoint, dataset, rows)),
        }
        course = Course(name, contestants, lambda _: self.home.writer.rest(self.home.endpoint))
        return Measured(name, loops.said[1], rows, play(course, rounds, say))

    def _run(self, manifest: str, rows: int) -> Cost:
        outcome = measure([[self.work.run(manifest)]], self.work.folder)
        refuse_wrong_rows(json.loads(outcome.out)["streams"][0]["rows_after"], rows, manifest)
        return outcome.cost

    def _loop(self, command: Command) -> Cost:
        return measure([[command]], self.work.folder).cost
