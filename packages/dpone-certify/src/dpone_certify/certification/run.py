"""A certification run: which cases are executed and which computed, by how many processes, and what comes of it."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from time import monotonic

from msgspec import Struct

from dpone import registry
from dpone.cluster import connected, is_local
from dpone.errors import UsageError
from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX, Case, IntegrationMatrix
from dpone_certify.certification import serving, tasks
from dpone_certify.certification.document import (
    BehaviorArtifact,
    CertificationReport,
    Difference,
    Profile,
    Result,
    Selection,
    Volume,
)
from dpone_certify.certification.judge import missing_connectors, of_results
from dpone_certify.certification.outcome import PRODUCER, Outcome, artifact_name, artifact_of, result_of
from dpone_certify.certification.selecting import selected
from dpone_certify.certification.serving import Served
from dpone_certify.certification.tasks import Task, Told
from dpone_certify.documents.canonical import write
from dpone_certify.documents.document import Subject, now, verdict
from dpone_certify.documents.reading import read_document
from dpone_certify.documents.subject import differences, subject

Say = Callable[[str], None]
_CHUNK = 10  # computed cases of one task
_HIDDEN = "***"


class Order(Struct, frozen=True):
    """What was asked for."""

    profile: Profile
    selection: Selection
    volume: Volume
    folder: Path
    services: str = "auto"
    workers: int = 1
    executor: str = "processes"
    resume: bool = False
    faults: bool = False
    matrix: IntegrationMatrix = DEFAULT_INTEGRATION_MATRIX


def carry_out(order: Order, say: Say, told: Told) -> CertificationReport:
    """Every selected case is carried out, its artifact is in the folder, and the report is what they come to."""
    begun = monotonic()
    cases = selected(order.matrix, order.selection)
    names = sorted({name for case in cases for name in (case.source, case.sink)})
    there = registry.installed()
    missing = [name for name in names if name not in there]
    order.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        served = _served(order, [n for n in names if n not in missing], stack, say)
        about = subject(
            registry_digest=order.matrix.digest,
            seed=order.volume.seed,
            services={name: one.version for name, one in sorted(served.items())},
        )
        done = {r.case_id: r for r in _proven(order, cases, about)} if order.resume else {}
        if done:
            say(f"{len(done)} cases are proven for this subject already")
        runs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dpone-certification-")))
        todo = [c for c in cases if c.id not in done and not {c.source, c.sink} & set(missing)]
        for outcome in _carried_out(order, todo, served, runs, told):
            done[outcome.case.id] = _written(order, outcome, about)
    results = tuple(done[case.id] for case in cases if case.id in done)
    executed = sum(result.is_executed for result in results)
    blockers = [*missing_connectors([*missing], ()), *of_results(results, cases, order.matrix)]
    return CertificationReport(
        created_at=now(),
        producer=PRODUCER,
        subject=about,
        **verdict(blockers),
        profile=order.profile,
        case_count=len(results),
        executed_count=executed,
        contract_count=len(results) - executed,
        registry_digest=order.matrix.digest,
        selection=order.selection,
        volume=order.volume,
        duration_seconds=round(monotonic() - begun, 3),
        results=results,
    )


def _served(order: Order, names: Sequence[str], stack: ExitStack, say: Say) -> dict[str, Served]:
    if order.profile == "mock_contract":
        return {}
    points = serving.testkits()
    kits = {name: serving.load(points[name]) if name in points else None for name in names}
    if order.profile == "vendor_live":
        serving.refuse_missing(kits, names)
    return serving.start(kits, order.profile, order.services, stack, say)


def _proven(order: Order, cases: Sequence[Case], about: Subject) -> Iterator[Result]:
    """Results of an earlier run that still stand: same subject, same volume, passed."""
    for case in cases:
        path = order.folder / artifact_name(case.id)
        found = read_document("behavior", path, BehaviorArtifact).found if path.is_file() else None
        if (
            found is not None
            and found.passed
            and found.result.passed
            and (found.profile, found.volume) == (order.profile, order.volume)
            and found.result.case_id == case.id
            and not differences(found.subject, about)
        ):
            yield found.result


def _carried_out(
    order: Order, cases: Sequence[Case], served: dict[str, Served], runs: Path, told: Told
) -> Iterator[Outcome]:
    executed = [case for case in cases if case.source in served and case.sink in served]
    live = tasks.Live(
        services={name: serving.packed(one) for name, one in served.items()},
        runs=str(runs),
        faults=order.faults,
        sinks=tuple(c.name for c in order.matrix.connectors if c.ops and c.name in registry.installed()),
    )
    todo = [*_groups(order, executed, live), *_chunks(order, [c for c in cases if c not in executed], live)]
    if order.executor != "processes":
        yield from _on_cluster(order, todo, told)
        return
    if order.workers <= 1 or len(todo) <= 1:
        for task in todo:
            yield from tasks.carried_out(task, told, served)
        return
    context = get_context("spawn")
    messages = context.Queue()
    with ProcessPoolExecutor(order.workers, mp_context=context, initializer=tasks.begin, initargs=(messages,)) as pool:
        waiting: set[Future[list[Outcome]]] = {pool.submit(tasks.carry_out_apart, task) for task in todo}
        with tasks.passing_on(messages, told):
            for future in as_completed(waiting):
                yield from future.result()


def _on_cluster(order: Order, todo: Sequence[Task], told: Told) -> Iterator[Outcome]:
    """The same by workers of a cluster; what a lost worker had begun is done again from the start by another one."""
    with connected(order.executor) as cluster, cluster.executor() as workers:
        waiting = {workers.submit(tasks.carry_out_apart, task): task for task in todo}
        for future in as_completed(waiting):
            try:
                outcomes = future.result()
            except Exception as error:  # noqa: BLE001 -- a cluster that gives up says so by errors of many kinds
                outcomes = tasks.given_up(waiting[future], error)
            for outcome in outcomes:
                told(outcome.case.id, "done")
                yield outcome


def refuse_unreachable(profile: Profile, executor: str) -> None:
    """Raises when the workers of a cluster could not, or should not, reach the services of the profile."""
    if executor == "processes" or profile == "mock_contract":
        return
    if profile == "vendor_live":
        why = "the passwords of live endpoints are not sent to workers"
    elif is_local(executor):
        return
    else:
        why = "the services of this machine answer this machine alone"
    raise UsageError(
        f"--executor {executor}: {why}",
        code="executor.wrong_profile",
        hint="leave --executor away, and divide the cases among machines by --shard",
    )


def _groups(order: Order, cases: Sequence[Case], live: tasks.Live) -> Iterator[Task]:
    """The executed cases of each source together, in two parts, so that no process is left alone with the last group.

    There are more parts where there are fewer sources than processes.
    """
    by_source: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_source[case.source].append(case)
    parts = max(2, -(-order.workers // max(1, len(by_source)))) if order.workers > 1 else 1
    for source, found in sorted(by_source.items(), key=lambda item: -len(item[1])):
        for n in range(parts):
            if part := tuple(found[n::parts]):
                yield Task(source, part, order.volume, live)


def _chunks(order: Order, cases: Sequence[Case], live: tasks.Live) -> Iterator[Task]:
    """The computed cases, a few of one source at a time."""
    by_source: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_source[case.source].append(case)
    for source, found in by_source.items():
        for start in range(0, len(found), _CHUNK):
            yield Task(
                source,
                tuple(found[start : start + _CHUNK]),
                order.volume,
                tasks.Live({}, live.runs, live.faults, live.sinks),
            )


def _written(order: Order, outcome: Outcome, about: Subject) -> Result:
    """The artifact of a case is in the folder. What a live endpoint holds is nobody's to read there."""
    result = result_of(outcome, order.profile, order.volume)
    if order.profile == "vendor_live":
        outcome.differing = [_masked(one) for one in outcome.differing]
    artifact = artifact_of(outcome, result, order.profile, order.volume, order.matrix.digest, about)
    path = order.folder / artifact_name(outcome.case.id)
    write(path, artifact.to_json())
    path.chmod(0o600)
    return result


def _masked(one: Difference) -> Difference:
    hidden = {
        name: None if values is None else dict.fromkeys(values, _HIDDEN)
        for name, values in (("expected", one.expected), ("found", one.found))
    }
    return one.model_copy(update={**hidden, "key": tuple(_HIDDEN for _ in one.key)})


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
