"""The evidence of a replay for people: the same facts as the JSON, rendered from it."""

from __future__ import annotations

from dpone.evidence.markdown import escaped, head, table
from dpone.replay.evidence import ReplayEvidence


def to_markdown(evidence: ReplayEvidence) -> str:
    """The whole page."""
    lines = head(f"{evidence.action} {evidence.run_id} ({evidence.mode})", evidence)
    ends = f"{escaped(evidence.source)} to {escaped(evidence.sink)}, {escaped(evidence.target)}"
    lines += [
        f"{ends}, by {escaped(evidence.strategy)}: {escaped(evidence.scope)}.",
        "",
        "```",
        evidence.reproduction_command,
        "```",
        "",
        "## Operations",
        "",
    ]
    lines += table(
        ("stream", "load", "operation", "status", "what"),
        ((o.stream, o.load_id, o.name, o.status, o.detail) for o in evidence.operations),
    )
    statements = [s for o in evidence.operations for s in o.statements]
    if statements:
        lines += ["```sql", *(s.rstrip(";") + ";" for s in dict.fromkeys(statements)), "```", ""]
    lines += ["## Effect in rows", ""]
    lines += table(
        ("stream", "staged", "inserted", "updated", "deleted", "before", "after"),
        (
            tuple(
                "not known" if value is None else value
                for value in (e.stream, e.rows_staged, e.inserted, e.updated, e.deleted, e.rows_before, e.rows_after)
            )
            for e in evidence.effects
        ),
    )
    lines += ["## Row counts", ""]
    lines += table(
        ("stream", "check", "expected", "actual", "passed"),
        ((c.stream, c.name, c.expected, c.actual, "yes" if c.passed else "no") for c in evidence.row_count_checks),
    )
    lines += ["## Status", ""]
    lines += table(
        ("stream", "check", "expected", "actual", "passed"),
        ((c.stream, c.name, c.expected, c.actual, "yes" if c.passed else "no") for c in evidence.status_checks),
    )
    return "\n".join(lines).rstrip() + "\n"
