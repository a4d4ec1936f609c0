"""SQL Server's types as types of a PostgreSQL database, made of the server's own functions: a result names them.

Types of the same values share their storage. Text compares without case and trailing blanks, or by code points where
the type's name ends in `_bin`; moments are counts, which keeps seven digits: of 100 ns, of 1/300 s, of minutes.
"""

from __future__ import annotations

from collections.abc import Iterator

PLAIN_TEXT = ("nvarchar", "varchar", "nchar", "char", "ntext", "text", "sysname")
BINARY_TEXT = tuple(f"{name}_bin" for name in PLAIN_TEXT)
CYRILLIC_TEXT = ("varchar_cyr", "char_cyr")
BARE_TEXT = ("xml", "json", "sql_variant", "hierarchyid")
TEXT = (*PLAIN_TEXT, *CYRILLIC_TEXT, *BINARY_TEXT, *BARE_TEXT)
BYTES = ("varbinary", "binary", "image", "rowversion", "geography", "geometry")
COUNTS = ("datetime2", "time", "datetime", "smalldatetime")
_OPERATORS = (("=", "eq"), ("<>", "ne"), ("<", "lt"), ("<=", "le"), (">", "gt"), (">=", "ge"))
_STRATEGIES = {"<": 1, "<=": 2, "=": 3, ">=": 4, ">": 5}
_NEGATORS = {"=": "<>", "<>": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_COMMUTATORS = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

# text that T-SQL turns by itself into a value of these types
_FROM_TEXT = (
    *("int2", "int4", "int8", "numeric", "float4", "float8", "uuid", "date"),
    *("tsql.bit", "tsql.tinyint", "tsql.money", "tsql.smallmoney", "tsql.datetimeoffset"),
    *(f"tsql.{name}" for name in COUNTS),
)


def definitions() -> Iterator[str]:
    """The statements that make the types, in order."""
    yield "CREATE SCHEMA tsql"
    for name in TEXT:
        yield from _type(
            name, "varchar", "VARIABLE", typmod="varchartypmod", more="COLLATABLE = true, ALIGNMENT = int4"
        )
    for name in BYTES:
        yield from _type(name, "bytea", "VARIABLE", typmod="varchartypmod", more="ALIGNMENT = int4")
    for name in COUNTS:
        yield from _type(name, "int8", "8, PASSEDBYVALUE", typmod="varchartypmod", more="ALIGNMENT = double")
    # its reader is that of numeric, to which 24 digits and more without scale change nothing: 24 stands for none
    yield from _type("datetimeoffset", "numeric", "VARIABLE", typmod="numerictypmod", more="ALIGNMENT = int4")
    for name in ("bit", "tinyint"):
        yield from _type(name, "int2", "2, PASSEDBYVALUE", more="ALIGNMENT = int2")
    for name in ("money", "smallmoney"):
        yield from _type(name, "numeric", "VARIABLE", more="ALIGNMENT = int4")
    yield from _text_casts()
    yield from _comparisons()


def _type(name: str, like: str, length: str, *, typmod: str = "", more: str = "") -> Iterator[str]:
    """A type that is stored, read and printed as the server's own type `like`."""
    sized = like in {"varchar", "numeric"}
    given = "cstring, oid, int4" if sized else "cstring"
    stem = {"int8": "int8", "int2": "int2", "bytea": "bytea", "varchar": "varchar", "numeric": "numeric_"}[like]
    category = "V" if name in BINARY_TEXT else "T" if name in TEXT else "U"
    preferred = name in {"nvarchar", "nvarchar_bin"}
    yield f"CREATE TYPE tsql.{name}"
    yield _internal(f"{name}_in({given})", f"tsql.{name}", f"{stem}in")
    yield _internal(f"{name}_out(tsql.{name})", "cstring", f"{stem}out")
    stored = ", STORAGE = extended" if length == "VARIABLE" else ""
    sizes = stored + (f", TYPMOD_IN = pg_catalog.{typmod}in, TYPMOD_OUT = pg_catalog.{typmod}out" if typmod else "")
    yield (
        f"CREATE TYPE tsql.{name} (INPUT = tsql.{name}_in, OUTPUT = tsql.{name}_out, INTERNALLENGTH = {length}{sizes}, "
        f"CATEGORY = '{category}', PREFERRED = {str(preferred).lower()}{', ' + more if more else ''})"
    )


def _internal(signature: str, returns: str, of: str) -> str:
    return f"CREATE FUNCTION tsql.{signature} RETURNS {returns} LANGUAGE internal IMMUTABLE STRICT AS '{of}'"


def _cast(old: str, new: str, how: str) -> str:
    return f"CREATE CAST ({old} AS {new}) WITHOUT FUNCTION AS {how}"


def _text_casts() -> Iterator[str]:
    """Every text is text; among them the national one wins, and a collation by code points wins over that."""
    for name in TEXT:
        yield _cast(f"tsql.{name}", "text", "ASSIGNMENT")
        yield _cast("text", f"tsql.{name}", "ASSIGNMENT")
    for name in (*PLAIN_TEXT, *CYRILLIC_TEXT):
        if name != "nvarchar":
            yield _cast(f"tsql.{name}", "tsql.nvarchar", "IMPLICIT")
        yield _cast(f"tsql.{name}", "tsql.nvarchar_bin", "IMPLICIT")
    for name in BINARY_TEXT:
        yield _cast(f"tsql.{name}", "tsql.nvarchar", "ASSIGNMENT")
        if name != "nvarchar_bin":
            yield _cast(f"tsql.{name}", "tsql.nvarchar_bin", "IMPLICIT")
    known = (*PLAIN_TEXT, *CYRILLIC_TEXT, *BINARY_TEXT)
    for old in known:
        for new in (*known, *BARE_TEXT):
            # from nvarchar by way of a code page, and into the two that win as above
            if old not in {"nvarchar", new} and new not in {"nvarchar", "nvarchar_bin"}:
                yield _cast(f"tsql.{old}", f"tsql.{new}", "ASSIGNMENT")
    for name in BYTES:
        yield _cast(f"tsql.{name}", "bytea", "ASSIGNMENT")
        yield _cast("bytea", f"tsql.{name}", "ASSIGNMENT")
        if name != "varbinary":
            how = "ASSIGNMENT" if name in {"geography", "geometry"} else "IMPLICIT"
            yield _cast(f"tsql.{name}", "tsql.varbinary", how)
        if name != "varbinary":
            yield _cast("tsql.varbinary", f"tsql.{name}", "ASSIGNMENT")
    for name in ("bit", "tinyint"):
        yield _cast(f"tsql.{name}", "int2", "ASSIGNMENT")
    for name in ("money", "smallmoney"):
        yield _cast(f"tsql.{name}", "numeric", "IMPLICIT")


def text_readers() -> Iterator[str]:
    """Casts from text; `tsql.read_<type>` is what each is made of, and is defined with the functions."""
    for target in _FROM_TEXT:
        bare = target.removeprefix("tsql.")
        for name in (*PLAIN_TEXT, *CYRILLIC_TEXT, *BINARY_TEXT):
            function = f"tsql.{bare}_of(tsql.{name})"
            yield (
                f"CREATE FUNCTION {function} RETURNS {target} LANGUAGE sql IMMUTABLE STRICT "
                f"RETURN tsql.read_{bare}(CAST($1 AS text))"
            )
            yield f"CREATE CAST (tsql.{name} AS {target}) WITH FUNCTION {function} AS IMPLICIT"


def _comparisons() -> Iterator[str]:
    for name in ("datetime2", "time", "datetime", "smalldatetime"):
        yield from _internal_ops(name, "int8", "btint8cmp", "hashint8")
        yield from _extremes(name, "int8larger", "int8smaller")
    for name in ("bit", "tinyint"):
        yield from _internal_ops(name, "int2", "btint2cmp", "hashint2")
        yield from _extremes(name, "int2larger", "int2smaller")
    yield from _internal_ops("nvarchar_bin", "bpchar", "bpcharcmp", "hashbpchar")
    yield from _extremes("nvarchar_bin", "bpchar_larger", "bpchar_smaller")
    yield from _internal_ops("varbinary", "bytea", "byteacmp", "hashvarlena")
    yield from _sql_ops("nvarchar", "lower(rtrim(CAST({0} AS text), ' '))", "hashtext")
    yield from _sql_ops("datetimeoffset", "div(CAST(CAST({0} AS text) AS numeric), 10000)", "hash_numeric")


def _internal_ops(name: str, stem: str, compare: str, hashed: str) -> Iterator[str]:
    of = f"tsql.{name}"
    for _symbol, suffix in _OPERATORS:
        yield _internal(f"{name}_{suffix}({of}, {of})", "bool", f"{stem}{suffix}")
    yield _internal(f"{name}_cmp({of}, {of})", "int4", compare)
    yield _internal(f"{name}_hash({of})", "int4", hashed)
    yield from _operators(name)


def _sql_ops(name: str, value: str, hashed: str) -> Iterator[str]:
    of = f"tsql.{name}"
    left, right = value.format("$1"), value.format("$2")
    if name == "datetimeoffset":
        left, right = "tsql.ticks($1)", "tsql.ticks($2)"
        yield _cast("tsql.datetimeoffset", "numeric", "ASSIGNMENT")
        yield _cast("numeric", "tsql.datetimeoffset", "ASSIGNMENT")
        yield (
            "CREATE FUNCTION tsql.ticks(tsql.datetimeoffset) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT "
            "RETURN div(CAST($1 AS numeric), 10000)"
        )
    how = "LANGUAGE sql IMMUTABLE STRICT"
    for symbol, suffix in _OPERATORS:
        yield f"CREATE FUNCTION tsql.{name}_{suffix}({of}, {of}) RETURNS bool {how} RETURN {left} {symbol} {right}"
    yield (
        f"CREATE FUNCTION tsql.{name}_cmp({of}, {of}) RETURNS int4 {how} "
        f"RETURN CASE WHEN {left} < {right} THEN -1 WHEN {left} = {right} THEN 0 ELSE 1 END"
    )
    yield f"CREATE FUNCTION tsql.{name}_hash({of}) RETURNS int4 {how} RETURN {hashed}({left})"
    yield from _operators(name)
    for which, sign in (("larger", ">"), ("smaller", "<")):
        yield (
            f"CREATE FUNCTION tsql.{name}_{which}({of}, {of}) RETURNS {of} {how} "
            f"RETURN CASE WHEN {left} {sign} {right} THEN $1 ELSE $2 END"
        )
    yield from _aggregates(name)


def _operators(name: str) -> Iterator[str]:
    of = f"tsql.{name}"
    for symbol, suffix in _OPERATORS:
        joins = ", HASHES, MERGES" if symbol == "=" else ""
        yield (
            f"CREATE OPERATOR tsql.{symbol} (LEFTARG = {of}, RIGHTARG = {of}, FUNCTION = tsql.{name}_{suffix}, "
            f"COMMUTATOR = OPERATOR(tsql.{_COMMUTATORS[symbol]}), NEGATOR = OPERATOR(tsql.{_NEGATORS[symbol]}){joins})"
        )
    terms = ", ".join(f"OPERATOR {n} tsql.{s} ({of}, {of})" for s, n in _STRATEGIES.items())
    yield (
        f"CREATE OPERATOR CLASS tsql.{name}_ops DEFAULT FOR TYPE {of} USING btree AS {terms}, "
        f"FUNCTION 1 tsql.{name}_cmp({of}, {of})"
    )
    yield (
        f"CREATE OPERATOR CLASS tsql.{name}_hash_ops DEFAULT FOR TYPE {of} USING hash AS "
        f"OPERATOR 1 tsql.= ({of}, {of}), FUNCTION 1 tsql.{name}_hash({of})"
    )


def _extremes(name: str, larger: str, smaller: str) -> Iterator[str]:
    of = f"tsql.{name}"
    yield _internal(f"{name}_larger({of}, {of})", of, larger)
    yield _internal(f"{name}_smaller({of}, {of})", of, smaller)
    yield from _aggregates(name)


def _aggregates(name: str) -> Iterator[str]:
    of = f"tsql.{name}"
    yield f"CREATE AGGREGATE tsql.max({of}) (SFUNC = tsql.{name}_larger, STYPE = {of}, SORTOP = OPERATOR(tsql.>))"
    yield f"CREATE AGGREGATE tsql.min({of}) (SFUNC = tsql.{name}_smaller, STYPE = {of}, SORTOP = OPERATOR(tsql.<))"
