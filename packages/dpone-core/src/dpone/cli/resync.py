"""`dpone resync`: rows that have landed are landed again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpone import api
from dpone.cli.options import manifest_argument, output_format, select_option
from dpone.cli.replays import artifact_dir_option, show
from dpone.errors import UsageError

if TYPE_CHECKING:
    from dpone.replay.scope import Scope


@click.command()
@manifest_argument
@select_option
@click.option("--all", "whole", is_flag=True, help="The whole table.")
@click.option(
    "--partition",
    "partitions",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="The rows with this value; may be repeated.",
)
@click.option(
    "--grain",
    type=click.Choice(["value", "hour", "day", "month", "year"]),
    help="What a partition's value names a part of; as in the manifest where it says so, else value.",
)
@click.option("--range", "between", type=(str, str, str), metavar="COLUMN FROM TO", help="The rows from FROM up to TO.")
@click.option("--key", "keys", multiple=True, metavar="KEY", help='A key, or [17, "eu"]; may be repeated.')
@click.option(
    "--keys-from", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="A file of keys, one a line."
)
@click.option("--allow-empty", is_flag=True, help="Go on although the source has none, or few, of the rows.")
@click.option("--run-id", metavar="ID", help="The id of this replay; refused when it was used before.")
@artifact_dir_option
@click.option("--yes", is_flag=True, help="Really do it.")
@output_format()
def resync(
    *,
    manifest: Path,
    select: tuple[str, ...],
    allow_empty: bool,
    run_id: str | None,
    artifact_dir: Path,
    yes: bool,
    output_format: str,
    **named: Any,
) -> None:
    """Land rows of one stream of MANIFEST again. Without --yes, show what that would do to how many rows."""
    evidence = api.resync(
        manifest,
        _scope(**named),
        select=select,
        run_id=run_id,
        yes=yes,
        allow_empty=allow_empty,
        artifact_dir=artifact_dir,
    )
    show(evidence, artifact_dir, output_format)


def _scope(
    *,
    whole: bool,
    partitions: tuple[str, ...],
    grain: str | None,
    between: tuple[str, str, str] | None,
    keys: tuple[str, ...],
    keys_from: Path | None,
) -> Scope:
    from dpone.ops import Grain
    from dpone.replay import scope

    if [whole, bool(partitions), between is not None, bool(keys or keys_from)].count(True) != 1:
        raise scope.no_scope("a resync is of one thing")
    if whole:
        return scope.Whole()
    if between is not None:
        return scope.Range(*between)
    if partitions:
        column, values = _partitions(partitions)
        return scope.Partition(column, values, Grain(grain) if grain else None)
    return scope.Keys((*map(scope.read_key, keys), *scope.read_keys(_lines(keys_from))))


def _partitions(given: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    pairs = [text.partition("=") for text in given]
    columns = {column for column, _, _ in pairs}
    if len(columns) != 1 or not all(sign for _, sign, _ in pairs):
        raise UsageError(
            f"not partitions of one column: {', '.join(given)}",
            code="replay.wrong_scope",
            hint="write --partition COLUMN=VALUE, and the same column each time",
        )
    return columns.pop(), tuple(value for _, _, value in pairs)


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the keys in {path} cannot be read: {type(error).__name__}",
            code="replay.wrong_scope",
            hint="give a text file with one key a line",
        ) from None
