"""`dpone plan`: what a run would do now, and why it would do it so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dpone import api
from dpone.cli.options import emit_json, manifest_argument, output_format, select_option
from dpone.plan import plain, print_op


@click.command()
@manifest_argument
@select_option
@output_format()
def plan(*, manifest: Path, select: tuple[str, ...], output_format: str) -> None:
    """Show what a run of MANIFEST would do: program, statements, wire format, columns, changes. Nothing is written."""
    show(api.preview(manifest, select=select), output_format)


def show(previews: tuple[api.Preview, ...], output_format: str) -> None:
    if output_format == "json":
        emit_json([as_json(preview) for preview in previews])
        return
    for preview in previews:
        click.echo(as_text(preview))


def as_json(preview: api.Preview) -> dict[str, Any]:
    prepared = preview.prepared
    return {
        "plan": plain(preview.plan),
        "digest": preview.plan.digest,
        "program": [print_op(op) for op in prepared.program],
        "format": prepared.choice.format,
        "refused_formats": [{"format": r.format, "reason": r.reason} for r in prepared.choice.refused],
        "fate": prepared.spec.fate.value,
        "target_exists": preview.current is not None,
        "unapplied_options": list(preview.unapplied),
        "changes": [plain(change) for change in prepared.changes],
        "statements": list(preview.statements),
        "remarks": list(preview.remarks),
    }


def as_text(preview: api.Preview) -> str:
    plan, prepared = preview.plan, preview.prepared
    lines = [
        f"{plan.pipeline}: {plan.strategy}, {plan.source.label} -> {plan.sink.label}",
        f"  digest    {plan.digest[:16]}",
        f"  program   {'; '.join(print_op(op) for op in prepared.program)}",
        f"  format    {prepared.choice.format}",
        *(f"            not {r.format}: {r.reason}" for r in prepared.choice.refused),
        *(f"  reading   {remark}" for remark in preview.remarks),
        f"  stage     {prepared.spec.fate.value}",
        f"  target    {'exists' if preview.current else 'is created'}",
        *(f"            stays as it was made: {name} is for a new one" for name in preview.unapplied),
        *(f"            {_change(change)}" for change in prepared.changes),
    ]
    if plan.chunks:
        lines.append(f"  chunks    {len(plan.chunks)}, {plan.workers} staged at a time")
    lines.append("  columns")
    width = max(len(c.field.name) for c in prepared.columns)
    for column in prepared.columns:
        came = column.found.native or str(column.found.type)
        how = f"  {column.change.kind.value}" if column.change else ""
        why = f"  ({column.landing.why})" if column.landing.why else ""
        verdict = column.landing.verdict.value
        lines.append(f"    {column.field.name:<{width}}  {came} -> {column.landing.native}  {verdict}{how}{why}")
    if preview.statements:
        lines.append("  statements")
        lines += [f"    {line}" for statement in preview.statements for line in statement.splitlines()]
    return "\n".join(lines)


def _change(change: object) -> str:
    facts = plain(change)
    assert isinstance(facts, dict)
    kind = facts.pop("kind")
    return f"{kind} {', '.join(f'{k}={v}' for k, v in facts.items())}".rstrip()
