"""What `dpone resync` and `dpone resume` say, and the options that they share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.api import REPLAYS
from dpone.cli.options import emit_json

if TYPE_CHECKING:
    from dpone.replay.evidence import Effect, ReplayEvidence

artifact_dir_option = click.option(
    "--artifact-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=REPLAYS,
    show_default=True,
    help="Where the evidence is written.",
)


def show(evidence: ReplayEvidence, folder: Path, output_format: str) -> None:
    """The evidence as a person or a machine wants to see it."""
    if output_format == "json":
        emit_json(json.loads(evidence.to_json()))
        return
    click.echo("\n".join(_lines(evidence, folder)))


def _lines(evidence: ReplayEvidence, folder: Path) -> list[str]:
    what = "was done" if evidence.mode == "execute" else "is a plan; nothing was changed"
    lines = [
        f"{evidence.action} {evidence.run_id}: {evidence.scope} of {evidence.target}, {what}",
        f"  {evidence.source} -> {evidence.sink}, by {evidence.strategy}",
        "  operations",
    ]
    for operation in evidence.operations:
        detail = f": {operation.detail}" if operation.detail else ""
        lines.append(f"    {operation.load_id}  {operation.name}  {operation.status}{detail}")
    if statements := list(dict.fromkeys(s for o in evidence.operations for s in o.statements)):
        lines.append("  statements")
        lines += [f"    {line}" for statement in statements for line in statement.splitlines()]
    lines.append("  effect in rows")
    lines += [f"    {effect.stream}: {_effect(effect)}" for effect in evidence.effects]
    red = [f"{c.name}: {c.expected} expected, {c.actual} found" for c in evidence.row_count_checks if not c.passed]
    red += [f"{c.name}: {c.expected} expected, {c.actual} found" for c in evidence.status_checks if not c.passed]
    lines += [f"  not as expected: {line}" for line in red]
    checks = len(evidence.row_count_checks) + len(evidence.status_checks)
    lines.append(f"  {checks - len(red)} of {checks} checks hold")
    if evidence.mode == "plan":
        lines.append(f"  to do it: {evidence.reproduction_command} --yes")
    lines.append(f"evidence {folder / f'{evidence.action}_{evidence.run_id}_evidence.json'}")
    return lines


def _effect(effect: Effect) -> str:
    if effect.inserted is None:
        staged = "" if effect.rows_staged is None else f"{effect.rows_staged:,} rows staged; "
        return f"{staged}not known before it is read"
    staged = f"{effect.rows_staged:,} staged, " if effect.rows_staged is not None else ""
    return (
        f"{staged}{effect.inserted:,} inserted, {effect.updated:,} updated, {effect.deleted:,} deleted; "
        f"{effect.rows_before:,} rows before, {effect.rows_after:,} after"
    )
