"""Whether a stage can become its target, so that rows are written once, and the statements that make it so."""
# ruff: noqa: S608 - all text here is made of numbers and fixed parts

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from msgspec import Struct

from dpone.connector import Fate, StageSpec
from dpone.errors import DponeError, RemoteError
from dpone.schema import INT64, Field
from dpone.sql.seal import RawStage, is_sealed_as_it_came
from dpone_mssql.catalog import Relation
from dpone_mssql.dialect import MSSQL
from dpone_mssql.layouts import fields_of, key_statement
from dpone_mssql.session import Connection
from dpone_mssql.typemap import ENGINE


class Way(Enum):
    """How the rows of a stage become those of the target."""

    RENAME = "rename"  # nothing has the target's name
    SWITCH = "switch"  # the target stays, with all that belongs to it, and gets the pages of the stage
    SWAP = "swap"  # the stage takes the target's name, and the old table goes
    COPY = "copy"


class Adoption(Struct, frozen=True):
    """The way of a load, and what stood against a better one."""

    way: Way
    reasons: tuple[str, ...] = ()
    otherwise: Way = Way.COPY  # where the server refuses that way, for a reason that its catalogue does not tell

    @property
    def makes_target(self) -> bool:
        """The stage is made as the target would be."""
        return self.way is not Way.COPY


class _Against(Enum):
    """What a thing in the catalogue rules out."""

    BOTH = "both"
    SWITCH = "switch"
    SWAP = "swap"


class Found(Struct, frozen=True):
    """What the catalogue has against taking a table's place."""

    both: tuple[str, ...] = ()
    switch: tuple[str, ...] = ()
    swap: tuple[str, ...] = ()


_TABLE = "sys.tables AS t WHERE t.object_id = {0} AND"
_COLUMN = "sys.columns AS c WHERE c.object_id = {0} AND"
_INDEX = "sys.indexes AS i WHERE i.object_id = {0} AND"
_ELSEWHERE = "NOT IN (SELECT f.data_space_id FROM sys.filegroups AS f WHERE f.is_default = 1)"
_SNAPSHOTS = "sys.dm_tran_active_snapshot_database_transactions"
_ASKED: Sequence[tuple[_Against, str, str]] = (
    (_Against.BOTH, "triggers", "sys.triggers AS g WHERE g.parent_id = {0}"),
    (
        _Against.BOTH,
        "foreign keys",
        "sys.foreign_keys AS f WHERE f.parent_object_id = {0} OR f.referenced_object_id = {0}",
    ),
    (_Against.BOTH, "check constraints", "sys.check_constraints AS k WHERE k.parent_object_id = {0}"),
    (
        _Against.BOTH,
        "views or functions bound to it",
        (
            "sys.sql_expression_dependencies AS d WHERE d.referenced_id = {0} AND d.referencing_id <> {0} "
            "AND d.is_schema_bound_reference = 1"
        ),
    ),
    (_Against.BOTH, "security policies in its database", "sys.objects AS o WHERE o.type = N'SP'"),
    (_Against.BOTH, "a full-text index", "sys.fulltext_indexes AS x WHERE x.object_id = {0}"),
    (_Against.BOTH, "Change Tracking", "sys.change_tracking_tables AS h WHERE h.object_id = {0}"),
    (
        _Against.BOTH,
        "change data capture or replication",
        f"{_TABLE} (t.is_tracked_by_cdc = 1 OR t.is_replicated = 1 OR t.is_published = 1 OR t.is_merge_published = 1)",
    ),
    (
        _Against.BOTH,
        "it is no ordinary table",
        f"{_TABLE} (t.temporal_type <> 0 OR t.is_memory_optimized = 1 OR t.is_external = 1 OR t.is_filetable = 1)",
    ),
    (
        _Against.BOTH,
        "columns that are sparse, masked, encrypted or of a type of their own",
        (
            f"{_COLUMN} (c.is_rowguidcol = 1 OR c.is_sparse = 1 OR c.is_column_set = 1 OR c.is_filestream = 1 "
            "OR c.is_masked = 1 OR c.is_hidden = 1 OR c.generated_always_type <> 0 OR c.encryption_type IS NOT NULL "
            "OR c.xml_collection_id <> 0 "
            "OR c.user_type_id NOT IN (SELECT y.user_type_id FROM sys.types AS y WHERE y.is_user_defined = 0))"
        ),
    ),
    (_Against.BOTH, "indexes beside its key", f"{_INDEX} i.type <> 0 AND i.is_primary_key = 0"),
    (
        _Against.BOTH,
        "properties of its key",
        (
            f"{_INDEX} i.is_primary_key = 1 AND (i.ignore_dup_key = 1 OR i.is_disabled = 1 OR EXISTS (SELECT 1 AS one "
            "FROM sys.index_columns AS x WHERE x.object_id = i.object_id AND x.index_id = i.index_id "
            "AND x.is_descending_key = 1))"
        ),
    ),
    (
        _Against.BOTH,
        "partitions or compression",
        "sys.partitions AS p WHERE p.object_id = {0} AND (p.partition_number > 1 OR p.data_compression <> 0)",
    ),
    (_Against.BOTH, "a filegroup that is not the default", f"{_INDEX} i.data_space_id {_ELSEWHERE}"),
    (
        _Against.BOTH,
        "large values in a filegroup that is not the default",
        f"{_TABLE} t.lob_data_space_id <> 0 AND t.lob_data_space_id {_ELSEWHERE}",
    ),
    (_Against.SWITCH, "its key is stored otherwise", f"{_INDEX} i.is_primary_key = 1 AND i.type <> {{1}}"),
    (_Against.SWAP, "grants", "sys.database_permissions AS m WHERE m.class = 1 AND m.major_id = {0}"),
    (_Against.SWAP, "extended properties", "sys.extended_properties AS e WHERE e.class = 1 AND e.major_id = {0}"),
    (_Against.SWAP, "defaults of columns", f"{_COLUMN} c.default_object_id <> 0"),
    (_Against.SWAP, "an owner of its own", f"{_TABLE} t.principal_id IS NOT NULL"),
    (
        _Against.SWAP,
        "the name of its key",
        "sys.key_constraints AS k WHERE k.parent_object_id = {0} AND k.is_system_named = 0",
    ),
)
_CLUSTERED, _NONCLUSTERED = 1, 2


def question(number: int, *, clustered: bool) -> str:
    """The query for what the catalogue has against a table's being exchanged, a row for each thing."""
    parts = [
        f"SELECT N'{against.value}' AS against, N'{what}' AS what WHERE EXISTS (SELECT 1 AS one FROM {place})"
        for against, what, place in _ASKED
    ]
    return " UNION ALL ".join(parts).format(number, _CLUSTERED if clustered else _NONCLUSTERED)


def adoption_of(connection: Connection, spec: StageSpec, relation: Relation | None, texts: Sequence[str]) -> Adoption:
    """The way of this load as things stand now; `texts` names the columns that are staged as another type."""
    own = tuple(_against_stage(spec, texts))
    found = Found() if own or relation is None else _find(connection, spec, relation)
    return decide(spec, relation, own, found)


def _find(connection: Connection, spec: StageSpec, relation: Relation) -> Found:
    """What stands against it; a server that does not tell has that against it."""
    try:
        rows = connection.rows(question(relation.id, clustered=_is_clustered(spec)))
    except DponeError as error:
        if isinstance(error, RemoteError) and error.retryable:
            raise
        return Found(both=("what belongs to it, which this server does not tell",))
    told = {a: tuple(what for against, what in rows if against == a.value) for a in _Against}
    return Found(told[_Against.BOTH], told[_Against.SWITCH], told[_Against.SWAP])


def _is_clustered(spec: StageSpec) -> bool:
    return " CLUSTERED " in (key_statement("t", spec.layout) or "")


def decide(spec: StageSpec, relation: Relation | None, own: tuple[str, ...], found: Found) -> Adoption:
    """The one decision: the best way that loses nothing, with the reasons against every better one."""
    if own:
        return Adoption(Way.COPY, own)
    if relation is None:
        return Adoption(Way.RENAME)
    if against := (*found.both, *_peculiar(spec, relation)):
        return Adoption(Way.COPY, against)
    switch = (*found.switch, *_unlike(spec, relation))
    swap = Way.COPY if found.swap else Way.SWAP
    if not switch:
        return Adoption(Way.SWITCH, otherwise=swap)
    return Adoption(swap, (*switch, *found.swap))


def _against_stage(spec: StageSpec, texts: Sequence[str]) -> Iterator[str]:
    """What speaks against a stage that is made as the target would be, whatever the target is."""
    if spec.fate is not Fate.ADOPT:
        yield "rows that are there stay"
    if not is_sealed_as_it_came(RawStage("", (), tagged=spec.is_tagged), spec.sealing):
        yield "rows are collapsed before they land"
    yield from (f"{name} is brought as text" for name in texts)


def _peculiar(spec: StageSpec, relation: Relation) -> Iterator[str]:
    """Columns whose values the server itself makes."""
    filled = {*spec.columns, *(c.field.name for c in spec.layout.system)}
    for attribute in relation.attributes:
        name = attribute.field.name
        if attribute.is_identity or attribute.is_written_by_server:
            yield f"{name} is numbered, computed or versioned"
        elif name in spec.layout.schema and name not in filled and attribute.has_default:
            yield f"the default of {name}"


def _unlike(spec: StageSpec, relation: Relation) -> Iterator[str]:
    """What tells the table from the one that the load makes of it."""
    now = {a.field.name: (a.field.native_of(ENGINE), a.field.nullable) for a in relation.attributes}
    if now != {f.name: (MSSQL.spell(f), f.nullable) for f in fields_of(spec.layout)}:
        yield "its columns change"
    if relation.key != spec.layout.schema.key:
        yield "its key changes"
    if spec.writers != 1 and not _is_clustered(spec):  # only the build of such a key writes rows without the mark
        yield "several writers fill the stage and mark their rows"


def stage_columns(spec: StageSpec, relation: Relation | None) -> list[Field]:
    """The columns of a stage that will be the target, in the order of the one that is there."""
    wanted = {f.name: f for f in fields_of(spec.layout)}
    there = [a.field.name for a in relation.attributes] if relation is not None else []
    return [wanted[name] for name in dict.fromkeys((*there, *wanted)) if name in wanted]


def creation(table: str, spec: StageSpec, relation: Relation | None, marks: Sequence[str]) -> str:
    """The statement that makes such a stage, its text collated as in the table that is there.

    `marks` are numbers behind the columns, which go before the key is built.
    """
    fields = [*stage_columns(spec, relation), *(Field(name, INT64, nullable=False) for name in marks)]
    natives = {f.name: MSSQL.spell(f) for f in fields}
    collations = {
        a.field.name: a.collation
        for a in (relation.attributes if relation is not None else ())
        if a.collation and a.field.native_of(ENGINE) == natives.get(a.field.name)
    }
    return MSSQL.create_heap(table, fields, spec.layout.schema.key, collations)


def may_hold_snapshots(connection: Connection) -> bool:
    """Whether somebody may read in a snapshot, where a table whose definition changed meanwhile is an error."""
    (state,) = connection.one("SELECT d.snapshot_isolation_state FROM sys.databases AS d WHERE d.name = DB_NAME()")
    if not state:
        return False
    try:
        (held,) = connection.one(f"SELECT COUNT(*) AS held FROM {_SNAPSHOTS} AS t WHERE t.is_snapshot = 1")
    except DponeError:  # who may not look sees nobody
        return True
    return bool(held)


def takeover(way: Way, stage: str, target: tuple[str, str], old: str) -> list[str]:
    """The statements by which the stage's rows become the target's; `old` is a name for the table that goes."""
    table = MSSQL.table(target)
    match way:
        case Way.RENAME:
            return [MSSQL.rename(stage, target[1])]
        case Way.SWITCH:
            return [f"TRUNCATE TABLE {table}", MSSQL.switch(stage, table)]
        case Way.SWAP:
            gone = MSSQL.table((target[0], old))
            return [MSSQL.rename(table, old), MSSQL.rename(stage, target[1]), MSSQL.drop(gone)]
        case Way.COPY:
            return []
