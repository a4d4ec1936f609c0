"""Statements over BIGNUMERIC: a number that meets one is made a BIGNUM, too, and what a BIGNUM lacks is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from sqlglot import exp

from dpone_bigquery.emulator.answers import invalid_query
from dpone_bigquery.emulator.numbers import shifted

_BIG = exp.DataType.Type.BIGDECIMAL
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
# What is one number of several, or of one.
_CHOICES = (exp.Coalesce, exp.Greatest, exp.Least, exp.Nullif, exp.Add, exp.Sub)
_KEPT = (exp.Paren, exp.Alias, exp.Neg, exp.Sum, exp.Min, exp.Max, exp.AnyValue, exp.Distinct, exp.Window, exp.Filter)
_TAKEN = (
    *_COMPARISONS,
    *_CHOICES,
    *_KEPT,
    *(exp.Between, exp.In, exp.Is, exp.Count, exp.If, exp.Case, exp.Cast, exp.And, exp.Or, exp.Not, exp.Exists),
    *(exp.Array, exp.ArrayAgg, exp.Struct, exp.JSONFormat, exp.PropertyEQ, exp.ParseJSON),
)


_SMALL = {"INTEGER": "of_integer", "NUMERIC": "of_numeric"}  # macros for columns of these kinds
_BIG_MACROS = {"bignumeric", "ranged", *_SMALL.values()}


def lift(tree: exp.Expr, columns: Iterable[str], floats: Iterable[str], kinds: Mapping[str, str]) -> None:
    """Every BIGNUMERIC of the statement is a BIGNUM, and what it meets, too; beside a FLOAT64 it is one itself.

    `kinds` are those of the columns whose names stand for one kind in the whole statement.
    """
    is_big = partial(_is_big, names=_named(tree, set(columns)))
    if not any(map(is_big, tree.walk())):
        return
    is_float = partial(_is_float, names=set(floats))
    _refuse_others(tree, is_big)
    for node in list(tree.walk()):
        met = [part for part in _meeting(node) if not _is_null(part)]
        if any(map(is_float, met)):
            for part in filter(is_big, met):
                part.replace(exp.cast(_macro("plain", part.copy()), "DOUBLE", dialect="duckdb"))
        elif any(map(is_big, met)):
            for part in met:
                part.replace(big(part.copy()))
    for total in list(tree.find_all(exp.Sum)):
        if is_big(total) and not _is_small(total.this, kinds):
            whole = total.parent if isinstance(total.parent, (exp.Window, exp.Filter)) else total
            whole.replace(_macro("ranged", whole.copy()))
    for node in list(tree.find_all(exp.Cast, exp.JSONFormat)):
        assert isinstance(node, (exp.Cast, exp.JSONFormat))
        _cast(node, is_big, kinds)


def big(number: exp.Expr) -> exp.Expr:
    """The number as a BIGNUM."""
    return number if _is_macro(number) else _macro("bignumeric", number)


def _macro(name: str, *arguments: exp.Expr) -> exp.Dot:
    call = exp.Anonymous(this=name, expressions=list(arguments))
    return exp.Dot(this=exp.to_identifier("__emulator"), expression=call)


def _cast(node: exp.Cast | exp.JSONFormat, is_big: partial[bool], kinds: Mapping[str, str]) -> None:
    """What is cast to BIGNUMERIC, or from it: the latter by its text."""
    if isinstance(node, exp.Cast) and node.to.this is _BIG:
        if isinstance(node.this, exp.Literal):
            found = _literal(node)
        else:
            found = (
                _macro(_SMALL[kinds[node.this.name.lower()]], node.this) if _is_small(node, kinds) else big(node.this)
            )
        if sizes := [exp.Literal.number(part.name) for part in node.to.expressions]:
            found = _macro("bounded", found, sizes[0], sizes[1] if len(sizes) > 1 else exp.Literal.number(0))
        node.replace(found)
    elif is_big(node.this):
        plain = _macro("plain", node.this)
        node.replace(plain) if isinstance(node, exp.JSONFormat) else node.set("this", plain)


def _is_small(node: exp.Expr, kinds: Mapping[str, str]) -> bool:
    """It is a column of a smaller kind, cast to BIGNUMERIC."""
    is_cast = isinstance(node, exp.Cast) and node.to.this is _BIG and isinstance(node.this, exp.Column)
    return is_cast and kinds.get(node.this.name.lower()) in _SMALL


def _literal(node: exp.Cast) -> exp.Expr:
    if (digits := shifted(node.this.name)) is None:
        raise invalid_query(f"Invalid BIGNUMERIC value: {node.this.name}")
    return exp.Cast(this=exp.Literal.string(digits), to=exp.DataType.build("BIGNUM", udt=True))


# ------------------------------------------------------------------------ what is one


def _named(tree: exp.Expr, names: set[str]) -> set[str]:
    """The columns' names, and those that the statement gives to a BIGNUMERIC."""
    given = [(alias.alias, [alias.this]) for alias in tree.find_all(exp.Alias)]
    for unnest in tree.find_all(exp.Unnest):
        elements = [e for array in unnest.expressions if isinstance(array, exp.Array) for e in array.expressions]
        given += [(name, elements) for name in unnest.alias_column_names]
    while more := {n.lower() for n, made in given if any(_is_big(of, names=names) for of in made)} - names:
        names |= more
    return names


def _is_big(node: exp.Expr | None, *, names: set[str]) -> bool:
    match node:
        case exp.Column() | exp.Dot() if not _is_macro(node):
            return node.name.lower() in names
        case exp.Cast():
            return node.to.this is _BIG
        case exp.Subquery() | exp.Select():
            selected = node.selects
            return len(selected) == 1 and _is_big(selected[0], names=names)
        case exp.If() | exp.Case():
            return any(_is_big(part, names=names) for part in _chosen(node))
        case _ if isinstance(node, _KEPT):
            return _is_big(node.this, names=names) or any(_is_big(part, names=names) for part in node.expressions)
        case _ if isinstance(node, _CHOICES):
            return any(_is_big(part, names=names) for part in _operands(node))
        case _:
            return node is not None and _is_macro(node) and node.expression.name in _BIG_MACROS


def _is_float(node: exp.Expr, *, names: set[str]) -> bool:
    is_cast = isinstance(node, exp.Cast) and node.to.this in {exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT}
    return is_cast or (isinstance(node, exp.Column) and node.name.lower() in names)


def _is_null(node: exp.Expr) -> bool:
    return isinstance(node, exp.Null)


def _is_macro(node: exp.Expr) -> bool:
    return isinstance(node, exp.Dot) and node.this.name == "__emulator"


# ------------------------------------------------------------------- what one meets


def _meeting(node: exp.Expr) -> list[exp.Expr]:
    """The parts of a node that have one type among them."""
    match node:
        case exp.EQ() if isinstance(node.parent, (exp.Update, exp.PropertyEQ)):
            return []  # an assignment, which `stored` is for
        case exp.Between():
            return [node.this, node.args["low"], node.args["high"]]
        case exp.In():
            return [node.this, *node.expressions, *_only(node.args.get("query"))]
        case exp.If() | exp.Case():
            return _chosen(node)
        case exp.SetOperation():
            return []
        case _ if isinstance(node, (*_COMPARISONS, *_CHOICES)):
            return _operands(node)
        case _:
            return []


def _only(query: exp.Expr | None) -> list[exp.Expr]:
    """What a subquery of one column selects."""
    inner = query.this if isinstance(query, exp.Subquery) else query
    if not isinstance(inner, exp.Select):
        return []
    return [part.this if isinstance(part, exp.Alias) else part for part in inner.expressions]


def _operands(node: exp.Expr) -> list[exp.Expr]:
    return [part for part in (node.this, node.args.get("expression"), *node.expressions) if part is not None]


def _chosen(node: exp.Expr) -> list[exp.Expr]:
    """What an IF or a CASE may yield."""
    if isinstance(node, exp.If):
        return [] if isinstance(node.parent, exp.Case) else [*_present(node, "true", "false")]
    return [*(part.args["true"] for part in node.args["ifs"]), *_present(node, "default")]


def _present(node: exp.Expr, *names: str) -> Iterator[exp.Expr]:
    return (part for name in names if (part := node.args.get(name)) is not None)


def _refuse_others(tree: exp.Expr, is_big: partial[bool]) -> None:
    """DuckDB would take a BIGNUM for an integer, or for a float, in whatever has no word for it."""
    for node in tree.find_all(exp.Func, exp.Binary):
        if isinstance(node, _TAKEN) or _is_macro(node) or isinstance(node, exp.Dot):
            continue
        if any(map(is_big, _operands(node))):
            raise invalid_query(f"the emulator has no {node.sql(dialect='bigquery')[:80]} of a BIGNUMERIC")
    for union in tree.find_all(exp.SetOperation):
        for columns in zip(*(side.selects for side in (union.left, union.right)), strict=False):
            if len({is_big(column) for column in columns if not _is_null(column)}) > 1:
                raise invalid_query("the emulator unites no BIGNUMERIC with another number: cast it")
