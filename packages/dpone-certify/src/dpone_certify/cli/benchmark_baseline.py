"""`dpone ops benchmark-baseline`: measured numbers held to a baseline."""

from __future__ import annotations

import math
from pathlib import Path

import click

from dpone.cli.options import output_format


def ratio(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """A share between 0 and 1; NaN is in no range, and click's own ranges let it through."""
    if not (math.isfinite(value) and 0 <= value < 1):
        raise click.BadParameter(f"{value} is not a share of at least 0 and below 1")
    return value


@click.command("benchmark-baseline")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/benchmarks/current"),
    show_default=True,
    help="Where benchmark_baseline.json and its Markdown go.",
)
@click.option("--metrics-json", metavar="JSON|@FILE", help="The numbers; @benchmark_metrics.json gives measured ones.")
@click.option("--baseline-json", metavar="JSON|@FILE", help='{metric: {"value": ..., "direction": "higher|lower"}}')
@click.option(
    "--allowed-regression-ratio",
    type=float,
    callback=ratio,
    default=0.10,
    show_default=True,
    help="How far a metric may fall behind its baseline.",
)
@output_format(markdown=True)
def benchmark_baseline(
    *,
    output_dir: Path,
    metrics_json: str | None,
    baseline_json: str | None,
    allowed_regression_ratio: float,
    output_format: str,
) -> None:
    """Hold numbers to a baseline; exit 1 when one is missing, is no number or falls too far behind."""
    from dpone_certify.baseline.document import BASELINE, METRICS, given, hold, markdown_of
    from dpone_certify.cli.answers import conclude, write_document
    from dpone_certify.documents.subject import subject

    metrics, baseline = given(METRICS, metrics_json), given(BASELINE, baseline_json)
    document = hold(metrics, baseline, allowed_regression_ratio, output_dir, subject())
    markdown = markdown_of(document)
    written = write_document(output_dir / "benchmark_baseline.json", document, markdown)
    conclude(document, markdown, output_format, written)
