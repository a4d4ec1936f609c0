"""What a mutation report says, recomputed from its mutants."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

from dpone_certify.documents.document import Blocker
from dpone_certify.mutation.document import NAME, CertificationMutation, Mutant, Seam

LEAST_BUGS = 25
_AGAIN = "produce it again with `dpone ops certification-mutation`; do not change it by hand"


def score_of(mutants: Sequence[Mutant]) -> float:
    """The share of planted bugs that were noticed; 0 where none was planted."""
    states = Counter(mutant.state for mutant in mutants)
    counted = states["killed"] + states["survived"] + states["error"]
    return states["killed"] / counted if counted else 0.0


def blockers_of(report: CertificationMutation, least_bugs: int = LEAST_BUGS) -> tuple[Blocker, ...]:
    """Everything that keeps it from passing, the verdict that it carries left aside."""
    return tuple(dict.fromkeys([*_of_mutants(report.mutants, least_bugs), *_of_counts(report)]))


def _of_mutants(mutants: Sequence[Mutant], least_bugs: int) -> Iterator[Blocker]:
    bugs = {mutant.name for mutant in mutants}
    if len(bugs) < least_bugs:
        yield _blocker("too_few", f"{len(bugs)} bugs were planted, at least {least_bugs} are asked for", _AGAIN)
    for seam in get_args(Seam):
        if not any(mutant.seam == seam for mutant in mutants):
            yield _blocker(f"seam_missing:{seam}", f"no bug was planted in the {seam}", _AGAIN)
    for mutant in mutants:
        place = f"{mutant.name}:{mutant.strategy}"
        if mutant.state == "survived":
            action = "let a check look at what this bug changes"
            yield _blocker(f"survived:{place}", f"{mutant.name} under {mutant.strategy} was not noticed", action)
        if mutant.state == "error" or (mutant.state == "killed" and not mutant.noticed_by):
            message = f"{mutant.name} under {mutant.strategy}: {mutant.detail or 'nothing says what noticed it'}"
            yield _blocker(f"error:{place}", message, _AGAIN)


def _of_counts(report: CertificationMutation) -> Iterator[Blocker]:
    states = Counter(mutant.state for mutant in report.mutants)
    real = {
        "bug_count": len({mutant.name for mutant in report.mutants}),
        "mutant_count": len(report.mutants),
        "killed_count": states["killed"],
        "survived_count": states["survived"],
        "equivalent_count": states["equivalent"],
    }
    for name, found in real.items():
        if getattr(report, name) != found:
            yield _blocker(f"count_differs:{name}", f"{name} says {getattr(report, name)}, there are {found}", _AGAIN)
    if not math.isclose(report.score, score_of(report.mutants), abs_tol=1e-6):
        yield _blocker("count_differs:score", f"the score is {score_of(report.mutants):.4f}", _AGAIN)


def _blocker(code: str, message: str, action: str) -> Blocker:
    return Blocker(code=f"{NAME}.{code}", message=message, action=action)
