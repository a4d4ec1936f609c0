"""How the table that will be the next target begins: empty and stored as the target is, or with the target's rows.

Also what stands against that: an engine that changes rows by itself, views that a publication would pass by, indexes
that a new layout would lose.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dpone.connector import AddColumn, Json, Layout, SchemaChange
from dpone.errors import PlanError
from dpone.names import print_name
from dpone_clickhouse.catalog import Name, Table, literals, views_on
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.driver import errors
from dpone_clickhouse.session import Session
from dpone_clickhouse.storage import create_like, create_new, fields_of, on_cluster

PLAIN_ENGINES = frozenset({"MergeTree", "ReplicatedMergeTree", "SharedMergeTree"})
_REFUSED_ALTER = frozenset({44, 524})  # ILLEGAL_COLUMN, ALTER_OF_COLUMN_IS_FORBIDDEN


def refuse_unfit(own: Session, base: Table, options: Mapping[str, Json]) -> None:
    """Raises when the target cannot be replaced by a shadow."""
    if base.engine not in PLAIN_ENGINES and not base.keeps_versions:
        raise PlanError(
            f"{print_name(base.name)} is a {base.engine}; dpone publishes into tables of MergeTree and its own",
            code="sink.not_a_table",
            hint="name a table of the engine MergeTree: others change rows by themselves, or cannot be exchanged",
        )
    views = views_on(own, base.name)
    if views and options.get("materialized_views", "refuse") == "refuse":
        raise PlanError(
            f"materialized views read what is inserted into {print_name(base.name)}: {', '.join(views)}; "
            "a published load would pass them by",
            code="sink.materialized_views",
            hint="drop them, or say `materialized_views: ignore` and fill them in another way",
        )


def make_empty(own: Session, shadow: Name, base: Table | None, layout: Layout, options: Mapping[str, Json]) -> None:
    """An empty table of the new layout, stored as the target is, or by the options where there is none."""
    if base is None:
        own.run(create_new(shadow, layout, options))
        return
    if base.fields == fields_of(layout):
        target = CLICKHOUSE.table(base.name)
        own.run(f"CREATE TABLE {CLICKHOUSE.table(shadow)}{on_cluster(options)} AS {target}")
        return
    _refuse_indexes(own, base.name)
    try:
        own.run(create_like(shadow, layout, base, options))
    except errors.ServerException as error:
        raise PlanError(
            f"{print_name(base.name)} is stored by columns that the new layout does not have so "
            f"({base.storage}; error {error.code})",
            code="sink.dependent_objects",
            hint="drop the table, and the next run makes it by the options of the manifest",
        ) from None


def _refuse_indexes(own: Session, name: Name) -> None:
    database, table = literals(name)
    query = " UNION ALL ".join(
        f"SELECT name FROM system.{kind} WHERE database = {database} AND table = {table}"
        for kind in ("data_skipping_indices", "projections")
    )
    if found := [name for (name,) in own.ask(query)]:
        raise PlanError(
            f"{print_name(name)} has indexes or projections that a new layout would lose: {', '.join(sorted(found))}",
            code="sink.dependent_objects",
            hint="change the columns by hand, or drop the named ones and run again",
        )


def make_copy(
    own: Session,
    shadow: Name,
    base: Table,
    layout: Layout,
    options: Mapping[str, Json],
    changes: Sequence[SchemaChange],
) -> None:
    """The target in its new layout, rows and all; they are linked and not copied where only columns are added."""
    table, target, cluster = CLICKHOUSE.table(shadow), CLICKHOUSE.table(base.name), on_cluster(options)
    if all(isinstance(c, AddColumn) for c in changes):
        own.run(f"CREATE TABLE {table}{cluster} CLONE AS {target}")
        for change in changes:
            assert isinstance(change, AddColumn)
            own.run(CLICKHOUSE.add_column(table + cluster, change.field))
        return
    _remodel(own, shadow, base, layout, options)  # of the rows, the newest versions go over alone
    names = CLICKHOUSE.names([f.name for f in base.fields])
    own.run(f"INSERT INTO {table} ({names}) SELECT {names} FROM {target}")


def _remodel(own: Session, shadow: Name, base: Table, layout: Layout, options: Mapping[str, Json]) -> None:
    """An empty shadow with changed columns. Its own ALTER keeps indexes, but no column of its keys can change."""
    table, cluster = CLICKHOUSE.table(shadow), on_cluster(options)
    own.run(f"CREATE TABLE {table}{cluster} AS {CLICKHOUSE.table(base.name)}")
    before = {f.name: f for f in base.fields}
    try:
        for field in fields_of(layout):
            if field.name not in before:
                own.run(CLICKHOUSE.add_column(table + cluster, field))
            elif CLICKHOUSE.spell(before[field.name]) != CLICKHOUSE.spell(field):
                own.run(f"ALTER TABLE {table}{cluster} MODIFY COLUMN {CLICKHOUSE.definition(field)}")
    except errors.ServerException as error:
        if error.code not in _REFUSED_ALTER:
            raise
        own.run(f"DROP TABLE {table}{cluster} SETTINGS max_table_size_to_drop = 0")
        make_empty(own, shadow, base, layout, options)
