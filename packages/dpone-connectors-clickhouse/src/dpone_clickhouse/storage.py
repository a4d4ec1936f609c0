"""Definitions of tables: how a new one is stored, by the sink's options, and how one that is there keeps its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dpone.books import refuse_unstored
from dpone.connector import Json, Layout
from dpone.errors import PlanError
from dpone.manifest.scalars import duration_of
from dpone.ops import Grain
from dpone.schema import Field
from dpone_clickhouse.catalog import Name, Table
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.native import parse_native
from dpone_clickhouse.versions import COLUMNS, DEFINITIONS, refuse_unkeyed, wants_versions


def fields_of(layout: Layout) -> tuple[Field, ...]:
    """All columns of a target: the content, and the system columns beside it."""
    content = set(layout.schema.names)
    return (*layout.schema, *(c.field for c in layout.system if c.field.name not in content))


def on_cluster(options: Mapping[str, Json]) -> str:
    """The clause that carries a definition to every server of the cluster."""
    cluster = options.get("cluster")
    return f" ON CLUSTER {CLICKHOUSE.quote(str(cluster))}" if cluster else ""


def create_new(name: Name, layout: Layout, options: Mapping[str, Json], comment: str = "") -> str:
    """A table as the options say it."""
    fields = fields_of(layout)
    words = set(options.get("low_cardinality") or ())
    codecs: Mapping[str, str] = options.get("codecs") or {}
    _refuse_unknown(fields, words, codecs, options)
    columns = [_definition(f, is_low=f.name in words, codec=codecs.get(f.name)) for f in fields]
    if wants_versions(options):
        refuse_unkeyed(layout, options)
        columns += DEFINITIONS
    return create(name, columns, _engine(layout, options), options, comment)


def create(name: Name, columns: Sequence[str], storage: str, options: Mapping[str, Json], comment: str = "") -> str:
    """The statement that makes a table of these definitions."""
    note = f" COMMENT {CLICKHOUSE.text(comment)}" if comment else ""
    return f"CREATE TABLE {CLICKHOUSE.table(name)}{on_cluster(options)} ({', '.join(columns)}) ENGINE = {storage}{note}"


def create_like(name: Name, layout: Layout, table: Table, options: Mapping[str, Json]) -> str:
    """A table of this layout, stored as `table` is; columns of the same name keep what they have beside a type."""
    clauses = {c.field.name: c.clause for c in table.columns}
    own = {f.name for f in table.fields}
    fields = fields_of(layout)
    columns = [f"{CLICKHOUSE.definition(f)} {clauses.get(f.name, '')}".strip() for f in fields]
    columns += [
        f"{CLICKHOUSE.definition(c.field)} {c.clause}"
        for c in table.columns
        if c.field.name not in own and c.field.name not in {f.name for f in fields}
    ]
    return create(name, columns, table.storage, options)


def _definition(field: Field, *, is_low: bool, codec: str | None) -> str:
    spelled = CLICKHOUSE.spell(field)
    if is_low and not spelled.startswith("LowCardinality("):
        spelled = f"LowCardinality({spelled})"
    return f"{CLICKHOUSE.quote(field.name)} {spelled}" + (f" CODEC({codec})" if codec else "")


def _engine(layout: Layout, options: Mapping[str, Json]) -> str:
    """The engine and its clauses."""
    fields = {f.name: f for f in fields_of(layout)}
    keys = list(options.get("order_by") or layout.schema.key)
    partition = options.get("partition_by")
    engine = "ReplacingMergeTree" if wants_versions(options) else "MergeTree"
    arguments = f"({CLICKHOUSE.names(COLUMNS)})" if wants_versions(options) else ""
    parts = [("Replicated" if options.get("replicated") else "") + engine + arguments]
    if partition:
        of = fields[partition["column"]]
        parts.append(f"PARTITION BY {partition_expression(of, Grain(partition['grain']))}")
    parts.append(f"ORDER BY {f'({CLICKHOUSE.names(keys)})' if keys else 'tuple()'}")
    if ttl := options.get("ttl"):
        seconds = round(duration_of(ttl["after"]).total_seconds())
        ends = f"toDateTime({CLICKHOUSE.quote(ttl['column'])}) + toIntervalSecond({seconds})"
        # a TTL must not be NULL; a row without a time is kept as long as the server can say
        parts.append(f"TTL ifNull({ends}, toDateTime(4294967295))" if fields[ttl["column"]].nullable else f"TTL {ends}")
    used = [*keys, *([partition["column"]] if partition else [])]
    if any(fields[c].nullable for c in used):
        parts.append("SETTINGS allow_nullable_key = 1")
    return " ".join(parts)


def partition_expression(field: Field, grain: Grain) -> str:
    """What one partition holds; the value itself for grain `value`."""
    column = CLICKHOUSE.quote(field.name)
    return column if grain is Grain.VALUE else CLICKHOUSE.truncate(column, grain, field.type)


def _refuse_unknown(
    fields: Sequence[Field], words: set[str], codecs: Mapping[str, str], options: Mapping[str, Json]
) -> None:
    """Raises when an option names a column that the table will not have, or asks what its type cannot be."""
    known = {f.name: f for f in fields}
    named = {*words, *codecs, *(options.get("order_by") or ())}
    named |= {options[key]["column"] for key in ("partition_by", "ttl") if options.get(key)}
    refuse_unstored(named, list(known))
    for name in words:
        if parse_native(CLICKHOUSE.spell(known[name])).family not in {"String", "Nullable", "LowCardinality"}:
            raise PlanError(
                f"{name} is {CLICKHOUSE.spell(known[name])}, and only text is made LowCardinality",
                code="sink.not_text",
                hint="take it out of `low_cardinality`",
            )
