"""What the server's own tables say of a table: columns, storage, comment, parts, views on it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from dpone.connector import Layout, Size
from dpone.readings import table_missing
from dpone.schema import Field, Schema
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.native import ENGINE, parse_native, says_nullable, without_null
from dpone_clickhouse.session import Session
from dpone_clickhouse.typemap import read

Name = tuple[str, str]  # database and table

VERSION, DELETED = "_dpone_version", "_dpone_deleted"  # of a row, see `versions`
VERSIONED = ("ReplacingMergeTree", "ReplicatedReplacingMergeTree", "SharedReplacingMergeTree")

_COMPUTED = frozenset({"MATERIALIZED", "ALIAS", "EPHEMERAL"})  # columns that nobody inserts


class Stored(Struct, frozen=True):
    """A column as it is kept: beside its field, the clause that follows its type in a definition."""

    field: Field
    kind: str
    clause: str


class Table(Struct, frozen=True):
    """A table: `storage` is what follows ENGINE = in its definition."""

    name: Name
    uuid: str
    engine: str
    storage: str
    comment: str
    columns: tuple[Stored, ...]

    @property
    def keeps_versions(self) -> bool:
        """It is one of the tables of `versions`: the arguments of its engine say so."""
        return self.engine in VERSIONED and f"{VERSION}, {DELETED})" in self.storage.replace("`", "")

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns that hold inserted values."""
        hidden = {VERSION, DELETED} if self.keeps_versions else set()
        return tuple(c.field for c in self.columns if c.kind not in _COMPUTED and c.field.name not in hidden)

    @property
    def layout(self) -> Layout:
        return Layout(Schema(self.fields))


def full_name(name: Sequence[str], database: str) -> Name:
    """The name with its database."""
    return (database, name[0]) if len(name) == 1 else (name[0], name[1])


def field_of(name: str, native: str) -> Field:
    """A column's type and its NULL taken apart."""
    tree = parse_native(native)
    plain = str(without_null(tree))
    return Field(name, read(plain), nullable=says_nullable(tree), native=f"{ENGINE}:{plain}")


def literals(name: Name) -> tuple[str, str]:
    return CLICKHOUSE.text(name[0]), CLICKHOUSE.text(name[1])


def find_table(session: Session, name: Name) -> Table | None:
    """The table or view of that name, or None."""
    database, table = literals(name)
    found = session.ask(
        "SELECT toString(uuid), engine, engine_full, comment FROM system.tables "  # noqa: S608 - encoded literals
        f"WHERE database = {database} AND name = {table}"
    )
    if not found:
        return None
    columns = session.ask(
        "SELECT name, type, default_kind, default_expression, compression_codec, comment FROM system.columns "  # noqa: S608 - encoded literals
        f"WHERE database = {database} AND table = {table} ORDER BY position"
    )
    uuid, engine, storage, comment = found[0]
    return Table(name, uuid, engine, storage, comment, tuple(_stored(*c) for c in columns))


def find_mark(session: Session, name: Name) -> tuple[str, str] | None:
    """The uuid and the comment of the table or view of that name, or None."""
    database, table = literals(name)
    found = session.ask(
        f"SELECT toString(uuid), comment FROM system.tables WHERE database = {database} AND name = {table}"  # noqa: S608 - encoded literals
    )
    return (found[0][0], found[0][1]) if found else None


def _stored(name: str, native: str, kind: str, expression: str, codec: str, comment: str) -> Stored:
    parts = [f"{kind} {expression}".strip()] if kind else []
    parts += [f"COMMENT {CLICKHOUSE.text(comment)}"] if comment else []
    parts += [codec] if codec else []
    return Stored(field_of(name, native), kind, " ".join(parts))


def readable_table(session: Session, name: Name) -> Table:
    """The table or view to read, or an error that names it."""
    found = find_table(session, name)
    if found is None:
        raise table_missing(
            name, "check database and name; without a database the table is looked for in the connection's own"
        )
    return found


def describe_query(session: Session, query: str) -> Schema:
    """The schema of a query, which is known to be a single statement that reads: the server takes it as a subquery."""
    rows = session.ask(f"DESCRIBE TABLE (\n{query}\n)")
    return Schema(tuple(field_of(row[0], row[1]) for row in rows))


def find_tables(session: Session, pattern: tuple[str, ...], database: str) -> list[Name]:
    """Tables and views whose database and name match; `*` stands for any characters."""
    owner, name = map(_like, full_name(pattern, database))
    rows = session.ask(
        f"SELECT database, name FROM system.tables WHERE database LIKE {owner} AND name LIKE {name} "  # noqa: S608 - encoded literals
        "AND database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') AND NOT is_temporary "
        "AND NOT startsWith(name, '_dpone_') AND NOT startsWith(name, '.inner') ORDER BY 1, 2"
    )
    return [(d, t) for d, t in rows]


def size_of(session: Session, name: Name) -> Size | None:
    """What the table's parts add up to; None of what has none."""
    database, table = literals(name)
    rows = session.ask(
        f"SELECT total_rows, total_bytes FROM system.tables WHERE database = {database} AND name = {table}"  # noqa: S608 - encoded literals
    )
    return next((Size(int(rows), int(size)) for rows, size in rows if rows is not None and size is not None), None)


def _like(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return CLICKHOUSE.text(escaped.replace("?", "_"))


def views_on(session: Session, name: Name) -> list[str]:
    """Materialized views that are fed by inserts into the table."""
    database, table = literals(name)
    rows = session.ask(
        "SELECT arrayJoin(arrayZip(dependencies_database, dependencies_table)) AS d, d.1, d.2 FROM system.tables "  # noqa: S608 - encoded literals
        f"WHERE database = {database} AND name = {table}"
    )
    return sorted(f"{owner}.{view}" for _, owner, view in rows)


Fingerprint = dict[str, tuple[int, int, int]]  # by partition: greatest block, greatest data version, rows


def fingerprint(session: Session, name: Name) -> Fingerprint:
    """What tells that rows came or went, and does not change when parts are merged in the background."""
    database, table = literals(name)
    rows = session.ask(
        "SELECT partition_id, max(max_block_number), max(data_version), sum(rows) FROM system.parts "  # noqa: S608 - encoded literals
        f"WHERE database = {database} AND table = {table} AND active GROUP BY partition_id HAVING sum(rows) > 0"
    )
    return {p: (int(block), int(version), int(count)) for p, block, version, count in rows}


def was_written(before: Fingerprint, now: Fingerprint, *, merges_rows: bool = False) -> bool:
    """Somebody inserted, deleted or changed rows in between. A merge keeps the rows and invents no block number.

    Where the engine `merges_rows`, it may keep fewer.
    """
    if before.keys() != now.keys():
        return True
    for partition, (block, version, rows) in before.items():
        later_block, later_version, later_rows = now[partition]
        lost = later_rows > rows if merges_rows else later_rows != rows
        if later_block > block or lost or later_version > max(version, block):
            return True
    return False
