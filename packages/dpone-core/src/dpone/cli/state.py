"""`dpone state`: the stored position of a pipeline, shown and changed with care."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dpone.api import loaded, only_stream, opened
from dpone.cli.options import emit_json, manifest_argument, output_format, select_option
from dpone.connector import Manages, Position, Sink, Stored, Target
from dpone.errors import PlanError, StateError
from dpone.manifest import Stream
from dpone.plan import plain
from dpone.positions import position_of
from dpone.strategies import STRATEGIES


@click.group()
def state() -> None:
    """Show and change the stored position of a pipeline."""


@state.command()
@manifest_argument
@select_option
@output_format()
def show(*, manifest: Path, select: tuple[str, ...], output_format: str) -> None:
    """Show how far each stream of MANIFEST has been read."""
    rows = []
    for stream in loaded(manifest, select).streams:
        stored = _stored(stream)
        rows.append({"stream": stream.name, "stored": plain(stored) if stored else None})
    if output_format == "json":
        emit_json(rows)
        return
    for row in rows:
        click.echo(f"{row['stream']}: {json.dumps(row['stored']) if row['stored'] else 'nothing stored'}")


@state.command("set")
@manifest_argument
@click.argument("position")
@select_option
@click.option("--yes", is_flag=True, help="Really do it.")
def set_command(*, manifest: Path, position: str, select: tuple[str, ...], yes: bool) -> None:
    """Set the position of one stream of MANIFEST to POSITION, the JSON that `state show` prints, or the token in it."""
    stream = only_stream(loaded(manifest, select))
    read = STRATEGIES[stream.strategy.mode].read
    _change(stream, position_of(position, stream.source.connector, read), yes=yes)


@state.command()
@manifest_argument
@select_option
@click.option("--yes", is_flag=True, help="Really do it.")
def reset(*, manifest: Path, select: tuple[str, ...], yes: bool) -> None:
    """Forget the position of one stream of MANIFEST: its next run is a first load."""
    _change(only_stream(loaded(manifest, select)), None, yes=yes)


def _stored(stream: Stream) -> Stored | None:
    with opened(stream) as (_, sink), sink.lease(stream.sink.options.target(), stream.name) as lease:
        return lease.stored


def _before(sink: Sink, target: Target, pipeline: str, *, forgets: bool) -> str:
    """What is stored now; what a target without a marker makes doubtful need not be believed to be forgotten."""
    try:
        with sink.lease(target, pipeline) as lease:
            return json.dumps(plain(lease.stored.position)) if lease.stored else "nothing"
    except StateError as error:
        if forgets and error.code == "state.marker_missing":
            return "what the target does not confirm"
        raise


def _change(stream: Stream, position: Position | None, *, yes: bool) -> None:
    target = stream.sink.options.target()
    with opened(stream) as (_, sink):
        if not isinstance(sink, Manages):
            raise PlanError(
                f"{stream.sink.type} does not let its positions be changed",
                code="plan.unmanaged_state",
                hint="its position moves by runs alone",
            )
        before = _before(sink, target, stream.name, forgets=position is None)
        after = json.dumps(plain(position)) if position else "nothing"
        click.echo(f"{stream.name}: {before} -> {after}")
        if not yes:
            click.echo("nothing was changed; --yes does it")
            return
        sink.set_position(target, stream.name, position)
