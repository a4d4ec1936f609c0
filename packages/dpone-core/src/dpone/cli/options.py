"""Options and outputs that several commands share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dpone.cli.root import SPEAKS_JSON

F = TypeVar("F", bound=Callable[..., Any])

RUNS = Path(".dpone/runs")


def output_format(*, markdown: bool = False) -> Callable[[F], F]:
    """`--format`: text where a person looks, JSON for machines."""
    names = ["text", "json", "md"] if markdown else ["text", "json"]
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(names),
        default="text",
        show_default=True,
        callback=_remember,
        help="Output format.",
    )


def _remember(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """Errors speak as the command does."""
    if value == "json":
        os.environ[SPEAKS_JSON] = "1"
    return value


def manifest_argument(function: F) -> F:
    return click.argument("manifest", type=click.Path(path_type=Path))(function)


def select_option(function: F) -> F:
    return click.option(
        "--select", multiple=True, metavar="PATTERN", help="Only streams whose name matches; may be repeated."
    )(function)


def emit_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def at_terminal() -> bool:
    return sys.stderr.isatty()
