"""A whole benchmark: engines are had, tables are filled, dpone and its controls take turns."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

from msgspec import Struct

from dpone.connector import Dataset, Target
from dpone.errors import DataError, UsageError
from dpone.testing.services.endpoint import Endpoint, Provider
from dpone.testing.testkit import Identity, SinkTestkit, SourceTestkit, Testkit
from dpone_certify.benchmark.control import Control, Controlled, Fetching, SinkControl, SourceControl, no_control
from dpone_certify.benchmark.costs import Command, Cost, Pipe, measure
from dpone_certify.benchmark.pipelines import (
    FULL_REFRESH,
    INCREMENTAL,
    End,
    Workplace,
    dpone,
    environment,
    python,
    sink_end,
    source_end,
)
from dpone_certify.benchmark.rounds import Contestant, Costs, Course, play
from dpone_certify.benchmark.shape import MIXED, table_of
from dpone_certify.benchmark.targets import (
    CONTROL,
    DPONE,
    EMPTY_RUN,
    FIRST_LOAD,
    HOME,
    IN_PROCESS,
    START_UP,
    pair_of,
    reading_of,
)

SMALL = 1000  # rows of the table whose runs are about everything but rows

Say = Callable[[str], None]


Pair = tuple[str, str]  # from one engine to another, or to itself
_HOME: tuple[Pair, ...] = ((HOME, HOME),)
_BESIDE: tuple[Pair, ...] = ((HOME, "clickhouse"), ("clickhouse", HOME), ("clickhouse", "clickhouse"))


class Profile(Struct, frozen=True):
    """How much is measured. Short courses have more rounds, since they cost little and scatter more."""

    name: str
    sizes: tuple[int, ...]
    rounds: int
    short_rounds: int
    copies: tuple[Pair, ...] = _HOME  # at every size
    largest: tuple[Pair, ...] = ()  # at the largest alone
    reads: tuple[str, ...] = ()  # engines that are read to nowhere, at the largest
    logs: bool = False  # rows go to a log and back, at every size
    every_pair: bool = False  # whatever can be read is loaded into whatever can be written, at every size

    def first_loads(self, testkits: Sequence[Controlled]) -> list[Pair]:
        """What is loaded into what, as far as there are controls for it."""
        if not self.every_pair:
            return []
        sources = [t.connector.name for t in testkits if isinstance(t, SourceTestkit)]
        sinks = [t.connector.name for t in testkits if isinstance(t, SinkTestkit)]
        return list(product(sources, sinks))


PROFILES = {
    "quick": Profile("quick", (100_000,), 3, 7),
    "full": Profile("full", (100_000, 1_000_000), 7, 21, largest=_BESIDE),
    "sql_server": Profile("sql_server", (100_000, 1_000_000), 3, 5, copies=((HOME, "mssql"),), reads=("mssql",)),
    "logs": Profile("logs", (100_000, 1_000_000), 5, 3, copies=(), logs=True),
    "pairs": Profile("pairs", (100_000,), 5, 5, copies=(), every_pair=True),
}


class Measured(Struct, frozen=True):
    """One course: what stood against what, and what each turn cost."""

    name: str
    control: str
    rows: int | None
    costs: Costs
    missing: tuple[str, ...] = ()  # what the control's target has and dpone's has not: then the work was not the same
    emulated: tuple[str, ...] = ()  # the engines of it that are stand-ins of ours


def start_up(folder: Path, rounds: int, say: Say) -> Measured:
    """`dpone --help` beside the import of the library that it is made with."""
    contestants: dict[str, Contestant] = {
        DPONE: lambda: measure([[((*dpone(), "--help"), environment())]], folder).cost,
        CONTROL: lambda: measure([[python("-c", "import click")]], folder).cost,
    }
    return Measured(START_UP, 'python -c "import click"', None, play(Course(START_UP, contestants), rounds, say))


class Engine(Struct, frozen=True):
    """An engine that answers, and how it is driven."""

    testkit: Controlled
    endpoint: Endpoint

    @property
    def name(self) -> str:
        return self.testkit.connector.name

    @property
    def reader(self) -> SourceControl:
        """The control that reads it; raises where there is none."""
        if not isinstance(self.testkit.control, SourceControl):
            raise no_control(self.name, "reads")
        return self.testkit.control

    @property
    def writer(self) -> SinkControl:
        """The control that writes it; raises where there is none."""
        if not isinstance(self.testkit.control, SinkControl):
            raise no_control(self.name, "writes")
        return self.testkit.control

    @property
    def identity(self) -> Identity:
        return self.testkit.identify(self.endpoint)

    def filled(self, rows: int) -> Dataset:
        """The source table with so many rows."""
        return self.reader.fill(self.endpoint, table_of(rows), rows)

    def target(self, label: str) -> Target:
        assert isinstance(self.testkit, SinkTestkit)  # it brings a control that writes
        return self.testkit.target(self.endpoint, label)

    def source(self, dataset: Dataset) -> End:
        return source_end(self.testkit, dataset)

    def sink(self, target: Target) -> End:
        return sink_end(self.testkit, target, self.writer.sink_options(MIXED))


class Bench(Struct, frozen=True):
    """A folder to work in."""

    work: Workplace

    @property
    def folder(self) -> Path:
        return self.work.folder

    def copy(self, source: Engine, sink: Engine, rows: int, rounds: int, say: Say) -> Measured:
        """A table is copied whole onto the target that the round before left, by dpone as a process of its own and in
        a process that is warm; and to where nothing is yet, by dpone and by the control.
        """
        name = pair_of(source.name, sink.name, rows)
        say(f"{name}: the source is being filled")
        dataset, small = source.filled(rows), source.filled(SMALL)
        kept, fresh, other, opening = (
            sink.target(f"dpone_bench_{source.name}_{rows}_{part}") for part in ("kept", "fresh", "control", "opening")
        )
        strategy = dict(FULL_REFRESH)
        if source.name != sink.name:
            strategy |= sink.writer.strategy_options(MIXED)
        read, write = source.source(dataset), sink.sink
        manifest = self.work.write(name, read, write(kept), strategy)
        first = self.work.write(f"first_{name}", read, write(fresh), strategy)
        warming = self.work.write(f"warming_{name}", source.source(small), write(opening), strategy)
        said, pipes = piped(source, dataset, sink, other)

        def before(who: str) -> None:
            if who == FIRST_LOAD:
                sink.writer.drop(sink.endpoint, fresh)
            if who == CONTROL:
                sink.writer.prepare(sink.endpoint, other, MIXED)
            sink.writer.rest(sink.endpoint)

        contestants: dict[str, Contestant] = {
            DPONE: lambda: self._dpone(manifest, rows),
            FIRST_LOAD: lambda: self._dpone(first, rows),
            CONTROL: lambda: measure(pipes, self.folder).cost,
            IN_PROCESS: lambda: self._warm(warming, manifest, rows),
        }
        course = Course(name, contestants, before)
        costs = play(course, rounds, say)
        wanted, found = (
            sink.writer.constraints(sink.endpoint, other),
            [sink.writer.constraints(sink.endpoint, target) for target in (kept, fresh)],
        )
        missing = {m for has in found for m in wanted - has}
        return Measured(course.name, said, rows, costs, tuple(sorted(missing)))

    def empty_run(self, engine: Engine, rounds: int, say: Say) -> Measured:
        """An incremental run that finds nothing new, beside a process that imports the driver and connects."""
        target = engine.sink(engine.target("dpone_bench_incremental"))
        manifest = self.work.write(EMPTY_RUN, engine.source(engine.filled(SMALL)), target, INCREMENTAL)
        if not isinstance(engine.testkit.control, Control):
            raise no_control(engine.name, "connects and does nothing")
        bare = engine.testkit.control.bare(engine.endpoint)
        contestants: dict[str, Contestant] = {
            DPONE: lambda: self._dpone(manifest, SMALL),
            CONTROL: lambda: measure([[bare]], self.folder).cost,
        }
        course = Course(EMPTY_RUN, contestants)
        return Measured(course.name, "import the driver and connect", None, play(course, rounds, say))

    def read(self, engine: Engine, rows: int, rounds: int, say: Say) -> Measured:
        """A table is read to nowhere, by dpone's reader and by the driver that a person would use."""
        name = reading_of(engine.name, rows)
        if not isinstance(engine.testkit.control, Fetching):
            raise no_control(engine.name, "reads to nowhere")
        say(f"{name}: the source is being filled")
        dataset = engine.filled(rows)
        said, command = engine.testkit.control.fetches(engine.endpoint, dataset, MIXED)
        ours = self.work.read(engine.name, dataset)

        def counted(command: Command) -> Cost:
            outcome = measure([[command]], self.folder)
            refuse_wrong_rows(json.loads(outcome.out)["rows"], rows, name)
            return outcome.cost

        contestants: dict[str, Contestant] = {DPONE: lambda: counted(ours), CONTROL: lambda: counted(command)}
        return Measured(name, said, rows, play(Course(name, contestants), rounds, say))

    def _dpone(self, manifest: str, expected: int) -> Cost:
        outcome = measure([[self.work.run(manifest)]], self.folder)
        refuse_wrong_rows(json.loads(outcome.out)["streams"][0]["rows_after"], expected, manifest)
        return outcome.cost

    def _warm(self, first: str, manifest: str, expected: int) -> Cost:
        outcome = measure([[self.work.run_warm(first, manifest)]], self.folder)
        found = json.loads(outcome.out)
        refuse_wrong_rows(found["rows"], expected, manifest)
        return Cost(found["wall"], found["cpu"], outcome.cost.memory)


def piped(source: Engine, dataset: Dataset, sink: Engine, target: Target) -> tuple[str, Sequence[Pipe]]:
    """The control of a pair in a line, and its commands: one client reads, the other writes, in a format of both."""
    ours, theirs = source.reader, sink.writer
    wire = next((name for name in ours.gives if name in theirs.takes), None)
    if wire is None:
        raise no_control(source.name, f"writes what the control of {sink.name} reads")
    schema = ours.tells(MIXED)
    copy = [
        ours.reads(source.endpoint, dataset, schema, wire),
        theirs.writes(sink.endpoint, target, schema, wire),
    ]
    said = f"{ours.gives[wire]} | {theirs.takes[wire]}{theirs.keys}"
    return said, [copy, *theirs.finishes(sink.endpoint, target, schema)]


def refuse_wrong_rows(found: int, expected: int, what: str) -> None:
    """Raises when the target does not hold the source's rows: then it says nothing how fast they came."""
    if found != expected:
        raise DataError(
            f"{what} left {found} rows in the target instead of {expected}",
            code="benchmark.wrong_rows",
            hint="run the manifest by itself and look at its report",
        )


class Benchmark(Struct, frozen=True):
    """All that was measured, and on which engine."""

    profile: str
    rounds: int
    identity: Identity
    endpoint: Mapping[str, str]
    measured: tuple[Measured, ...]


def carry_out(
    testkits: Sequence[Controlled], profile: Profile, rounds: int | None, say: Say, only: Sequence[str] = ()
) -> Benchmark:
    """Everything that the profile asks for was measured on the servers that the environment names, or else on the best
    services that this machine has; what takes an engine that is not installed is left out. Of first loads only those
    are measured whose pair one of the patterns in `only` names, as `source:sink`.
    """
    often, short = rounds or profile.rounds, rounds or profile.short_rounds
    loads = chosen(profile.first_loads(testkits), only)
    asked = {HOME, *profile.reads, *(name for pair in (*profile.copies, *profile.largest, *loads) for name in pair)}
    with tempfile.TemporaryDirectory(prefix="dpone-bench-") as name, ExitStack() as stack:
        bench = Bench(Workplace(Path(name)))
        engines: dict[str, Engine] = {}
        for testkit in testkits:
            if testkit.connector.name not in asked:
                continue
            endpoint = stack.enter_context(testkit.service(_provider(testkit)))
            bench.work.know(testkit, endpoint)
            engines[testkit.connector.name] = Engine(testkit, endpoint)
        for absent in sorted(asked - engines.keys()):
            say(f"{absent} is left out: it is not installed, or brings no control")
        home = next(iter(engines.values()))
        measured = [start_up(bench.folder, short, say), bench.empty_run(home, short, say)]
        sized = [(pair, rows) for rows in profile.sizes for pair in profile.copies]
        sized += [(pair, profile.sizes[-1]) for pair in profile.largest]
        for (source, sink), rows in sized:
            if source in engines and sink in engines:
                measured.append(bench.copy(engines[source], engines[sink], rows, often, say))
        measured += [bench.read(engines[e], profile.sizes[-1], often, say) for e in profile.reads if e in engines]
        if loads:
            from dpone_certify.benchmark.pairs import first_loads  # which stands on this module

            pairs = [(engines[source], engines[sink]) for source, sink in loads]
            measured += [m for rows in profile.sizes for m in first_loads(bench, pairs, rows, often, say)]
        if profile.logs:
            from dpone_certify.benchmark.logs import ThereAndBack, logs  # which stands on this module

            for log in logs():
                endpoint = stack.enter_context(log.service(_provider(log)))
                bench.work.know(log, endpoint)
                course = ThereAndBack(bench.work, home, log, endpoint)
                measured += [m(rows, often, say) for rows in profile.sizes for m in (course.there, course.back)]
        where = {"provider": home.endpoint.provider.value, "fidelity": home.endpoint.fidelity.value}
        beside = [told(engine) for engine in engines.values() if engine is not home]
        where |= {"beside": ", ".join(beside)} if beside else {}
        return Benchmark(profile.name, often, home.identity, where, tuple(measured))


def chosen(pairs: Sequence[Pair], only: Sequence[str]) -> list[Pair]:
    """The pairs that a pattern names, all where there is none; raises for a pattern that names nothing."""
    for pattern in only:
        if not any(fnmatchcase(":".join(pair), pattern) for pair in pairs):
            raise UsageError(
                f"{pattern} names no pair of this profile",
                code="benchmark.no_pair",
                hint="write source:sink, as in postgres:clickhouse or 'kafka:*', with --profile pairs",
            )
    return [pair for pair in pairs if not only or any(fnmatchcase(":".join(pair), pattern) for pattern in only)]


def told(engine: Engine) -> str:
    """What answered beside the first engine, and whether it was the real thing."""
    return f"{engine.identity.product} {engine.identity.version} ({engine.endpoint.provider.value})"


def _provider(testkit: Testkit) -> Provider:
    """A server that was given is meant to be measured."""
    providers = sorted(testkit.providers(), key=lambda provider: provider is not Provider.GIVEN)
    if not providers:
        raise UsageError(
            f"this machine has no {testkit.connector.name} to measure on",
            code="benchmark.no_service",
            hint=f"pip install '{testkit.connector.distribution}[local]'",
        )
    return providers[0]
