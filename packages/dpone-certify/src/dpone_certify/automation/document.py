"""The document `dpone.certification_automation_plan.v1`: the commands, and how they ended where they were run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Literal

from dpone_certify.automation.plan import Command, Wish
from dpone_certify.certification.document import Profile
from dpone_certify.documents.document import Blocker, Document, Part, Subject, now, verdict
from dpone_certify.documents.markdown import head

NAME = "certification_automation_plan"


class Step(Part):
    """`command` is runnable as it is printed; exit code and seconds are null where it was not run."""

    name: str
    command: str
    produces: str
    exit_code: int | None = None
    seconds: float | None = None


class AutomationPlan(Document):
    """A plan does not pass: nothing was shown. Carried out, it passes when every command did."""

    schema_version: Literal["dpone.certification_automation_plan.v1"] = "dpone.certification_automation_plan.v1"
    mode: Literal["plan", "execute"]
    profile: Profile
    row_count: int
    release_id: str
    steps: tuple[Step, ...]


def planned(command: Command) -> Step:
    return Step(name=command.name, command=shlex.join(command.words), produces=command.produces)


def document_of(wish: Wish, steps: Sequence[Step], subject: Subject, *, executed: bool) -> AutomationPlan:
    blockers = []
    if not executed:
        message, action = "it is a plan; nothing was carried out", "say --execute, or run the commands as printed"
        blockers.append(Blocker(code=f"{NAME}.not_executed", message=message, action=action))
    for step in steps if executed else ():
        if step.exit_code != 0:
            message = f"{step.name} ended with {step.exit_code}"
            action = f"look at {step.produces}, and run it again: {step.command}"
            blockers.append(Blocker(code=f"{NAME}.step_failed:{step.name}", message=message, action=action))
    return AutomationPlan(
        created_at=now(),
        producer="dpone ops certification-automation-plan",
        subject=subject,
        mode="execute" if executed else "plan",
        profile=wish.profile,
        row_count=wish.row_count,
        release_id=wish.release_id,
        steps=tuple(steps),
        **verdict(blockers),
    )


def markdown_of(plan: AutomationPlan) -> str:
    lines = head(f"Full certification, {plan.profile}, {plan.release_id}", plan)
    for number, step in enumerate(plan.steps, 1):
        ended = "" if step.exit_code is None else f": exit {step.exit_code}, {step.seconds:.1f} s"
        lines += [f"{number}. {step.name}{ended}", "", f"        {step.command}", ""]
    return "\n".join(lines)
