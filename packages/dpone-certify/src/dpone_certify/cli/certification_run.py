"""`dpone ops certification-run`: the matrix, carried out here and now."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpone.cli.options import output_format
from dpone_certify.certification.volume import CHANGED, DELETED, ROWS, SEED
from dpone_certify.signing.option import signing_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from dpone_certify.certification.document import Profile

PROFILES = ("mock_contract", "mock_local", "vendor_live")


@click.command("certification-run")
@click.option(
    "--artifact-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/certification/current"),
    show_default=True,
    help="Where the report as JSON, Markdown and HTML, junit.xml and one artifact per case go.",
)
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="mock_contract",
    show_default=True,
    help="No service; the services of this machine; endpoints that the environment names.",
)
@click.option("--source", default="*", show_default=True, metavar="LIST", help="Sources, divided by commas.")
@click.option("--sink", default="*", show_default=True, metavar="LIST", help="Sinks, divided by commas.")
@click.option("--strategy", default="*", show_default=True, metavar="LIST", help="Strategies, divided by commas.")
@click.option("--case-id", default="*", show_default=True, metavar="LIST", help="Cases, divided by commas.")
@click.option(
    "--services",
    type=click.Choice(("auto", "docker", "embedded", "emulated")),
    default="auto",
    show_default=True,
    help="How services are had; auto takes the best that there is for each.",
)
@click.option("--row-count", type=click.IntRange(min=1), default=ROWS, show_default=True, help="Rows of a source.")
@click.option(
    "--change-ratio", type=click.FloatRange(0, 1), default=CHANGED, show_default=True, help="The share that changes."
)
@click.option(
    "--delete-ratio", type=click.FloatRange(0, 1), default=DELETED, show_default=True, help="The share that goes."
)
@click.option("--seed", type=int, default=SEED, show_default=True, help="Which values the wide columns hold.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: the cores of this machine]")
@click.option(
    "--executor",
    default="processes",
    show_default=True,
    metavar="NAME",
    help="Who carries out the cases: processes of this machine, or dask://HOST:PORT.",
)
@click.option("--shard", default="1/1", show_default=True, metavar="N/M", help="The N-th of M parts of the cases.")
@click.option("--resume", is_flag=True, help="Leave out the cases that are proven for this very subject.")
@click.option("--faults", is_flag=True, help="Also kill each load, and cut it off, at each failpoint.")
@signing_key_option
@output_format(markdown=True)
def certification_run(
    *,
    artifact_dir: Path,
    profile: Profile,
    signer: CryptoSigner | None,
    output_format: str,
    **asked: Any,
) -> None:
    """Certify the matrix; exit 1 unless every selected case passed."""
    from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
    from dpone.shards import shard_of
    from dpone_certify.certification.artifact import write_artifact
    from dpone_certify.certification.document import Selection
    from dpone_certify.certification.report import markdown_of
    from dpone_certify.certification.run import Order, carry_out, cores, refuse_unreachable
    from dpone_certify.certification.selecting import refuse_unknown, selected
    from dpone_certify.certification.volume import volume_of
    from dpone_certify.cli.answers import conclude
    from dpone_certify.cli.report_files import write_report
    from dpone_certify.cli.steps import counting

    shard_of(asked["shard"])
    refuse_unreachable(profile, asked["executor"])
    chosen = Selection.model_validate({name: asked[name] for name in Selection.model_fields})
    matrix = DEFAULT_INTEGRATION_MATRIX
    refuse_unknown(matrix, chosen)
    order = Order(
        profile=profile,
        selection=chosen,
        volume=volume_of(asked["row_count"], asked["change_ratio"], asked["delete_ratio"], asked["seed"]),
        folder=artifact_dir,
        services=asked["services"],
        workers=asked["workers"] or cores(),
        executor=asked["executor"],
        resume=asked["resume"],
        faults=asked["faults"],
        matrix=matrix,
    )
    warnings: list[str] = []

    def say(line: str) -> None:
        if "contract only" in line:
            warnings.append(line)
        click.echo(line, err=True)

    with counting(len(selected(matrix, chosen))) as told:
        report = carry_out(order, say, told)
    written = write_report(report, artifact_dir, signer)
    command = shlex.join(["dpone", *sys.argv[1:]]) if sys.argv[1:2] == ["ops"] else "dpone ops certification-run"
    written.append(write_artifact(report, command, warnings, written))
    click.echo(f"executed: {report.executed_count}, contract: {report.contract_count}", err=True)
    conclude(report, markdown_of(report), output_format, written)
