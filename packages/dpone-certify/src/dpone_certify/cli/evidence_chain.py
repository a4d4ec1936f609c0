"""`dpone ops evidence-chain` and `evidence-chain-verify`: what releases rest on, and whether it is still that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.cli.options import output_format
from dpone_certify.signing.option import public_key_option, signing_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

_CHAIN_DIR = click.option(
    "--chain-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/evidence_chain"),
    show_default=True,
    help="The folder of the chain.",
)


@click.command("evidence-chain")
@click.option("--release-id", default="local", show_default=True, help="The release; it is in a chain once.")
@click.option("--artifact-index", type=click.Path(path_type=Path), help="artifact_index.json of the release.")
@_CHAIN_DIR
@signing_key_option
@output_format(markdown=True)
def evidence_chain(
    *,
    release_id: str,
    artifact_index: Path | None,
    chain_dir: Path,
    signer: CryptoSigner | None,
    output_format: str,
) -> None:
    """Continue a chain by a release; exit 1, and nothing is added, unless chain and files are as they were."""
    from dpone_certify.chain.append import append, markdown_of
    from dpone_certify.cli.answers import conclude, file_name
    from dpone_certify.documents.subject import subject

    found = append(release_id, artifact_index, chain_dir, subject(), signer, file_name(release_id))
    conclude(found.entry, markdown_of(found.entry), output_format, found.written)


@click.command("evidence-chain-verify")
@_CHAIN_DIR
@public_key_option
@click.option("--expected-head", metavar="SHA256", help="The head that somebody wrote down: catches a shorter chain.")
@output_format(markdown=True)
def evidence_chain_verify(
    *, chain_dir: Path, public_key: SSlibKey | None, expected_head: str | None, output_format: str
) -> None:
    """Hash every entry and every artifact of a chain again; exit 1 when anything differs."""
    from dpone_certify.chain.verify import markdown_of, verification, verify
    from dpone_certify.cli.answers import conclude
    from dpone_certify.documents.subject import subject

    chain = verify(chain_dir, public_key, expected_head)
    document = verification(chain, subject(), is_keyed=public_key is not None)
    conclude(document, markdown_of(document), output_format, [])
