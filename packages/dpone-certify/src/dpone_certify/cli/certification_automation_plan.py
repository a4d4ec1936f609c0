"""`dpone ops certification-automation-plan`: the whole chain of evidence, as commands or carried out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.cli.options import output_format

if TYPE_CHECKING:
    from dpone_certify.certification.document import Profile


def _checked(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """A key that cannot be used is refused now, and not after an hour."""
    from dpone_certify.signing.keys import public_key_of, signer_of

    if value is not None:
        (signer_of if option.name == "signing_key" else public_key_of)(value)
    return value


@click.command("certification-automation-plan")
@click.option(
    "--profile",
    type=click.Choice(["mock_contract", "mock_local", "vendor_live"]),
    default="mock_contract",
    show_default=True,
    help="How much is real.",
)
@click.option("--row-count", type=click.IntRange(min=1), default=10_000, show_default=True, help="Rows of a source.")
@click.option("--release-id", help="The release.  [default: local- and the time]")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/certification/plan"),
    show_default=True,
    help="Where certification_automation_plan.json and its Markdown go.",
)
@click.option("--signing-key", metavar="FILE|env:NAME", callback=_checked, help="The commands sign with it.")
@click.option("--public-key", metavar="FILE|env:NAME", callback=_checked, help="The gates believe nothing else.")
@click.option("--execute", is_flag=True, help="Carry the commands out; exit 1 when one of them is red.")
@output_format(markdown=True)
def certification_automation_plan(
    *,
    profile: Profile,
    row_count: int,
    release_id: str | None,
    output_dir: Path,
    signing_key: str | None,
    public_key: str | None,
    execute: bool,
    output_format: str,
) -> None:
    """Print the commands of the full chain of evidence, or carry them out."""
    from dpone_certify.automation.document import document_of, markdown_of, planned
    from dpone_certify.automation.execute import carry_out
    from dpone_certify.automation.plan import Wish, plan
    from dpone_certify.cli.answers import conclude, file_name, write_document
    from dpone_certify.documents.document import now
    from dpone_certify.documents.subject import subject

    release = file_name(release_id) if release_id else f"local-{now():%Y%m%dT%H%M%S}"
    wish = Wish(profile, row_count, release, signing_key, public_key)
    commands = plan(wish)
    steps = (
        list(carry_out(commands, lambda line: click.echo(line, err=True))) if execute else list(map(planned, commands))
    )
    document = document_of(wish, steps, subject(), executed=execute)
    markdown = markdown_of(document)
    written = write_document(output_dir / "certification_automation_plan.json", document, markdown)
    if execute:
        conclude(document, markdown, output_format, written)
    else:  # the plan is what was asked for; that it proves nothing stands in it
        shown = {"json": document.to_json(), "md": markdown}
        lines = "".join(f"{step.command}\n" for step in steps)
        click.echo(shown.get(output_format, lines), nl=False)
