"""What a target is and what it becomes: its columns, and how it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.cloud import bigquery

from dpone.books import refuse_unstored
from dpone.connector import AddColumn, CreateTarget, Layout, RelaxColumn, SchemaChange, WidenColumn
from dpone.errors import PlanError
from dpone.manifest.scalars import duration_of
from dpone.schema import Field, Kind, Schema
from dpone_bigquery.columns import columns_of, field_of
from dpone_bigquery.dialect import BIGQUERY
from dpone_bigquery.naming import Name
from dpone_bigquery.warehouse import Warehouse

MARKER = "dpone_marker"  # the label that says which load made the table anew
_TIMES = {Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}


def fields_of(layout: Layout) -> tuple[Field, ...]:
    """All columns, those of dpone last."""
    return (*layout.schema, *(c.field for c in layout.system))


def find_target(warehouse: Warehouse, name: Name) -> bigquery.Table | None:
    """The table, which rows can be written to; None when there is nothing of this name."""
    found = warehouse.find(name)
    if found is not None and found.table_type not in {"TABLE", "CLONE"}:
        raise PlanError(
            f"{name} is a {found.table_type}, which takes no rows",
            code="sink.not_a_table",
            hint="name a table, or one that is not there yet",
        )
    return found


def layout_of(table: bigquery.Table) -> Layout:
    return Layout(Schema(tuple(map(field_of, table.schema))))


def is_of_layout(table: bigquery.Table, layout: Layout) -> bool:
    """The table has these columns, so that only its rows need to be exchanged."""
    found = {f.name: (f.native, f.nullable) for f in map(field_of, table.schema)}
    wanted = {f.name: (_native(f), f.nullable) for f in fields_of(layout)}
    return found.keys() == wanted.keys() and all(
        native == wanted[name][0] and (nullable or not wanted[name][1]) for name, (native, nullable) in found.items()
    )


def _native(field: Field) -> str:
    return f"{BIGQUERY.name}:{BIGQUERY.spell(field)}"


def alterations(table: str, changes: Sequence[SchemaChange]) -> list[str]:
    """The statements that change the columns of a table, each of which may be repeated: no stored value changes.

    All columns are added by one: BigQuery takes five changes of a table's metadata in ten seconds.
    """
    added = [
        f"ADD COLUMN IF NOT EXISTS {BIGQUERY.quote(change.field.name)} {BIGQUERY.spell(change.field)}"
        for change in changes
        if isinstance(change, AddColumn)
    ]
    statements = [f"ALTER TABLE {table} {', '.join(added)}"] if added else []
    for change in changes:
        match change:
            case WidenColumn(field=field):
                statements.append(BIGQUERY.widen_column(table, field))
            case RelaxColumn(name=name):
                statements.append(f"ALTER TABLE {table} ALTER COLUMN {BIGQUERY.quote(name)} DROP NOT NULL")
            case AddColumn() | CreateTarget():
                continue
    return statements


# ---------------------------------------------------------------------------- storage


def new_table(name: Name, layout: Layout, options: Mapping[str, Any], marker: str) -> bigquery.Table:
    """A table of this layout, stored as the manifest says."""
    table = bigquery.Table(name.reference, columns_of(fields_of(layout)))
    if (by := options.get("partition_by")) is not None:
        _partition(table, layout, by, options)
    if columns := options.get("cluster_by"):
        for column in columns:
            _refuse_unknown(layout, column)
        table.clustering_fields = list(columns)
    table.labels = {**(options.get("labels") or {}), MARKER: marker}
    if options.get("require_partition_filter"):
        table.require_partition_filter = True
    if (key := options.get("kms_key")) is not None:
        table.encryption_configuration = bigquery.EncryptionConfiguration(key)
    return table


def _partition(table: bigquery.Table, layout: Layout, by: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    field = _refuse_unknown(layout, by["column"])
    if by.get("step") is not None:
        if field.type.kind is not Kind.INT:
            raise _unfit(field, "ranges are cut of an INT64")
        table.range_partitioning = bigquery.RangePartitioning(
            range_=bigquery.PartitionRange(start=by["start"], end=by["end"], interval=by["step"]), field=field.name
        )
        return
    grain = str(by.get("grain") or "day")
    if field.type.kind not in _TIMES or (grain == "hour" and field.type.kind is Kind.DATE):
        raise _unfit(field, f"partitions of a {grain} are cut of a date or an instant")
    expiration = options.get("partition_expiration")
    lasts = None if expiration is None else int(duration_of(expiration).total_seconds() * 1000)
    table.time_partitioning = bigquery.TimePartitioning(type_=grain.upper(), field=field.name, expiration_ms=lasts)


def _refuse_unknown(layout: Layout, column: str) -> Field:
    found = {f.name: f for f in fields_of(layout)}
    refuse_unstored([column], list(found))
    return found[column]


def _unfit(field: Field, why: str) -> PlanError:
    return PlanError(
        f"the table cannot be partitioned by {field.name}, which is {field.type}: {why}",
        code="plan.unfit_partition",
        hint="choose another column or grain under `partition_by`",
    )


def like(name: Name, layout: Layout, table: bigquery.Table, marker: str) -> bigquery.Table:
    """A table of this layout, stored and described as another one is; what a new table would lose is refused."""
    protected = [c.name for c in table.schema if c.policy_tags is not None and c.policy_tags.names]
    if protected:
        raise PlanError(
            f"{table.table_id} has policy tags on {', '.join(protected)}, which a new table would lose",
            code="sink.dependent_objects",
            hint="change the columns by hand, and run again",
        )
    made = bigquery.Table(name.reference, columns_of(fields_of(layout)))
    made.time_partitioning = table.time_partitioning
    made.range_partitioning = table.range_partitioning
    made.clustering_fields = table.clustering_fields
    stored = [*(table.clustering_fields or ())]
    stored += [p.field for p in (table.time_partitioning, table.range_partitioning) if p is not None and p.field]
    missing = [column for column in stored if column not in {f.name for f in fields_of(layout)}]
    if missing:
        raise PlanError(
            f"{table.table_id} is stored by {', '.join(missing)}, which the new layout does not have",
            code="sink.dependent_objects",
            hint="drop the table, and the next run makes it by the options of the manifest",
        )
    made.labels, made.description = {**table.labels, MARKER: marker}, table.description
    made.friendly_name, made.expires = table.friendly_name, table.expires
    if table.require_partition_filter:
        made.require_partition_filter = True
    if table.encryption_configuration is not None:
        made.encryption_configuration = table.encryption_configuration
    return made


def showing(target: Name, shadow: Name, *, replaces: bool) -> str:
    """The statement by which readers see the shadow in the target's place, rows and metadata at once.

    It has no OPTIONS of its own: by the documentation those act as an ALTER TABLE after the copy, while what the shadow
    carries is copied with the rows. https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language
    """
    verb = "CREATE OR REPLACE TABLE" if replaces else "CREATE TABLE"
    return f"{verb} {target.sql} COPY {shadow.sql}"
