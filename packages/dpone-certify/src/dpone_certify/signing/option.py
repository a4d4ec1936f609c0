"""The options of commands that sign and of commands that judge: a key is read before anything else is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

F = TypeVar("F", bound=Callable[..., Any])


def signing_key_option(function: F) -> F:
    """`--signing-key`: `signer`, or None; refused before anything is measured when it cannot be used."""
    return click.option(
        "--signing-key",
        "signer",
        metavar="FILE|env:NAME",
        callback=_signer,
        help="Sign what is written with this Ed25519 key (PEM).",
    )(function)


def public_key_option(function: F) -> F:
    """`--public-key`: `public_key`, or None."""
    return click.option(
        "--public-key",
        metavar="FILE|env:NAME",
        callback=_public_key,
        help="Believe only what the owner of this Ed25519 key signed (PEM).",
    )(function)


def _signer(_context: click.Context, _option: click.Parameter, value: str | None) -> CryptoSigner | None:
    from dpone_certify.signing.keys import signer_of

    return None if value is None else signer_of(value)


def _public_key(_context: click.Context, _option: click.Parameter, value: str | None) -> SSlibKey | None:
    from dpone_certify.signing.keys import public_key_of

    return None if value is None else public_key_of(value)
