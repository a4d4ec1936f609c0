"""CREATE, ALTER and DROP of tables: DuckDB makes them, and what BigQuery would say of them is kept beside."""
# ruff: noqa: S608 - all text here is made of quoted identifiers

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlglot
from msgspec import Struct, field
from sqlglot import exp

from dpone_bigquery.emulator.answers import Json, invalid_query
from dpone_bigquery.emulator.fields import declared_field, definition, duck_type, quoted, stored, typed_field
from dpone_bigquery.emulator.store import Connection, Store, place
from dpone_bigquery.emulator.translate import names_of

InDuck = Callable[[exp.Expression], str]
_NAME = r"((?:`(?:[^`\\]|\\.)+`|[\w-]+)(?:\s*\.\s*(?:`(?:[^`\\]|\\.)+`|[\w-]+))*)"
_COPY = re.compile(
    rf"CREATE(\s+OR\s+REPLACE)?\s+TABLE\s+{_NAME}\s+(?:COPY|CLONE)\s+{_NAME}\s*(?:OPTIONS\s*\(.*\))?",
    re.IGNORECASE | re.DOTALL,
)
# Options, and where the interface says the same of a table.
_OPTIONS = {
    "description": "description",
    "friendly_name": "friendlyName",
    "require_partition_filter": "requirePartitionFilter",
}


class Definition(Struct, frozen=True):
    """A statement; of a copy, also the table that is copied. `options` are in the interface's names."""

    tree: exp.Expression
    text: str
    source: exp.Table | None = None
    options: Json = field(default_factory=dict)


def parse_copy(text: str) -> Definition | None:
    """CREATE TABLE ... COPY or CLONE, which sqlglot reads in part only; None for anything else."""
    if not (found := _COPY.fullmatch(text.strip())):
        return None
    target, source = (exp.to_table(name, dialect="bigquery") for name in (found[2], found[3]))
    return Definition(exp.Create(this=target, kind="TABLE", replace=bool(found[1])), text, source)


def create_table(store: Store, own: Connection, what: Definition, default: str | None, in_duck: InDuck) -> None:
    tree = what.tree
    assert isinstance(tree, exp.Create)
    if str(tree.args.get("kind")).upper() != "TABLE":
        raise invalid_query(f"the emulator makes tables alone, not a {tree.args.get('kind')}")
    table = tree.this if isinstance(tree.this, exp.Table) else tree.this.this
    dataset, name = names_of(table, default)
    store.dataset(dataset)
    body, query = _wanted(store, what, default, in_duck)
    is_there = store.find(dataset, name) is not None
    if is_there and tree.args.get("exists"):
        return
    if is_there and tree.args.get("replace"):
        rows = f"SELECT * FROM {quoted('__new')}"
        if query is not None:
            own.execute(f"CREATE TEMP TABLE {quoted('__new')} AS {query}")  # it may read the table that goes
        store.drop(own, dataset, name)
        store.make(own, dataset, name, body, rows if query is not None else None)
        own.execute(f"DROP TABLE IF EXISTS {quoted('__new')}")
        return
    store.make(own, dataset, name, body, query)


def _wanted(store: Store, what: Definition, default: str | None, in_duck: InDuck) -> tuple[Json, str | None]:
    """What is said of the new table, and the query that fills it."""
    tree = what.tree
    if what.source is not None:
        dataset, name = names_of(what.source, default)
        about = store.table(dataset, name)
        return {**about, **what.options}, f"SELECT * FROM {place(dataset, name)}"
    fields = [declared_field(c) for c in tree.this.expressions] if isinstance(tree.this, exp.Schema) else []
    query = None if tree.expression is None else in_duck(tree.expression.copy())
    return {"schema": {"fields": fields}, **_storage(tree), **what.options}, query


def _storage(tree: exp.Expression) -> Json:
    """Partitioning by a time and clustering."""
    found: Json = {}
    for part in tree.find_all(exp.PartitionedByProperty):
        column = next(part.find_all(exp.Identifier)).name
        unit = next((n.name.upper() for n in part.find_all(exp.Var, exp.Literal) if n.name.upper() in _GRAINS), "DAY")
        found["timePartitioning"] = {"type": unit, "field": column}
    for cluster in tree.find_all(exp.Cluster, exp.ClusterProperty):
        found["clustering"] = {"fields": [c.name for c in cluster.find_all(exp.Identifier)]}
    return found


_GRAINS = {"HOUR", "DAY", "MONTH", "YEAR"}


def drop_table(store: Store, own: Connection, what: Definition, default: str | None) -> None:
    dataset, name = names_of(what.tree.this, default)
    if store.find(dataset, name) is None and what.tree.args.get("exists"):
        return
    store.table(dataset, name)
    store.drop(own, dataset, name)


def alter_table(store: Store, own: Connection, what: Definition, default: str | None) -> None:
    dataset, name = names_of(what.tree.this, default)
    about = store.table(dataset, name)
    fields = {f["name"].lower(): f for f in about["schema"]["fields"]}
    at = place(dataset, name)
    if re.search(r"\bSET\s+OPTIONS\b", what.text, re.IGNORECASE):
        about |= what.options
    for action in what.tree.args.get("actions") or ():
        match action:
            case exp.ColumnDef():
                if action.name.lower() in fields:
                    if action.args.get("exists"):
                        continue
                    raise invalid_query(f"Column already exists: {action.name}")
                added = declared_field(action)
                if added["mode"] == "REQUIRED":
                    raise invalid_query(f"Cannot add REQUIRED column {action.name} to an existing table")
                own.execute(f"ALTER TABLE {at} ADD COLUMN {quoted(added['name'])} {duck_type(added)}")
                fields[action.name.lower()] = added
            case exp.AlterColumn():
                found = fields[action.name.lower()]
                if action.args.get("dtype") is not None:
                    found = typed_field(found["name"], action.args["dtype"], found.get("mode", "NULLABLE"))
                else:
                    found = {**found, "mode": "NULLABLE"}
                fields[action.name.lower()] = found
                _rewrite(own, dataset, name, list(fields.values()))
            case exp.RenameColumn() | exp.AlterRename() | exp.Drop():
                raise invalid_query(f"the emulator does not carry out: {what.text[:80]}")
            case _:
                continue
    about["schema"] = {"fields": list(fields.values())}
    store.describe_anew(own, dataset, name, about)


def _rewrite(own: Connection, dataset: str, name: str, fields: list[Json]) -> None:
    """The table anew with other columns: DuckDB alters no column that a constraint speaks of."""
    at = place(dataset, name)
    own.execute(f"CREATE TEMP TABLE {quoted('__old')} AS SELECT * FROM {at}")
    own.execute(f"DROP TABLE {at}")
    own.execute(f"CREATE TABLE {at} ({', '.join(map(definition, fields))})")
    own.execute(f"INSERT INTO {at} {stored('SELECT * FROM __old', fields)}")
    own.execute(f"DROP TABLE {quoted('__old')}")


# ------------------------------------------------------------------------ options


def parse_options(text: str) -> Json:
    """What the statement's OPTIONS say, by the interface's names."""
    found = re.search(r"\bOPTIONS\s*\(", text, re.IGNORECASE)
    if found is None:
        return {}
    tokens = sqlglot.tokenize(text[found.end() :], read="bigquery")
    depth, end = 1, len(text)
    for token in tokens:
        depth += {sqlglot.TokenType.L_PAREN: 1, sqlglot.TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth == 0:
            end = found.end() + token.start
            break
    inside = text[found.end() : end]
    if not inside.strip():
        return {}
    call = sqlglot.parse_one(f"SELECT dpone_options({inside})", read="bigquery").find(exp.Anonymous)
    assert call is not None
    options: Json = {}
    for pair in call.expressions:
        options |= _option(pair.this.name.lower(), _value(pair.expression))
    return options


def _option(name: str, value: Any) -> Json:
    match name:
        case "labels":
            return {"labels": dict(value)}
        case "expiration_timestamp":
            at = datetime.fromisoformat(value)
            return {"expirationTime": str(int(at.timestamp() * 1000))}
        case "kms_key_name":
            return {"encryptionConfiguration": {"kmsKeyName": value}}
        case "partition_expiration_days":
            return {"partitionExpirationDays": value}
        case _ if name in _OPTIONS:
            return {_OPTIONS[name]: value}
        case _:
            raise invalid_query(f"Unknown option: {name}")


def _value(node: exp.Expression) -> Any:
    match node:
        case exp.Literal():
            return node.name if node.is_string else float(node.name)
        case exp.Boolean():
            return bool(node.this)
        case exp.Null():
            return None
        case exp.Array() | exp.Tuple():
            return tuple(_value(part) for part in node.expressions)
        case exp.Cast():
            return _value(node.this)
        case _:
            raise invalid_query(f"not an option's value: {node}")
