"""The document `dpone.certification_history.v1`: failures that are new, that are gone, that stayed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from dpone_certify.certification.document import FIDELITIES, CertificationReport, Fidelity, State
from dpone_certify.documents.canonical import relative
from dpone_certify.documents.document import Artifact, Blocker, Document, Part, Subject, now, verdict
from dpone_certify.documents.markdown import head, table

NAME = "certification_history"


class Outcome(Part):
    """What is remembered of a case."""

    state: State
    fidelity: Fidelity


class Change(Part):
    """A case that is not as it was; null where it was not there."""

    case_id: str
    before: Outcome | None
    after: Outcome | None


class CertificationHistory(Document):
    """One certification beside the one before. It passes unless something got worse."""

    schema_version: Literal["dpone.certification_history.v1"] = "dpone.certification_history.v1"
    release_id: str
    previous_release_id: str | None
    report: Artifact
    profile: str | None
    new_failures: tuple[Change, ...]
    fixed: tuple[Change, ...]
    unchanged_failures: tuple[Change, ...]
    weaker: tuple[Change, ...]  # passed then and now, on less
    gone: tuple[Change, ...]
    regression: bool
    outcomes: Mapping[str, Outcome]


def outcomes_of(report: CertificationReport) -> dict[str, Outcome]:
    return {
        r.case_id: Outcome(state=r.state if r.passed else _red(r.state), fidelity=r.lower_fidelity)
        for r in report.results
    }


def _red(state: State) -> State:
    return "failed" if state == "passed" else state


def compare(
    release_id: str,
    report: CertificationReport | None,
    path: Path | None,
    digest: str | None,
    before: CertificationHistory | None,
    folder: Path,
    subject: Subject,
    blockers: tuple[Blocker, ...],
) -> CertificationHistory:
    """The history of this release, as it will lie in `folder`."""
    now_ = outcomes_of(report) if report is not None else {}
    then = dict(before.outcomes) if before is not None else {}
    changes = [Change(case_id=c, before=then.get(c), after=now_.get(c)) for c in sorted(then.keys() | now_.keys())]
    red = [c for c in changes if c.after is not None and c.after.state != "passed"]
    kept = [
        c for c in changes if c.before is not None and c.after is not None and _passed(c.before) and _passed(c.after)
    ]
    new = tuple(c for c in red if c.before is None or _passed(c.before))
    weaker = tuple(c for c in kept if _grade(c.after) < _grade(c.before))
    gone = tuple(c for c in changes if c.after is None) if report is not None else ()
    found = [*blockers]
    if before is not None:
        found += [_worse("new_failure", c, "look at the case, and mend what broke it") for c in new]
    found += [_worse("weaker", c, "run it where both ends are as real as they were") for c in weaker]
    found += [_worse("gone", c, "run the whole matrix") for c in gone]
    return CertificationHistory(
        created_at=now(),
        producer="dpone ops certification-history",
        subject=subject,
        release_id=release_id,
        previous_release_id=before.release_id if before is not None else None,
        report=Artifact(name="certification_report", path=relative(path, folder) if path else "", sha256=digest),
        profile=report.profile if report is not None else None,
        new_failures=new,
        fixed=tuple(c for c in changes if c.before and c.after and not _passed(c.before) and _passed(c.after)),
        unchanged_failures=tuple(c for c in red if c.before is not None and not _passed(c.before)),
        weaker=weaker,
        gone=gone,
        regression=bool(found) and before is not None,
        outcomes=now_,
        **verdict(found),
    )


def _worse(code: str, change: Change, action: str) -> Blocker:
    message = f"{_said(change.before)} before, {_said(change.after)} now"
    return Blocker(code=f"{NAME}.{code}:{change.case_id}", message=message, action=action)


def _passed(outcome: Outcome) -> bool:
    return outcome.state == "passed"


def _grade(outcome: Outcome | None) -> int:
    return -1 if outcome is None else FIDELITIES.index(outcome.fidelity)


def _said(outcome: Outcome | None) -> str:
    return "not there" if outcome is None else f"{outcome.state} on {outcome.fidelity} ends"


def markdown_of(history: CertificationHistory) -> str:
    lines = head(f"{history.release_id} after {history.previous_release_id or 'nothing'}", history)
    groups = {
        "new failures": history.new_failures,
        "fixed": history.fixed,
        "unchanged failures": history.unchanged_failures,
        "proven by less": history.weaker,
        "gone": history.gone,
    }
    for name, changes in groups.items():
        if changes:
            lines += [f"## {name}: {len(changes)}", ""]
            lines += table(("case", "before", "now"), ((c.case_id, _said(c.before), _said(c.after)) for c in changes))
    return "\n".join(lines)
