"""The evidence of a replay is put together and written: JSON for gates, Markdown for people."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from msgspec import Struct

from dpone.errors import DponeError
from dpone.evidence.canonical import write
from dpone.evidence.document import Blocker, now, verdict
from dpone.evidence.subject import subject
from dpone.replay.account import Account
from dpone.replay.evidence import Operation, ReplayEvidence, RowCountCheck, StatusCheck, objections
from dpone.replay.markdown import to_markdown

Action = Literal["resume", "resync"]


class Heading(Struct, frozen=True):
    """What is replayed, and by which command."""

    action: Action
    executes: bool
    run_id: str
    manifest: str
    source: str
    sink: str
    target: str
    strategy: str
    scope: str
    words: tuple[str, ...]  # of the command, without --yes

    @property
    def command(self) -> str:
        """The command that does this, as a shell takes it."""
        testing = ["--testing"] if os.environ.get("DPONE_TESTING") else []
        return shlex.join(["dpone", *testing, *self.words, *(["--yes"] if self.executes else [])])

    @property
    def to_execute(self) -> str:
        return self.command if self.executes else f"{self.command} --yes"


def evidence_of(
    heading: Heading, accounts: Sequence[Account], digests: Iterable[str], seconds: float, error: DponeError | None
) -> ReplayEvidence:
    """The document. It passes when everything that it says of itself lets it, and nothing went wrong."""
    operations = tuple(o for a in accounts for o in a.operations())
    counted = tuple(c for a in accounts for c in a.row_count_checks)
    found = tuple(c for a in accounts for c in a.status_checks)
    facts = {
        "created_at": now(),
        "producer": f"dpone-core {version('dpone-core')}",
        "subject": subject(),
        "action": heading.action,
        "mode": "execute" if heading.executes else "plan",
        "run_id": heading.run_id,
        "manifest": heading.manifest,
        "source": heading.source,
        "sink": heading.sink,
        "target": heading.target,
        "strategy": heading.strategy,
        "scope": heading.scope,
        "plan_digests": tuple(digests),
        "operations": operations,
        "row_count_checks": counted,
        "status_checks": found,
        "effects": tuple(e for a in accounts for e in a.effects()),
        "reproduction_command": heading.command,
        "seconds": round(seconds, 6),
    }
    blockers = _blockers(heading, operations, counted, found, error)
    document = ReplayEvidence.model_validate({**facts, **verdict(blockers or [_unfounded()])})
    if not blockers and not objections(document):
        return ReplayEvidence.model_validate({**facts, **verdict(())})
    return document


def _blockers(
    heading: Heading,
    operations: Sequence[Operation],
    counted: Sequence[RowCountCheck],
    found: Sequence[StatusCheck],
    error: DponeError | None,
) -> list[Blocker]:
    blockers = []
    if not heading.executes:
        blockers.append(
            Blocker(
                code="replay.not_executed", message="this is a plan; nothing was changed", action=heading.to_execute
            )
        )
    if error is not None:
        blockers.append(
            Blocker(
                code=f"replay.failed:{error.code}",
                message=error.message,
                action=error.hint or "look the code up in docs/reference/errors.md",
            )
        )
    if heading.executes and error is None:
        blockers += [
            Blocker(
                code=f"replay.not_done:{o.load_id}",
                message=f"{o.name} is {o.status}",
                action="run the command again: it begins where this one ended",
            )
            for o in operations
            if o.status != "done"
        ]
    blockers += [
        Blocker(
            code=f"replay.rows_differ:{c.name}",
            message=f"expected {c.expected} rows, found {c.actual}",
            action="compare source and target by `dpone diff`",
        )
        for c in counted
        if not c.passed
    ]
    blockers += [
        Blocker(
            code=f"replay.status_differs:{c.name}",
            message=f"expected {c.expected}, found {c.actual}",
            action="look at the run and at what is stored: `dpone runs show`, `dpone state show`",
        )
        for c in found
        if not c.passed
    ]
    return blockers


def _unfounded() -> Blocker:
    return Blocker(
        code="replay.unfounded", message="nothing was checked that would show it", action="run the command again"
    )


def write_evidence(evidence: ReplayEvidence, folder: Path) -> Path:
    """`<action>_<run_id>_evidence.json` and `.md` are in the folder; the path of the first."""
    path = folder / f"{evidence.action}_{evidence.run_id}_evidence.json"
    write(path, evidence.to_json())
    write(path.with_suffix(".md"), to_markdown(evidence))
    return path
