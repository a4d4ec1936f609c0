"""`dpone copy`: one table from a URL to a URL, without a manifest."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import click
from pydantic import ValidationError

from dpone import api, registry
from dpone.cli.options import output_format
from dpone.cli.run import carry_out
from dpone.connector import Connector, SinkOptions, SourceOptions, not_an_end
from dpone.errors import UsageError
from dpone.manifest import MODES, Manifest, SinkEnd, SourceEnd, Strategy, Stream, from_url
from dpone.manifest.modes import MODELS
from dpone.manifest.options import Pattern, Template
from dpone.manifest.templates import marked

Opts = TypeVar("Opts", SourceOptions, SinkOptions)


@click.command()
@click.argument("src_url")
@click.argument("dst_url")
@click.option("--strategy", type=click.Choice(list(MODES)), help="How; needed when the target holds rows.")
@click.option("--key", multiple=True, metavar="COLUMN", help="A column of the key; may be repeated.")
@click.option("--cursor", metavar="COLUMN", help="The column that orders incremental reading.")
@click.option("--run-id", metavar="ID", help="The id of this run.")
@click.option("--quiet", is_flag=True, help="No progress and no log lines.")
@output_format(markdown=True)
def copy(
    *,
    src_url: str,
    dst_url: str,
    strategy: str | None,
    key: tuple[str, ...],
    cursor: str | None,
    run_id: str | None,
    quiet: bool,
    output_format: str,
) -> None:
    """Copy one table from SRC_URL to DST_URL; the table stands behind a #.

    \b
    dpone copy 'postgresql://me:${env:PW}@db/shop#public.orders' 'clickhouse://dwh/raw#raw.orders'
    """  # noqa: D301 -- click knows by this mark, and not by the letters of it, that the line is to stay one
    source_url, source_table = _split(src_url)
    sink_url, sink_table = _split(dst_url)
    source = registry.by_scheme(urlsplit(source_url).scheme)
    sink = registry.by_scheme(urlsplit(sink_url).scheme)
    stream = Stream(
        name="copy",
        source=SourceEnd(
            connector=source,
            connection=from_url(source_url, source, origin="SRC_URL"),
            options=_source_options(source, source_table),
        ),
        sink=SinkEnd(
            connector=sink,
            connection=from_url(sink_url, sink, origin="DST_URL"),
            options=_sink_options(sink, sink_table or source_table),
        ),
        strategy=_strategy(strategy or "full_refresh", key, cursor),
    )
    if strategy is None:
        _refuse_rows(stream)
    carry_out(Manifest(name="copy", streams=(stream,)), (), run_id, quiet=quiet, output_format=output_format)


def _split(url: str) -> tuple[str, str]:
    bare, _, table = url.partition("#")
    return bare, unquote(table)


def _source_options(connector: Connector[Any], table: str) -> SourceOptions:
    if connector.source is None:
        raise not_an_end(connector, "source")
    return _named(connector.source.options, Pattern, table, "SRC_URL")


def _sink_options(connector: Connector[Any], table: str) -> SinkOptions:
    if connector.sink is None:
        raise not_an_end(connector, "sink")
    return _named(connector.sink.options, Template, table, "DST_URL")


def _named(options: type[Opts], mark: type, table: str, what: str) -> Opts:
    """The options that name this table; raises where it is no name of one."""
    name = _field(options, mark, table, what)
    try:
        return options(**{name: table})
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False, include_input=False)
    hint = first.get("ctx", {}).get("hint")
    raise UsageError(f"{what}: {first['msg']}", code="manifest.invalid_name", hint=hint or "write it as schema.table")


def _field(options: type[SourceOptions | SinkOptions], mark: type, table: str, what: str) -> str:
    """The option that a table's name goes to."""
    name = next(iter(marked(options, mark)), None)
    if name is None:
        raise UsageError(
            f"{what}: its connector needs more than a table's name",
            code="usage.no_table",
            hint="write a manifest: `dpone init`",
        )
    if not table:
        raise UsageError(
            f"{what} names no table",
            code="usage.no_table",
            hint="write it behind a #, as postgresql://host/db#public.orders",
        )
    return name


def _strategy(mode: str, key: tuple[str, ...], cursor: str | None) -> Strategy:
    given: dict[str, Any] = {"mode": mode}
    if key:
        given["key"] = list(key)
    if cursor:
        given["cursor"] = {"column": cursor}
    try:
        return MODELS[mode].model_validate(given)
    except ValidationError as error:
        wanting = ", ".join(".".join(map(str, e["loc"])) or str(e["msg"]) for e in error.errors(include_input=False))
        raise UsageError(
            f"--strategy {mode} does not go with what was given: {wanting}",
            code="usage.strategy_options",
            hint="--key and --cursor say what a simple strategy needs; for more, write a manifest",
        ) from None


def _refuse_rows(stream: Stream) -> None:
    """Without a declared strategy nothing that is there is touched."""
    (preview,) = api.preview(Manifest(name="copy", streams=(stream,)))
    if preview.current is not None:
        raise UsageError(
            f"the target {stream.sink.options.target().name[-1]} exists already",
            code="usage.target_exists",
            hint="say what to do with its rows: --strategy full_refresh, incremental_append, incremental_merge, ...",
        )
