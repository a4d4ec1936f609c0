"""GoogleSQL as DuckDB takes it: sqlglot's translation, and what it leaves to be said of names, numbers and NaN."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from sqlglot import exp

from dpone_bigquery.emulator.answers import Json, invalid_query
from dpone_bigquery.emulator.bignumerics import lift
from dpone_bigquery.emulator.fields import held, kind_of, stored

Lookup = Callable[[str, str], Json | None]
_ORDERED = (exp.GT, exp.GTE, exp.LT, exp.LTE)


def names_of(table: exp.Table, default: str | None) -> tuple[str, str]:
    """Dataset and name of a table, whatever stands before them."""
    parts = [piece for part in table.parts for piece in _pieces(part)]
    if len(parts) == 1:
        if default is None:
            raise invalid_query(f'Table "{parts[0]}" must be qualified with a dataset (e.g. dataset.table).')
        return default, parts[0]
    return parts[-2], parts[-1]


def _pieces(part: exp.Expr) -> list[str]:
    """`INFORMATION_SCHEMA.TABLES` is one part to the grammar."""
    return part.name.split(".") if part.name.upper().startswith("INFORMATION_SCHEMA.") else [part.name]


def translate(tree: exp.Expression, default: str | None, lookup: Lookup, variables: Mapping[str, str]) -> str:
    """The statement in DuckDB's words."""
    kinds = _kinds(tree, default, lookup)
    floats, bigs = ({name for name, of in kinds.items() if kind in of} for kind in ("FLOAT", "BIGNUMERIC"))
    into = _target(tree, default, lookup)
    _place_tables(tree, default)
    for variable in list(tree.find_all(exp.Parameter)):
        if isinstance(variable.this, exp.Parameter):  # @@name
            variable.replace(exp.Literal.string(variables[variable.this.name]))
    lift(tree, bigs, floats, {name: min(of) for name, of in kinds.items() if len(of) == 1})
    for cast in list(tree.find_all(exp.Cast)):
        _exact(cast)
    for parsed in list(tree.find_all(exp.ParseJSON)):
        parsed.replace(exp.cast(parsed.this, "JSON", dialect="duckdb"))  # DuckDB's function rounds numbers
    for comparison in list(tree.find_all(exp.EQ, exp.NEQ, *_ORDERED)):
        _by_ieee(comparison, floats)
    _hold(tree, into)
    return tree.sql(dialect="duckdb")


def _target(tree: exp.Expr, default: str | None, lookup: Lookup) -> list[Json]:
    """The columns of the table that the statement changes."""
    if not isinstance(tree, (exp.Insert, exp.Update, exp.Merge)):
        return []
    table = tree.this if isinstance(tree.this, exp.Table) else tree.this.this
    about = lookup(*names_of(table, default))
    fields: list[Json] = about["schema"]["fields"] if about else []
    return fields


def _hold(tree: exp.Expr, into: list[Json]) -> None:
    """Every value that the statement puts into a column is put there as the column holds it."""
    by_name = {field["name"].lower(): field for field in into}
    if isinstance(tree, exp.Insert):
        named = tree.this.expressions if isinstance(tree.this, exp.Schema) else ()
        fields = [by_name[column.name.lower()] for column in named if column.name.lower() in by_name] or into
        query = tree.expression.sql(dialect="duckdb")
        if (rows := stored(query, fields)) != query:
            tree.set("expression", exp.Var(this=rows))
        return
    for column, value in _assigned(tree):
        field = by_name.get(column.name.lower())
        text = value.sql(dialect="duckdb")
        if field and (kept := held(text, field)) != text:
            value.replace(exp.Var(this=kept))


def _assigned(tree: exp.Expr) -> list[tuple[exp.Expr, exp.Expr]]:
    """Columns and what an UPDATE or a MERGE puts into them."""
    found: list[tuple[exp.Expr, exp.Expr]] = []
    for part in (tree, *(when.args["then"] for when in tree.find_all(exp.When))):
        if isinstance(part, exp.Update):
            found += [(pair.this, pair.expression) for pair in part.expressions if isinstance(pair, exp.EQ)]
        elif isinstance(part, exp.Insert) and isinstance(part.expression, exp.Tuple):
            found += zip(part.this.expressions, part.expression.expressions, strict=True)
    return found


def _place_tables(tree: exp.Expression, default: str | None) -> None:
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        if not isinstance(table.this, exp.Identifier) or (not table.db and table.name in ctes):
            continue
        if "INFORMATION_SCHEMA" in str(table).upper():
            _place_catalog(table, default)
            continue
        dataset, name = names_of(table, default)
        table.set("catalog", None)
        table.set("db", exp.to_identifier(dataset, quoted=True))
        table.set("this", exp.to_identifier(name, quoted=True))


def _place_catalog(table: exp.Table, default: str | None) -> None:
    """TABLES and COLUMNS of one dataset, as DuckDB knows them."""
    parts = [piece for part in table.parts for piece in _pieces(part)]
    view = parts[-1].lower()
    if view not in {"tables", "columns"}:
        raise invalid_query(f"INFORMATION_SCHEMA.{parts[-1]} is not supported")
    at = next(i for i, part in enumerate(parts) if part.upper() == "INFORMATION_SCHEMA")
    dataset = parts[at - 1] if at else default
    found = exp.select("*").from_(f"information_schema.{view}").where(exp.column("table_schema").eq(dataset))
    alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier("catalog"))
    table.replace(exp.Subquery(this=found, alias=alias))


def _kinds(tree: exp.Expression, default: str | None, lookup: Lookup) -> dict[str, set[str]]:
    """What the columns of each name are in the tables of the statement; a name that it gives itself may be anything."""
    found: dict[str, set[str]] = defaultdict(set)
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and "INFORMATION_SCHEMA" not in str(table).upper():
            about = lookup(*names_of(table, default)) if table.db or default else None
            for field in about["schema"]["fields"] if about else ():
                found[field["name"].lower()] |= {kind_of(field), *({"REPEATED"} & {field.get("mode")})}
    for alias in tree.find_all(exp.Alias):
        if alias.alias.lower() in found:
            found[alias.alias.lower()].add("GIVEN")
    return found


def _by_ieee(comparison: exp.Binary, floats: set[str]) -> None:
    """To DuckDB a NaN equals itself and is the greatest; to BigQuery no comparison but `<>` is true of it."""
    sides = [side for side in (comparison.left, comparison.right) if _is_float(side, floats)]
    if not sides or isinstance(comparison.parent, exp.Update):
        return
    nan = exp.or_(*(exp.func("isnan", side.copy(), dialect="duckdb") for side in sides))
    inner = comparison.copy()
    if isinstance(comparison, exp.NEQ):
        comparison.replace(exp.paren(exp.or_(inner, nan)))
    else:
        comparison.replace(exp.paren(exp.and_(inner, exp.not_(exp.paren(nan)))))


def _is_float(side: exp.Expr, floats: set[str]) -> bool:
    return isinstance(side, exp.Column) and side.name.lower() in floats


def _exact(node: exp.Cast) -> None:
    """NUMERIC as wide as it can be had; a sum is wide enough by itself."""
    if node.to.this is not exp.DataType.Type.DECIMAL or node.to.expressions:
        return
    if isinstance(node.parent, exp.Sum):
        node.replace(node.this)
    elif isinstance(node.this, exp.Literal):
        whole, _, behind = node.this.name.lstrip("-").partition(".")
        digits = max(len(whole) + len(behind), 1)
        node.set("to", exp.DataType.build(f"DECIMAL({min(digits, 38)}, {len(behind)})", dialect="duckdb"))
    else:
        node.set("to", exp.DataType.build("DECIMAL(38, 9)", dialect="duckdb"))
