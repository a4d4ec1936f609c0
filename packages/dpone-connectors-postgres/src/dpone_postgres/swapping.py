"""Whether a new table can take the place of a target, and the statements that carry over what belongs to it.

A swap spares the deletion of every old row and the upkeep of every index. What it would lose is named, and the rows are
then exchanged in place. The new table's rows are frozen: whoever finds it sees it whole, whatever his snapshot.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers, encoded literals and the catalogue's own definitions

from __future__ import annotations

from collections.abc import Collection, Iterator
from time import monotonic, sleep

from msgspec import Struct

from dpone_postgres.catalog import TABLE, Relation
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.session import Connection

PATIENCE = 0.3  # seconds: while we wait for our lock, new readers wait behind us
_PAUSE = 0.005
_SCHEMAS_PUBLISHED_SINCE = 150000


class Belongings(Struct, frozen=True):
    """What stands beside a table's rows and goes over to the table that takes its place."""

    owner: str
    grants: tuple[tuple[str, str, str], ...]  # privilege, grantee, option
    comment: tuple[str, ...]  # at most one
    comments: tuple[tuple[str, str], ...]  # column and comment
    defaults: tuple[tuple[str, str], ...]  # column and expression
    indexes: tuple[tuple[str, bool, str], ...]  # name, whether it is unique, what stands behind the table's name
    indexed: frozenset[str]
    key_name: str | None
    options: str


# Everything that hangs on the table or its row type, but for what is carried over or made anew, each once. A view
# hangs on it by the rule that makes it one, by the table and by each column that it shows, or by a column of its own.
_DEPENDENTS = """
SELECT DISTINCT CASE WHEN v.oid IS NULL THEN pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
    ELSE pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, v.oid, 0) END AS what
FROM pg_catalog.pg_depend d LEFT JOIN pg_catalog.pg_rewrite r
    ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN'
LEFT JOIN pg_catalog.pg_class v ON v.relkind IN ('v', 'm')
    AND v.oid = CASE WHEN d.classid = 'pg_catalog.pg_class'::regclass THEN d.objid ELSE r.ev_class END
WHERE ((d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = %(oid)s)
    OR (d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid =
        (SELECT reltype FROM pg_catalog.pg_class WHERE oid = %(oid)s)))
  AND d.classid <> 'pg_catalog.pg_attrdef'::regclass
  AND NOT (d.classid = 'pg_catalog.pg_type'::regclass AND d.deptype = 'i')
  AND NOT (d.classid = 'pg_catalog.pg_class'::regclass AND EXISTS (
        SELECT FROM pg_catalog.pg_class c WHERE c.oid = d.objid AND c.relkind IN ('i', 't')))
  AND NOT (d.classid = 'pg_catalog.pg_constraint'::regclass AND EXISTS (
        SELECT FROM pg_catalog.pg_constraint c WHERE c.oid = d.objid AND c.contype IN ('p', 'n')))
ORDER BY what
"""

# How the catalogue's definition of an index begins, up to its own words.
_BEFORE = (
    "('CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || "
    "pg_catalog.quote_ident(k.relname) || ' ON ' || i.indrelid::pg_catalog.regclass::text || ' ')"
)

_PECULIARITIES = """
SELECT x.what FROM pg_catalog.pg_class c, LATERAL (VALUES
    ('it is no ordinary table', c.relkind <> 'r' OR c.relpersistence <> 'p' OR c.relispartition OR c.reloftype <> 0
        OR c.relhassubclass),
    ('row security', c.relrowsecurity OR c.relforcerowsecurity),
    ('its replica identity', c.relreplident <> 'd'),
    ('its tablespace', c.reltablespace <> 0),
    ('default privileges', EXISTS (SELECT FROM pg_catalog.pg_default_acl d WHERE d.defaclobjtype = 'r')),
    ('properties of a column', EXISTS (SELECT FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        AND (a.attacl IS NOT NULL OR a.attoptions IS NOT NULL OR a.attidentity <> '' OR a.attgenerated <> ''
            OR a.attcollation <> t.typcollation OR a.attstorage <> t.typstorage OR a.attcompression <> ''
            OR coalesce(a.attstattarget, -1) <> -1))),
    ('grants by others than its owner', EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) g
        WHERE g.grantor <> c.relowner)),
    ('security labels', EXISTS (SELECT FROM pg_catalog.pg_seclabel l WHERE l.objoid = c.oid)),
    ('properties of an index', EXISTS (SELECT FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class k ON k.oid = i.indexrelid
        WHERE i.indrelid = c.oid AND (i.indisclustered OR i.indisexclusion OR NOT i.indisvalid OR NOT i.indimmediate
            OR k.reltablespace <> 0 OR (i.indisprimary AND k.reloptions IS NOT NULL)
            OR (i.indisprimary AND i.indnatts <> i.indnkeyatts)
            OR NOT starts_with(pg_catalog.pg_get_indexdef(k.oid), {before})
            OR pg_catalog.obj_description(k.oid, 'pg_class') IS NOT NULL))),
    ('a comment on its key', EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid
        AND pg_catalog.obj_description(k.oid, 'pg_constraint') IS NOT NULL))
) AS x(what, is_so) WHERE c.oid = %(oid)s AND x.is_so
""".replace("{before}", _BEFORE)


def obstacles(connection: Connection, relation: Relation) -> list[str]:
    """What a swap would lose, by name; empty when the table may be swapped."""
    if relation.kind != TABLE:
        return ["it is no ordinary table"]
    found = connection.execute(_PECULIARITIES, {"oid": relation.oid}).fetchall()
    found += connection.execute(_DEPENDENTS, {"oid": relation.oid}).fetchall()
    everywhere = [] if is_unpublished(connection, relation.name[0]) else ["every new table of its schema is published"]
    return [*everywhere, *(what for (what,) in found)]


def is_unpublished(connection: Connection, schema: str) -> bool:
    """No publication takes in every new table of the schema, under whatever name it is filled."""
    query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE puballtables)"
    if connection.info.server_version >= _SCHEMAS_PUBLISHED_SINCE:
        query += (
            " OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace p JOIN pg_catalog.pg_namespace n "
            f"ON n.oid = p.pnnspid WHERE n.nspname = {POSTGRES.text(schema)})"
        )
    row = connection.execute(query.encode()).fetchone()
    return row is not None and not row[0]


def belongings(connection: Connection, relation: Relation) -> Belongings:
    """What goes over to the new table."""
    row = connection.execute(
        "SELECT pg_catalog.pg_get_userbyid(c.relowner), c.relacl IS NULL, "
        "pg_catalog.obj_description(c.oid, 'pg_class'), "
        "(SELECT k.conname FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p'), "
        "pg_catalog.array_to_string(c.reloptions, ', ') FROM pg_catalog.pg_class c WHERE c.oid = %s",
        (relation.oid,),
    ).fetchone()
    assert row is not None  # it is locked
    owner, without_grants, comment, key_name, options = row
    columns = connection.execute(
        "SELECT a.attname, pg_catalog.col_description(a.attrelid, a.attnum), "
        "pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attribute a "
        "LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        (relation.oid,),
    ).fetchall()
    indexes = connection.execute(
        "SELECT k.relname, i.indisunique, pg_catalog.substr(pg_catalog.pg_get_indexdef(k.oid), pg_catalog.length("
        f"{_BEFORE}) + 1), ARRAY(SELECT a.attname::text "
        "FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid "
        "AND a.attnum = d.refobjsubid WHERE d.objid = k.oid AND d.refobjid = i.indrelid) FROM pg_catalog.pg_index i "
        "JOIN pg_catalog.pg_class k ON k.oid = i.indexrelid WHERE i.indrelid = %s AND NOT i.indisprimary",
        (relation.oid,),
    ).fetchall()
    return Belongings(
        owner=owner,
        grants=() if without_grants else _grants(connection, relation.oid),
        comment=() if comment is None else (comment,),
        comments=tuple((name, said) for name, said, _ in columns if said is not None),
        defaults=tuple((name, default) for name, _, default in columns if default is not None),
        indexes=tuple((name, unique, definition) for name, unique, definition, _ in indexes),
        indexed=frozenset(name for *_, names in indexes for name in names),
        key_name=key_name,
        options=options or "",
    )


def _grants(connection: Connection, oid: int) -> tuple[tuple[str, str, str], ...]:
    rows = connection.execute(
        "SELECT g.privilege_type, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident("
        "pg_catalog.pg_get_userbyid(g.grantee)) END, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END "
        "FROM pg_catalog.pg_class c, LATERAL pg_catalog.aclexplode(c.relacl) g WHERE c.oid = %s",
        (oid,),
    ).fetchall()
    return tuple((privilege, grantee, option) for privilege, grantee, option in rows)


def older_transactions(connection: Connection, oid: int) -> bool:
    """True when others that run now do not end in a moment: a snapshot of theirs may hold the table's old rows.

    Who waits for a lock on the table has not read it yet, and autovacuum reads rows for nobody.
    """
    query = (
        "SELECT array_agg(l.virtualtransaction) FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a "
        "ON a.pid = l.pid WHERE l.locktype = 'virtualxid' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid() "
        "AND coalesce(a.datname = pg_catalog.current_database(), a.pid IS NULL) "
        "AND a.backend_type IS DISTINCT FROM 'autovacuum worker' "
        "AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks w "
        f"WHERE w.pid = l.pid AND NOT w.granted AND w.relation = {oid})"
    ).encode()
    until = monotonic() + PATIENCE
    waiting: set[str] | None = None
    while True:
        connection.execute("SELECT pg_catalog.pg_stat_clear_snapshot()")  # else who came since is not in the view
        row = connection.execute(query).fetchone()
        now = set(row[0] or ()) if row else set()
        waiting = now if waiting is None else waiting & now
        if not waiting:
            return False
        if monotonic() > until:
            return True
        sleep(_PAUSE)


def handing_over(new: str, belonging: Belongings, kept: Collection[str]) -> Iterator[str]:
    """The statements by which the new table gets the options, defaults, comments, owner and grants of the old one."""
    if belonging.options:
        yield f"ALTER TABLE {new} SET ({belonging.options})"
    for column, expression in belonging.defaults:
        if column in kept:
            yield f"ALTER TABLE {new} ALTER {POSTGRES.quote(column)} SET DEFAULT {expression}"
    yield from (f"COMMENT ON TABLE {new} IS {POSTGRES.text(said)}" for said in belonging.comment)
    for column, said in belonging.comments:
        if column in kept:
            yield f"COMMENT ON COLUMN {new}.{POSTGRES.quote(column)} IS {POSTGRES.text(said)}"
    owner = POSTGRES.quote(belonging.owner)
    yield f"ALTER TABLE {new} OWNER TO {owner}"
    if belonging.grants:
        yield f"REVOKE ALL ON {new} FROM PUBLIC, {owner}"
    for privilege, grantee, option in belonging.grants:
        yield f"GRANT {privilege} ON {new} TO {grantee}{option}"
