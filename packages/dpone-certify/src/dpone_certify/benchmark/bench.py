"""A whole benchmark: an engine is had, tables are filled, dpone and its controls take turns."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dpone.connector import Dataset
from dpone.errors import DataError, UsageError
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import Identity
from dpone_certify.benchmark.control import BenchmarkTestkit
from dpone_certify.benchmark.costs import Cost, measure
from dpone_certify.benchmark.pipelines import FULL_REFRESH, INCREMENTAL, Workplace, dpone, environment, python
from dpone_certify.benchmark.rounds import Contestant, Costs, Course, play
from dpone_certify.benchmark.shape import MIXED, table_of
from dpone_certify.benchmark.targets import EMPTY_RUN, START_UP, copy_of

DPONE, FIRST_LOAD, IN_PROCESS, CONTROL = "dpone", "first_load", "in_process", "control"
SMALL = 1000  # rows of the table whose runs are about everything but rows

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Profile:
    """How much is measured. Short courses have more rounds, since they cost little and scatter more."""

    name: str
    sizes: tuple[int, ...]
    rounds: int
    short_rounds: int


PROFILES = {
    "quick": Profile("quick", (100_000,), 3, 7),
    "full": Profile("full", (100_000, 1_000_000), 7, 21),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One course: what stood against what, and what each turn cost."""

    name: str
    control: str
    rows: int | None
    costs: Costs
    missing: tuple[str, ...] = ()  # what the control's target has and dpone's has not: then the work was not the same


def start_up(folder: Path, rounds: int, say: Say) -> Measured:
    """`dpone --help` beside the import of the library that it is made with."""
    contestants: dict[str, Contestant] = {
        DPONE: lambda: measure([[((*dpone(), "--help"), environment())]], folder).cost,
        CONTROL: lambda: measure([[python("-c", "import click")]], folder).cost,
    }
    return Measured(START_UP, 'python -c "import click"', None, play(Course(START_UP, contestants), rounds, say))


@dataclass(frozen=True, slots=True)
class Bench:
    """An engine that answers, and a folder to work in."""

    testkit: BenchmarkTestkit
    endpoint: Endpoint
    folder: Path

    @property
    def work(self) -> Workplace:
        return Workplace(self.folder, self.endpoint)

    def filled(self, rows: int) -> Dataset:
        """The source table with so many rows."""
        table = table_of(rows)
        self.testkit.control.fill(self.endpoint, table, rows)
        return self.testkit.dataset(self.endpoint, table)

    def copy(self, rows: int, rounds: int, say: Say) -> Measured:
        """A table is copied whole onto the target that the round before left, by dpone as a process of its own and in
        a process that is warm; and to where nothing is yet, by dpone and by the control.
        """
        control = self.testkit.control
        say(f"{copy_of(rows)}: the source is being filled")
        dataset, small = self.filled(rows), self.filled(SMALL)
        kept, fresh, other, opening = (
            self.testkit.target(self.endpoint, f"dpone_bench_{rows}_{name}")
            for name in ("kept", "fresh", "control", "opening")
        )
        manifest = self.work.write(copy_of(rows), dataset, kept, FULL_REFRESH)
        first = self.work.write(f"first_load_{rows}", dataset, fresh, FULL_REFRESH)
        warming = self.work.write("warming", small, opening, FULL_REFRESH)
        pipes = control.pipes(self.endpoint, dataset, self.endpoint, other, MIXED)

        def before(name: str) -> None:
            if name == FIRST_LOAD:
                control.drop(self.endpoint, fresh)
            if name == CONTROL:
                control.prepare(self.endpoint, other, MIXED)
            control.rest(self.endpoint)

        contestants: dict[str, Contestant] = {
            DPONE: lambda: self._dpone(manifest, rows),
            FIRST_LOAD: lambda: self._dpone(first, rows),
            CONTROL: lambda: measure(pipes, self.folder).cost,
            IN_PROCESS: lambda: self._warm(warming, manifest, rows),
        }
        course = Course(copy_of(rows), contestants, before)
        costs = play(course, rounds, say)
        wanted = control.constraints(self.endpoint, other)
        missing = {m for target in (kept, fresh) for m in wanted - control.constraints(self.endpoint, target)}
        return Measured(course.name, control.description, rows, costs, tuple(sorted(missing)))

    def empty_run(self, rounds: int, say: Say) -> Measured:
        """An incremental run that finds nothing new, beside a process that imports the driver and connects."""
        target = self.testkit.target(self.endpoint, "dpone_bench_incremental")
        manifest = self.work.write(EMPTY_RUN, self.filled(SMALL), target, INCREMENTAL)
        bare = self.testkit.control.bare(self.endpoint)
        contestants: dict[str, Contestant] = {
            DPONE: lambda: self._dpone(manifest, SMALL),
            CONTROL: lambda: measure([[bare]], self.folder).cost,
        }
        course = Course(EMPTY_RUN, contestants)
        return Measured(course.name, "import the driver and connect", None, play(course, rounds, say))

    def _dpone(self, manifest: str, expected: int) -> Cost:
        outcome = measure([[self.work.run(manifest)]], self.folder)
        refuse_wrong_rows(json.loads(outcome.out)["streams"][0]["rows_after"], expected, manifest)
        return outcome.cost

    def _warm(self, first: str, manifest: str, expected: int) -> Cost:
        outcome = measure([[self.work.run_warm(first, manifest)]], self.folder)
        found = json.loads(outcome.out)
        refuse_wrong_rows(found["rows"], expected, manifest)
        return Cost(found["wall"], found["cpu"], outcome.cost.memory)


def refuse_wrong_rows(found: int, expected: int, what: str) -> None:
    """Raises when the target does not hold the source's rows: then it says nothing how fast they came."""
    if found != expected:
        raise DataError(
            f"{what} left {found} rows in the target instead of {expected}",
            code="benchmark.wrong_rows",
            hint="run the manifest by itself and look at its report",
        )


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All that was measured, and on which engine."""

    profile: str
    rounds: int
    identity: Identity
    endpoint: Mapping[str, str]
    measured: tuple[Measured, ...]


def carry_out(testkit: BenchmarkTestkit, profile: Profile, rounds: int | None, say: Say) -> Benchmark:
    """Everything that the profile asks for was measured on the best service that this machine has."""
    providers = testkit.providers()
    if not providers:
        raise UsageError(
            f"this machine has no {testkit.connector.name} to measure on",
            code="benchmark.no_service",
            hint=f"pip install '{testkit.connector.distribution}[local]'",
        )
    often = rounds or profile.rounds
    with tempfile.TemporaryDirectory(prefix="dpone-bench-") as name, testkit.service(providers[0]) as endpoint:
        bench = Bench(testkit, endpoint, Path(name))
        short = rounds or profile.short_rounds
        measured = [start_up(bench.folder, short, say), bench.empty_run(short, say)]
        measured += [bench.copy(rows, often, say) for rows in profile.sizes]
        where = {"provider": endpoint.provider.value, "fidelity": endpoint.fidelity.value}
        return Benchmark(profile.name, often, testkit.identify(endpoint), where, tuple(measured))
