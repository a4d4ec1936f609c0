"""Every planted bug is caught by the property test, run on fixed seeds without shrinking; the score is printed."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import pytest

from algebra.bugs_in_memory import IN_ORACLE, IN_SEALING, IN_STRATEGIES
from algebra.bugs_in_sql import IN_RENDERED_SEALING, IN_RENDERING
from algebra.loads import Disagreement, run
from algebra.scenarios import Dice, scenario
from algebra.seams import Bug
from dpone.sql.rehearsal import Rehearsal

BUGS = (*IN_STRATEGIES, *IN_SEALING, *IN_ORACLE, *IN_RENDERING, *IN_RENDERED_SEALING)

SEEDS = 600


def caught(bug: Bug) -> str | None:
    """What the first disagreement says; None when the bug survives all seeds."""
    engine = None if bug.without_sql else Rehearsal
    for seed in range(SEEDS):
        for strategy in bug.shows_in:
            try:
                run(scenario(strategy, Dice(random.Random(seed).choice), nan=bug.nan), engine)
            except Disagreement as found:
                return f"{strategy}, seed {seed}: {found}"
    return None


@pytest.mark.timeout(600)
def test_every_planted_bug_is_caught(
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    survivors = []
    for bug in BUGS:
        with monkeypatch.context() as patch:
            bug.plant(patch)
            if caught(bug) is None:
                survivors.append(bug.name)
    score = f"{len(BUGS) - len(survivors)}/{len(BUGS)}"
    record_property("planted_bugs_caught", score)
    with capsys.disabled():
        sys.stdout.write(f"\nplanted bugs caught: {score} ")
    assert not survivors


def test_without_a_bug_the_same_seeds_agree() -> None:
    honest = Bug("none", tuple(sorted({s for bug in BUGS for s in bug.shows_in})), lambda _: None)
    for seed in range(20):
        for strategy in honest.shows_in:
            run(scenario(strategy, Dice(random.Random(seed).choice)))


def test_the_names_of_bugs_are_distinct() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS)
