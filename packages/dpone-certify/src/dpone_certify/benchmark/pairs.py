"""Every pair of ends: rows are loaded to where nothing is yet, by dpone and by the two clients joined by a pipe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from dpone.connector import Dataset
from dpone.testing.services.endpoint import Fidelity
from dpone_certify.benchmark.bench import Bench, Engine, Measured, Say, piped, refuse_wrong_rows
from dpone_certify.benchmark.costs import Cost, measure
from dpone_certify.benchmark.pipelines import FULL_REFRESH
from dpone_certify.benchmark.rounds import Contestant, Course, play
from dpone_certify.benchmark.shape import MIXED
from dpone_certify.benchmark.targets import CONTROL, DPONE


def name_of(source: str, sink: str, rows: int) -> str:
    """The name of the comparison; that of a copy within an engine is taken by what replaces a target."""
    return f"{source}_into_{sink}_{rows}"


def first_loads(
    bench: Bench, pairs: Sequence[tuple[Engine, Engine]], rows: int, rounds: int, say: Say
) -> Iterator[Measured]:
    """Each pair in its turn; a source is filled once."""
    filled: dict[str, Dataset] = {}
    for source, sink in pairs:
        if source.name not in filled:
            say(f"{source.name}: {rows} rows are being made")
            filled[source.name] = source.filled(rows)
        yield _first_load(bench, source, filled[source.name], sink, rows, rounds, say)


def _first_load(
    bench: Bench, source: Engine, dataset: Dataset, sink: Engine, rows: int, rounds: int, say: Say
) -> Measured:
    name = name_of(source.name, sink.name, rows)
    ours, theirs = (sink.target(f"dpone_bench_of_{source.name}_{rows}_{part}") for part in ("ours", "control"))
    schema = source.reader.tells(MIXED)
    strategy = {**FULL_REFRESH, **({} if source.name == sink.name else sink.writer.strategy_options(schema))}
    manifest = bench.work.write(name, source.source(dataset), sink.sink(ours), strategy)
    said, pipes = piped(source, dataset, sink, theirs)

    def before(who: str) -> None:
        if who == DPONE:
            sink.writer.drop(sink.endpoint, ours)
        else:
            sink.writer.prepare(sink.endpoint, theirs, schema)
        sink.writer.rest(sink.endpoint)

    def run() -> Cost:
        outcome = measure([[bench.work.run(manifest)]], bench.folder)
        refuse_wrong_rows(json.loads(outcome.out)["streams"][0]["rows_after"], rows, manifest)
        return outcome.cost

    contestants: dict[str, Contestant] = {DPONE: run, CONTROL: lambda: measure(pipes, bench.folder).cost}
    costs = play(Course(name, contestants, before), rounds, say)
    built, has = (sink.writer.constraints(sink.endpoint, target) for target in (theirs, ours))
    emulated = {e.name: None for e in (source, sink) if e.endpoint.fidelity is Fidelity.EMULATED}
    return Measured(name, said, rows, costs, tuple(sorted(built - has)), tuple(emulated))
