"""T-SQL's queries and changes of rows as PostgreSQL's, statement by statement, by way of sqlglot's trees."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

import sqlglot.errors
from msgspec import Struct
from sqlglot import exp
from sqlglot.dialects.tsql import TSQL

from dpone_mssql.emulator.collations import BINARY, CYRILLIC, DEFAULT
from dpone_mssql.emulator.faults import Fault, Refused
from dpone_mssql.emulator.typenames import type_name

_CONTINUED = re.compile(r"\\\r?\n")
_EMPTY = re.compile(r"(?<![\w'])0[xX](?![0-9a-fA-F'])")  # which sqlglot takes for a name
_CYRILLIC = "tsql.varchar_cyr"
_FIRST_WORDS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH"})
_LOCKING = frozenset({"HOLDLOCK", "SERIALIZABLE", "TABLOCKX", "XLOCK"})
_UNITS = frozenset({"DATEADD", "DATEPART", "DATEDIFF", "DATEDIFF_BIG"})
_STATEMENTS = (exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Merge)


class _Plain(TSQL):
    """T-SQL whose functions keep their names: each is a function of `functions.sql`."""

    class Parser(TSQL.Parser):  # type: ignore[valid-type, misc]  # sqlglot's own way of naming a dialect's parser
        FUNCTIONS: ClassVar[dict[str, Callable[..., exp.Expression]]] = {}


class Translated(Struct, frozen=True):
    """One statement for PostgreSQL; `names` are the variables that stand for $1, $2 and so on."""

    text: str
    names: tuple[str, ...]
    locks: tuple[str, ...]  # tables that it wants for itself
    is_query: bool
    assigns: tuple[str, ...] = ()  # variables that take the columns of the last row
    makes_table: bool = False


Short = Callable[[str], str]


def translate(statement: str, types: dict[str, str], short: Short) -> Translated:
    """The statement, whose variables have these PostgreSQL types."""
    if statement.lstrip("( \t\r\n").split(maxsplit=1)[0].upper() not in _FIRST_WORDS:
        message = f"the emulator does not carry out {_shown(statement)}"
        raise Refused(message)
    if "0x" in statement.lower():
        statement = _EMPTY.sub("CAST(N'' AS varbinary(max))", statement)
    try:
        (tree,) = (t for t in _Plain().parse(statement) if t is not None)
    except (sqlglot.errors.SqlglotError, ValueError):
        raise Fault(102, f"Incorrect syntax near '{statement.strip()[:60]}'.", 15) from None
    if not isinstance(tree, _STATEMENTS):
        message = f"the emulator does not carry out {_shown(statement)}"
        raise Refused(message)
    return _Translation(types, short).carry_out(tree)


def _shown(statement: str) -> str:
    return " ".join(statement.split()[:4])


class _Translation:
    def __init__(self, types: dict[str, str], short: Short) -> None:
        self._types = types
        self._short = short
        self._names: list[str] = []
        self._locks: list[str] = []

    def carry_out(self, tree: Any) -> Translated:
        assigned = _assigned(tree)
        is_query = isinstance(tree, exp.Query) or bool(tree.args.get("returning"))
        makes = isinstance(tree, exp.Select) and tree.args.get("into") is not None
        if isinstance(tree, exp.Update):
            _straighten_update(tree)
        if isinstance(tree, exp.Delete):
            _straighten_delete(tree)
        text = self._walk(tree).sql(dialect="postgres")
        return Translated(
            text, tuple(self._names), tuple(dict.fromkeys(self._locks)), is_query and not makes, assigned, makes
        )

    # --------------------------------------------------------------------------- nodes

    def _walk(self, node: exp.Expression) -> exp.Expression:
        """The tree from its leaves up, since what stands for a node is not looked into again."""
        for child in list(node.iter_expressions()):
            key, index = child.arg_key, child.index  # before somebody puts the child into another node
            found = self._walk(child)
            if found is not child and key is not None:
                node.set(key, found, index)
        return self._node(node)

    def _node(self, node: exp.Expression) -> exp.Expression:  # noqa: PLR0911 - one for each kind of node
        match node:
            case exp.Table():
                return self._table(node)
            case exp.Identifier():
                return exp.Identifier(this=self._short(_with_hash(node)), quoted=True)
            case exp.National():
                return _literal(str(node.this), "tsql.nvarchar")
            case exp.Literal() if node.is_string:
                return _literal(str(node.this), "tsql.varchar")
            case exp.HexString():
                return _literal("\\x" + str(node.this), "tsql.varbinary")
            case exp.Convert():
                return self._convert(node)
            case exp.Cast():
                return _cast(node.this, type_name(node.to.sql("tsql"), in_cast=True))
            case exp.Collate():
                return _collated(node)
            case exp.Parameter():
                return self._parameter(node)
            case exp.Window() if _counts(node.this):
                node.this.set("this", "COUNT")
                return _number(node) if node.this.meta.get("small") else node
            case exp.Anonymous():
                return _function(node)
            case exp.Substring():
                arguments = [node.this, node.args.get("start"), node.args.get("length")]
                return exp.Anonymous(this="tsql.substring", expressions=arguments)
            case exp.Extract():
                return exp.Anonymous(this="tsql.datepart", expressions=[_unit(node.this), node.expression])
            case exp.CurrentTimestamp():
                return exp.Anonymous(this="tsql.getdate", expressions=[])
            case _:
                return node

    def _table(self, node: exp.Table) -> exp.Expression:
        hints = node.args.get("hints") or []
        words = {v.name.upper() for hint in hints for v in hint.find_all(exp.Var)}
        node.set("hints", None)
        node.set("catalog", None)
        name = node.this
        if isinstance(name, exp.Identifier) and name.name.startswith("#"):
            node.set("db", None)
        elif isinstance(name, exp.Identifier) and not node.args.get("db") and _may_be_qualified(node):
            node.set("db", exp.to_identifier("dbo", quoted=True))
        if words & _LOCKING and isinstance(name, exp.Identifier):
            schema = node.args.get("db")
            parts = [self._short(part.name) for part in (schema, name) if part is not None]
            self._locks.append(".".join('"' + part.replace('"', '""') + '"' for part in parts))
        return node

    def _parameter(self, node: exp.Parameter) -> exp.Expression:
        name = node.name.lower()
        if name not in self._types:
            raise Fault(137, f'Must declare the scalar variable "@{name}".', 15)
        if name not in self._names:
            self._names.append(name)
        number = self._names.index(name) + 1
        return _cast(exp.Var(this=f"${number}"), self._types[name])

    def _convert(self, node: exp.Convert) -> exp.Expression:
        target = type_name(node.this.sql("tsql"), in_cast=True)
        style = node.args.get("style")
        if style is None or style.name in {"121", "127", "126"}:
            if style is not None and style.name != "121":
                raise Refused(f"the emulator does not know style {style.name} of CONVERT")
            return _cast(node.expression, target)
        if style.name in {"1", "2"} and target.startswith("tsql.") and "char" in target:
            return _cast(exp.Anonymous(this="tsql.printed", expressions=[node.expression, style]), target)
        message = f"the emulator does not know style {style.name} of CONVERT"
        raise Refused(message)


def _with_hash(node: exp.Identifier) -> str:
    return f"#{node.name.lstrip('#')}" if node.args.get("temporary") else node.name


def _may_be_qualified(node: exp.Table) -> bool:
    """Not the name of a common table expression, nor an alias that UPDATE or DELETE names."""
    root = node.root()
    return node.name not in {cte.alias for cte in root.find_all(exp.CTE)}


def _unit(node: exp.Expression) -> exp.Expression:
    return exp.Literal.string(node.name.lower())


def _literal(text: str, of: str) -> exp.Expression:
    return _made(exp.Literal.string(_CONTINUED.sub("", text)), of)


def _cast(value: exp.Expression, of: str) -> exp.Expression:
    """Text of any kind by way of nvarchar, which knows how every type is printed."""
    bare = of.partition("(")[0].removeprefix("tsql.")
    if isinstance(value, exp.Cast) and value.to.args.get("kind") == _CYRILLIC and bare in {"varchar", "char"}:
        return _made(value, of.replace(bare, f"{bare}_cyr"))
    is_text = bare == "sql_variant" or bare.split("_", maxsplit=1)[0] in {
        "varchar",
        "char",
        "nchar",
        "nvarchar",
        "text",
        "ntext",
        "sysname",
        "xml",
    }
    if is_text and not isinstance(value, exp.Var):
        value = _made(value, "tsql.nvarchar")
    return _made(value, of)


def _made(value: exp.Expression, of: str) -> exp.Expression:
    return exp.Cast(this=value, to=exp.DataType(this=exp.DataType.Type.USERDEFINED, kind=of))


def _number(value: exp.Expression) -> exp.Expression:
    return _made(value, "int4")


def _collated(node: exp.Collate) -> exp.Expression:
    name = node.expression.name
    if name.lower() == BINARY.lower():
        return _made(node.this, "tsql.nvarchar_bin")
    if name.lower() == CYRILLIC.lower():
        return _made(_made(node.this, "tsql.nvarchar"), _CYRILLIC)
    if name.lower() in {DEFAULT.lower(), "database_default"}:
        return _made(node.this, "tsql.nvarchar")
    raise Fault(448, f"Invalid collation '{name}'.")


def _counts(node: exp.Expression) -> bool:
    return isinstance(node, exp.Anonymous) and bool(node.meta.get("counts"))


def _function(node: exp.Anonymous) -> exp.Expression:
    name = str(node.this).upper()
    arguments = list(node.expressions)
    if name in _UNITS:
        name = "DATEDIFF_BIG" if name == "DATEDIFF" else name
        return exp.Anonymous(this=f"tsql.{name.lower()}", expressions=[_unit(arguments[0]), *arguments[1:]])
    match name:
        case "COUNT" | "COUNT_BIG":
            made = exp.Anonymous(this="COUNT", expressions=arguments)
            made.meta.update(counts=True, small=name == "COUNT")
            return made if isinstance(node.parent, exp.Window) or name == "COUNT_BIG" else _number(made)
        case "ISNULL":
            return exp.Anonymous(this="COALESCE", expressions=arguments)
        case "IIF":
            return exp.Case(ifs=[exp.If(this=arguments[0], true=arguments[1])], default=arguments[2])
        case "NCHAR" | "LEFT" | "SUBSTRING":  # which are words of PostgreSQL's own grammar
            return exp.Anonymous(this=f"tsql.{name.lower()}", expressions=arguments)
        case _:
            return exp.Anonymous(this=name.lower(), expressions=arguments)


def _assigned(tree: exp.Expression) -> tuple[str, ...]:
    """Variables that a SELECT fills; its columns are then the values."""
    if not isinstance(tree, exp.Select):
        return ()
    pairs = [
        e for e in tree.expressions if isinstance(e, exp.EQ | exp.PropertyEQ) and isinstance(e.this, exp.Parameter)
    ]
    if not pairs or len(pairs) != len(tree.expressions):
        return ()
    tree.set("expressions", [pair.expression for pair in pairs])
    return tuple(pair.this.name.lower() for pair in pairs)


def _straighten_update(tree: exp.Update) -> None:
    """UPDATE t SET ... FROM x AS t, s: PostgreSQL names the table itself, and no alias before a column that is set."""
    found = tree.args.get("from_")
    if found is None:
        return
    table = found.this
    if table.alias_or_name != tree.this.name:
        return
    sources = [_inner(join) for join in table.args.get("joins") or []]
    table.set("joins", None)
    tree.set("this", table)
    if sources:
        first, *rest = sources
        first.set("joins", [exp.Join(this=s, kind="CROSS") for s in rest] or None)
        tree.set("from_", exp.From(this=first))
    else:
        tree.set("from_", None)
    for pair in tree.expressions:
        if isinstance(pair.this, exp.Column):
            pair.this.set("table", None)


def _inner(join: exp.Join) -> exp.Expression:
    if join.args.get("on") is not None or join.side:
        raise Refused("the emulator joins an UPDATE's tables by CROSS JOIN alone")
    found: exp.Expression = join.this
    return found


def _straighten_delete(tree: exp.Delete) -> None:
    """DELETE t FROM x AS t: PostgreSQL names the table once."""
    if tree.args.get("tables"):
        tree.set("tables", None)
