"""`dpone ops benchmark-run`: what dpone costs beside a control, measured here and now."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.cli.options import output_format
from dpone_certify.benchmark.bench import PROFILES
from dpone_certify.signing.option import signing_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

JSON, MARKDOWN, PLOT = "benchmark_metrics.json", "benchmark_metrics.md", "benchmark_metrics.svg"


@click.command("benchmark-run")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/benchmarks/current"),
    show_default=True,
    help=f"Where {JSON}, its Markdown and its plot go.",
)
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="quick",
    show_default=True,
    help="quick copies 100,000 rows within PostgreSQL; full also a million, and with ClickHouse; sql_server writes and "
    "reads SQL Server beside pyodbc, or mssql-python where it does not load; logs writes and reads Kafka beside loops "
    "of its client; pairs loads 100,000 rows from whatever can be read into whatever can be written.",
)
@click.option("--pair", "only", multiple=True, help="With --profile pairs: source:sink, or a pattern; repeatable.")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds of each comparison, instead of the profile's.")
@click.option("--require-targets", is_flag=True, help="Be red, too, when a target is missed and not only told.")
@signing_key_option
@output_format(markdown=True)
def benchmark_run(
    *,
    output_dir: Path,
    profile: str,
    only: tuple[str, ...],
    rounds: int | None,
    require_targets: bool,
    signer: CryptoSigner | None,
    output_format: str,
) -> None:
    """Measure dpone beside a control that does the same work; exit 1 when the two did not do the same."""
    from dpone_certify.benchmark.artifact import write_artifact
    from dpone_certify.benchmark.bench import carry_out
    from dpone_certify.benchmark.control import benchmarkable
    from dpone_certify.benchmark.document import document_of
    from dpone_certify.benchmark.markdown import markdown_of
    from dpone_certify.benchmark.plot import svg_of
    from dpone_certify.benchmark.surroundings import environment
    from dpone_certify.documents.canonical import write
    from dpone_certify.documents.subject import subject
    from dpone_certify.signing.envelope import write_signed

    warnings: list[str] = []

    def say(line: str) -> None:
        click.echo(line, err=True)

    def warn(line: str) -> None:
        warnings.append(line)
        say(line)

    testkits = benchmarkable(warn)
    measured = carry_out(testkits, PROFILES[profile], rounds, say, only)
    metrics = document_of(measured, environment(), subject(), targets_required=require_targets)
    markdown = markdown_of(metrics, PLOT)
    written = write_signed(output_dir / JSON, metrics.to_json(), signer)
    for name, text in {MARKDOWN: markdown, PLOT: svg_of(metrics)}.items():
        write(output_dir / name, text)
        written.append(output_dir / name)
    words = ["--output-dir", str(output_dir), "--profile", profile, *(["--rounds", str(rounds)] if rounds else [])]
    words += [word for pair in only for word in ("--pair", pair)]
    words += ["--require-targets"] if require_targets else []
    command = shlex.join(["dpone", "ops", "benchmark-run", *words])
    artifact = write_artifact(metrics, command, warnings, written)
    say(f"written: {', '.join(map(str, [*written, artifact]))}")
    match output_format:
        case "json":
            click.echo(metrics.to_json(), nl=False)
        case "md":
            click.echo(markdown, nl=False)
        case _:
            for target in metrics.targets:
                mark = {True: "met   ", False: "MISSED", None: "-     "}[target.met]
                click.echo(f"{mark}  {target.name:<12} {target.found} (at most {target.limit:g})")
    if not metrics.passed:
        sys.exit(1)
