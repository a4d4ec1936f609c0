"""Every bug under every strategy in which it means something: one run of the real engine each, which must go red."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from uuid import uuid4

from dpone import oracle, stage
from dpone.errors import DataError
from dpone.integration_matrix import Case
from dpone.ops import Program
from dpone.oracle import Table
from dpone.stage import Sealing
from dpone.strategies import STRATEGIES, Load
from dpone_certify.certification import asked, seeded
from dpone_certify.certification.document import Volume
from dpone_certify.certification.executed import Group, certify_group
from dpone_certify.certification.reading import entries_of
from dpone_certify.certification.serving import Served
from dpone_certify.certification.volume import volume_of
from dpone_certify.documents.document import now, verdict
from dpone_certify.documents.markdown import head, table
from dpone_certify.documents.subject import subject
from dpone_certify.mutation.bugs import BUGS
from dpone_certify.mutation.document import CertificationMutation, Mutant
from dpone_certify.mutation.judge import blockers_of, score_of
from dpone_certify.mutation.tampering import Bug, tampered
from dpone_certify.postconditions.judge import expected
from dpone_certify.postconditions.rows import marks

PRODUCER = "dpone ops certification-mutation"
ROWS = 60
WIDE = 6
_AT = datetime(2026, 6, 1, tzinfo=UTC)


def mutants_of(bugs: Sequence[Bug] = BUGS, strategies: Sequence[str] = tuple(STRATEGIES)) -> Iterator[tuple[Bug, str]]:
    """What is planted: a bug of the program only where it changes the program."""
    for bug in bugs:
        for strategy in strategies:
            if strategy in bug.strategies and (bug.program is None or _changes(bug, strategy)):
                yield bug, strategy


def _changes(bug: Bug, strategy: str) -> bool:
    assert bug.program is not None
    return any(bug.program(program) != program for program in _programs(strategy, volume_of(ROWS)))


def _programs(strategy: str, volume: Volume) -> list[Program]:
    return [STRATEGIES[strategy].program(_load(strategy, volume, first=first)) for first in (True, False)]


def _load(strategy: str, volume: Volume, *, first: bool) -> Load:
    options = asked.options_of(strategy, volume, first=first, at=None)
    grain = Load("", _AT, ()).grain
    return Load(
        id="first" if first else "second",
        at=_AT if first else _AT + timedelta(days=1),
        columns=asked.CONTENT,
        key=options.key,
        first=first,
        slice_column=options.slice_column,
        grain=type(grain)(options.grain),
        bounds=options.bounds,
    )


def is_equivalent(bug: Bug, strategy: str, volume: Volume) -> bool:
    """The oracle ends with the same rows with the bug and without it, in both loads."""
    if bug.program is None:
        return False

    def wide(number: int, version: int) -> str:
        return f"{number}.{version}"

    before, after = seeded.before(volume, wide), seeded.after(volume, wide)
    rule = STRATEGIES[strategy]
    target: Table = Table(asked.CONTENT)
    for first, old, new in ((True, [], before), (False, before, after)):
        load = _load(strategy, volume, first=first)
        options = asked.options_of(strategy, volume, first=first, at=load.at)
        entries = entries_of(rule.read, old, new, options)
        sealed = stage.seal(entries.staged, Sealing(load.columns, load.key, changes=entries.changes))
        program = rule.program(load)
        right, _ = oracle.apply(program, target, sealed)
        try:
            wrong, _ = oracle.apply(bug.program(program), target, sealed)
        except DataError:
            return False
        columns = (*asked.CONTENT, *asked.INTERVAL)
        if Counter(marks(r, columns) for r in right.rows) != Counter(marks(r, columns) for r in wrong.rows):
            return False
        target = Table(asked.CONTENT, tuple(expected(strategy, old, new, target.rows, options)), right.loads)
    return True


def plant(bug: Bug, strategy: str, source: Served, sink: Served, volume: Volume, runs: Path) -> Mutant:
    """One run of the case with the bug, and which check noticed it."""
    if is_equivalent(bug, strategy, volume):
        detail = "the oracle ends with the same rows"
        return Mutant(name=bug.name, seam=bug.seam, strategy=strategy, state="equivalent", detail=detail)
    case = Case(source.endpoint.connector, sink.endpoint.connector, strategy)
    wrong_source = tampered(source, bug)
    wrong_sink = wrong_source if sink is source else tampered(sink, bug)
    group = Group(
        cases=[case],
        source=wrong_source,
        sinks={case.sink: wrong_sink},
        volume=volume,
        token=f"m{uuid4().hex[:6]}",
        runs=runs,
        kept_by=[sink.kit.connector],
        brief=True,
    )
    (found,) = certify_group(group, lambda _case, _step: None)
    red = next((check for check in found.checks if check.state in {"failed", "error"}), None)
    return Mutant(
        name=bug.name,
        seam=bug.seam,
        strategy=strategy,
        state="survived" if red is None else "killed",
        noticed_by="" if red is None else f"{case.id}: {red.name}",
        detail="" if red is None else red.detail[:300],
    )


def refuse_red(strategies: Sequence[str], source: Served, sink: Served, volume: Volume, runs: Path) -> list[str]:
    """The strategies whose case is red without any bug: nothing could be concluded from them."""
    honest = Bug("none", "reader", frozenset(strategies))
    return [s for s in strategies if plant(honest, s, source, sink, volume, runs).state != "survived"]


def carry_out(
    source: Served, sink: Served, seed: int, runs: Path, say: Callable[[Mutant], None]
) -> CertificationMutation:
    """Every mutant is planted once; the report says which were noticed."""
    begun = monotonic()
    volume = volume_of(ROWS, seed=seed).model_copy(update={"wide_columns": WIDE})
    possible = [s for s in STRATEGIES if _is_possible(s, source, sink)]
    red = refuse_red(possible, source, sink, volume, runs)
    mutants = [
        Mutant(name="none", seam="reader", strategy=s, state="error", detail="the case is red without any bug")
        for s in red
    ]
    for bug, strategy in mutants_of(strategies=[s for s in possible if s not in red]):
        mutants.append(plant(bug, strategy, source, sink, volume, runs))
        say(mutants[-1])
    return report_of(mutants, seed, {"source": source.version, "sink": sink.version}, monotonic() - begun)


def _is_possible(strategy: str, source: Served, sink: Served) -> bool:
    one, other = source.kit.connector.source, sink.kit.connector.sink
    rule = STRATEGIES[strategy]
    return one is not None and other is not None and rule.read in one.reads and rule.emits <= other.ops


def report_of(mutants: Sequence[Mutant], seed: int, services: dict[str, str], seconds: float) -> CertificationMutation:
    """The document, judged by its mutants."""
    states = Counter(mutant.state for mutant in mutants)
    found = CertificationMutation(
        created_at=now(),
        producer=PRODUCER,
        subject=subject(seed=seed, services=services),
        passed=False,
        blockers=(),
        bug_count=len({mutant.name for mutant in mutants}),
        mutant_count=len(mutants),
        killed_count=states["killed"],
        survived_count=states["survived"],
        equivalent_count=states["equivalent"],
        score=score_of(mutants),
        duration_seconds=round(seconds, 3),
        mutants=tuple(mutants),
    )
    return found.model_copy(update=verdict(blockers_of(found)))


def markdown_of(found: CertificationMutation) -> str:
    """The score, the survivors first, then every mutant."""
    lines = head("Planted bugs", found)
    lines += [
        (
            f"**Score {found.score:.1%}**: {found.bug_count} bugs under strategies, {found.mutant_count} mutants, "
            f"{found.killed_count} noticed, {found.survived_count} survived, {found.equivalent_count} equivalent."
        ),
        "",
    ]
    order = {"survived": 0, "error": 1, "equivalent": 2, "killed": 3}
    lines += table(
        ("bug", "seam", "strategy", "state", "noticed by", "how"),
        (
            (m.name, m.seam, m.strategy, m.state, m.noticed_by, m.detail)
            for m in sorted(found.mutants, key=lambda m: order[m.state])
        ),
    )
    return "\n".join(lines).rstrip() + "\n"
