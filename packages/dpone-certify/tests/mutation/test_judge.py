"""A mutation report is judged by its mutants, whatever it says of itself."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from dpone_certify.documents.document import Subject, now
from dpone_certify.mutation.document import CertificationMutation, Mutant, Seam
from dpone_certify.mutation.judge import LEAST_BUGS, blockers_of, score_of

AGAIN = "produce it again with `dpone ops certification-mutation`; do not change it by hand"
SEAMS = get_args(Seam)


def mutant(name: str, state: str = "killed", seam: str = "reader", **more: str) -> Mutant:
    noticed = "a case: a check" if state == "killed" else ""
    plain = {"name": name, "seam": seam, "strategy": "cdc", "state": state, "noticed_by": noticed}
    return Mutant.model_validate({**plain, **more})


KILLED = tuple(mutant(f"bug_in_{seam}", seam=seam) for seam in SEAMS)


def report(*mutants: Mutant, **more: Any) -> CertificationMutation:
    """Its counts are those of its mutants, unless something else is said."""
    states = [m.state for m in mutants]
    values: dict[str, Any] = {
        "created_at": now(),
        "producer": "a test",
        "subject": Subject(distributions={}),
        "passed": True,
        "blockers": (),
        "bug_count": len({m.name for m in mutants}),
        "mutant_count": len(mutants),
        "killed_count": states.count("killed"),
        "survived_count": states.count("survived"),
        "equivalent_count": states.count("equivalent"),
        "score": score_of(mutants),
        "duration_seconds": 1.0,
        "mutants": mutants,
    }
    return CertificationMutation.model_validate({**values, **more})


def judged(found: CertificationMutation, least_bugs: int = len(KILLED)) -> list[tuple[str, str, str]]:
    """Code, message and action of each blocker."""
    return [
        (b.code.removeprefix("certification_mutation."), b.message, b.action) for b in blockers_of(found, least_bugs)
    ]


@pytest.mark.parametrize(
    "states, score",
    [
        ((), 0.0),
        (("equivalent",), 0.0),
        (("killed",), 1.0),
        (("killed", "equivalent"), 1.0),
        (("killed", "survived", "equivalent"), 0.5),
        (("killed", "survived", "error", "killed"), 0.5),
        (("survived", "error"), 0.0),
    ],
)
def test_the_score_is_the_share_of_what_was_noticed(states: tuple[str, ...], score: float) -> None:
    assert score_of([mutant(f"bug_{i}", state) for i, state in enumerate(states)]) == score


def test_a_report_of_bugs_that_were_noticed_or_change_nothing() -> None:
    assert judged(report(*KILLED, mutant("nothing", "equivalent"))) == []


@pytest.mark.parametrize(
    "added, expected",
    [
        (
            mutant("lives", "survived"),
            ("survived:lives:cdc", "lives under cdc was not noticed", "let a check look at what this bug changes"),
        ),
        (mutant("broke", "error", detail="it hung"), ("error:broke:cdc", "broke under cdc: it hung", AGAIN)),
        (
            mutant("mute", noticed_by=""),
            ("error:mute:cdc", "mute under cdc: nothing says what noticed it", AGAIN),
        ),
        (
            mutant("broke", "error", noticed_by="a check"),
            ("error:broke:cdc", "broke under cdc: nothing says what noticed it", AGAIN),
        ),
    ],
)
def test_a_bug_that_is_no_proof(added: Mutant, expected: tuple[str, str, str]) -> None:
    assert judged(report(*KILLED, added)) == [expected]


def test_too_few_bugs() -> None:
    assert judged(report(*KILLED, *KILLED), len(KILLED) + 1) == [
        ("too_few", f"{len(KILLED)} bugs were planted, at least {len(KILLED) + 1} are asked for", AGAIN)
    ]
    assert judged(report(*KILLED), LEAST_BUGS) == [
        (b.code.removeprefix("certification_mutation."), b.message, b.action) for b in blockers_of(report(*KILLED))
    ]


@pytest.mark.parametrize("seam", SEAMS)
def test_a_seam_in_which_no_bug_was_planted(seam: str) -> None:
    left = [m for m in KILLED if m.seam != seam]
    assert judged(report(*left), len(left)) == [(f"seam_missing:{seam}", f"no bug was planted in the {seam}", AGAIN)]


@pytest.mark.parametrize(
    "count, there",
    [
        ("bug_count", 7),
        ("mutant_count", 8),
        ("killed_count", 7),
        ("survived_count", 0),
        ("equivalent_count", 1),
    ],
)
def test_a_count_that_its_mutants_do_not_give(count: str, there: int) -> None:
    found = report(*KILLED, mutant("twice"), mutant("twice", "equivalent"), **{count: 99})
    assert judged(found) == [(f"count_differs:{count}", f"{count} says 99, there are {there}", AGAIN)]


def test_a_score_that_its_mutants_do_not_give() -> None:
    lives = mutant("lives", "survived")
    *_, last = judged(report(*KILLED, lives, score=1.0))
    assert last == ("count_differs:score", f"the score is {6 / 7:.4f}", AGAIN)
    assert len(judged(report(*KILLED, lives, score=round(6 / 7, 6)))) == 1, "a rounded score is the score"
    assert len(judged(report(*KILLED, lives, score=round(6 / 7, 4)))) == 2


def test_what_is_wrong_twice_is_told_once() -> None:
    lives = mutant("lives", "survived")
    assert len(judged(report(*KILLED, lives, lives))) == 1
