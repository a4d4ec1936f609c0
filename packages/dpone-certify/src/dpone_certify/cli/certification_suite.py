"""`dpone ops certification-suite`: the gate that all evidence of a certification has to pass."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.cli.options import output_format
from dpone_certify.signing.option import public_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

    from dpone_certify.certification.document import Fidelity

INDEX = "certification_suite_index.json"
_FILE = click.Path(path_type=Path)


def _duration(_context: click.Context, _option: click.Parameter, value: str | None) -> timedelta | None:
    from dpone.manifest.scalars import duration_of

    try:
        return None if value is None else duration_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _score(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
        raise click.BadParameter(f"{value} is not a share between 0 and 1")
    return value


def _scope(_context: click.Context, _option: click.Parameter, value: str) -> str:
    from dpone_certify.suite.evaluate import in_scope

    if not in_scope(value):
        raise click.BadParameter(f"no case of the matrix is in {value!r}")
    return value


@click.command("certification-suite")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/certification/suite"),
    show_default=True,
    help="Where certification_suite.json, its Markdown and the index of suites go.",
)
@click.option("--suite-id", default="local", show_default=True, help="What the index knows this suite by.")
@click.option("--release-id", help="The release that this evidence is for.")
@click.option("--certification-report", type=_FILE, help="A matrix report or a connector certification.")
@click.option("--benchmark-baseline", type=_FILE, help="benchmark_baseline.json.")
@click.option("--lineage-report", type=_FILE, help="<run id>__openlineage_report.json.")
@click.option("--dbt-lineage-report", type=_FILE, help="dbt_lineage.json.")
@click.option("--strategy-certification-bundle", type=_FILE, help="strategy_certification_bundle.json.")
@click.option("--evidence-bundle", type=_FILE, help="ops_evidence_bundle.json.")
@click.option("--mutation-report", type=_FILE, help="certification_mutation.json.")
@click.option("--require-benchmark", is_flag=True, help="Red without a benchmark baseline.")
@click.option("--require-lineage", is_flag=True, help="Red without a lineage report.")
@click.option("--require-dbt-lineage", is_flag=True, help="Red without a dbt lineage report.")
@click.option("--require-strategy-certification", is_flag=True, help="Red without a strategy bundle.")
@click.option("--require-evidence", is_flag=True, help="Red without an evidence bundle.")
@click.option("--require-measured", is_flag=True, help="Red over benchmark numbers that somebody typed.")
@click.option(
    "--minimum-fidelity",
    type=click.Choice(["contract", "emulated", "real", "vendor"]),
    help="Red over a case that was proven on less.",
)
@click.option("--minimum-mutation-score", type=float, callback=_score, help="Red below this share of planted bugs.")
@click.option("--max-age", callback=_duration, metavar="DURATION", help="Red over older evidence, as 24h or 7d.")
@click.option(
    "--scope",
    default="*",
    callback=_scope,
    show_default=True,
    help="The cases that must be there: patterns of case ids, separated by commas.",
)
@public_key_option
@output_format(markdown=True)
def certification_suite(  # noqa: PLR0913 - one parameter for each demand that can be made
    *,
    output_dir: Path,
    suite_id: str,
    release_id: str | None,
    require_benchmark: bool,
    require_lineage: bool,
    require_dbt_lineage: bool,
    require_strategy_certification: bool,
    require_evidence: bool,
    require_measured: bool,
    minimum_fidelity: Fidelity | None,
    minimum_mutation_score: float | None,
    max_age: timedelta | None,
    scope: str,
    public_key: SSlibKey | None,
    output_format: str,
    **given: Path | None,
) -> None:
    """Judge evidence by what it rests on; exit 1 unless all that is required or given is there and holds."""
    from dpone_certify.cli.answers import conclude
    from dpone_certify.documents.canonical import canonical, write
    from dpone_certify.documents.index import enter
    from dpone_certify.documents.sarif import sarif_of
    from dpone_certify.documents.subject import subject
    from dpone_certify.signing.envelope import envelope_of
    from dpone_certify.suite.build import gathered, judged, markdown_of, suite_of
    from dpone_certify.suite.evaluate import Asked

    flags = {
        "benchmark_baseline": require_benchmark,
        "lineage_report": require_lineage,
        "dbt_lineage_report": require_dbt_lineage,
        "strategy_certification_bundle": require_strategy_certification,
        "evidence_bundle": require_evidence,
    }
    asked = Asked(
        required=frozenset(name for name, is_required in flags.items() if is_required),
        scope=scope,
        minimum_fidelity=minimum_fidelity,
        minimum_mutation_score=minimum_mutation_score,
        require_measured=require_measured,
    )
    about = subject()
    found = judged(gathered(given, public_key), asked, about, max_age=max_age, key=public_key)
    suite = suite_of(
        found,
        asked,
        output_dir,
        about,
        suite_id=suite_id,
        release_id=release_id,
        max_age=max_age,
        key=public_key,
    )
    path = output_dir / "certification_suite.json"
    markdown = markdown_of(suite)
    enter(output_dir / INDEX, "certification_suite", suite_id, suite, path)
    envelope_of(path).unlink(missing_ok=True)
    for suffix, text in {".md": markdown, ".sarif": canonical(sarif_of(suite, path))}.items():
        write(path.with_suffix(suffix), text)
    written = [path, path.with_suffix(".md"), path.with_suffix(".sarif"), output_dir / INDEX]
    conclude(suite, markdown, output_format, written)
