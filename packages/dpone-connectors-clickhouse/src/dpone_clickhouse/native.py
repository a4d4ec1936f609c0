"""ClickHouse's type expressions as a tree, taken apart and printed as the server prints them; and NULL within them.

A column's type and its NULL are two things in dpone, and one in ClickHouse: `without_null` and `with_null` lie between.
"""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from dpone.errors import PlanError


class Native(Struct, frozen=True):
    """A type: `args` are what stands in its parentheses; an element with a name of its own has it in `name`."""

    family: str
    args: tuple[Native | str, ...] = ()
    name: str = ""
    called: bool = False  # parentheses were written, perhaps empty ones

    def __str__(self) -> str:
        inside = f"({', '.join(map(str, self.args))})" if self.called else ""
        return f"{print_identifier(self.name)} {self.family}{inside}" if self.name else self.family + inside

    @property
    def types(self) -> tuple[Native, ...]:
        """The arguments that are types."""
        return tuple(a for a in self.args if isinstance(a, Native))

    def number(self, at: int, default: int) -> int:
        """The argument at this place as a number, where one is written."""
        if at >= len(self.args):
            return default
        word = self.args[at]
        if isinstance(word, Native) or not word.isdecimal():
            raise unknown(str(self))
        return int(word)


# Families whose arguments are types, with or without names. The arguments of any other are kept word by word.
NESTING = frozenset({"Nullable", "LowCardinality", "Array", "Map", "Tuple", "Nested"})

_WORD = re.compile(r"""\s*(`(?:[^`\\]|\\.|``)+`|'(?:[^'\\]|\\.|'')*'|[A-Za-z_][A-Za-z_0-9]*|[-+.0-9]+|[(),=])""")
_PLAIN_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


ENGINE = "clickhouse"


def parse_native(spelling: str) -> Native:
    """The tree of a type expression, with or without the engine's name before it."""
    text = spelling.removeprefix(f"{ENGINE}:")
    words: list[re.Match[str]] = []
    at = 0
    while at < len(text.rstrip()):
        if not (found := _WORD.match(text, at)):
            raise unknown(text)
        words.append(found)
        at = found.end()
    reader = _Reader(words, text)
    parsed = reader.type()
    reader.end()
    return parsed


class _Reader(Struct):
    words: list[re.Match[str]]
    text: str
    at: int = 0

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.words[place][1] if place < len(self.words) else ""

    def take(self) -> str:
        word = self.peek()
        if not word:
            raise unknown(self.text)
        self.at += 1
        return word

    def end(self) -> None:
        if self.peek():
            raise unknown(self.text)

    def type(self) -> Native:
        family = self.take()
        if not _PLAIN_IDENTIFIER.fullmatch(family):
            raise unknown(self.text)
        if self.peek() != "(":
            return Native(family)
        self.take()
        args: list[Native | str] = []
        while self.peek() != ")":
            args.append(self.element() if family in NESTING else self.verbatim())
            if self.peek() == ",":
                self.take()
            elif self.peek() != ")":
                raise unknown(self.text)
        self.take()
        return Native(family, tuple(args), called=True)

    def element(self) -> Native:
        """A type, or a name and a type."""
        if self.peek(1) in {"", "(", ")", ","}:
            return self.type()
        name = read_identifier(self.take())
        return replace(self.type(), name=name)

    def verbatim(self) -> str:
        """One argument as it is written, down to the comma or the parenthesis that ends it."""
        start, depth = self.at, 0
        while depth or self.peek() not in {",", ")"}:
            word = self.take()
            depth += {"(": 1, ")": -1}.get(word, 0)
        if start == self.at:
            raise unknown(self.text)
        return self.text[self.words[start].start(1) : self.words[self.at - 1].end()]


# Families for which the server makes Nullable(...) on every supported version; all others keep what they say.
_MAY_BE_NULL = frozenset(
    {
        *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)),
        *("Bool", "BFloat16", "Float32", "Float64", "Decimal", "String", "FixedString", "Enum8", "Enum16", "UUID"),
        *("IPv4", "IPv6", "Date", "Date32", "Time", "Time64", "DateTime", "DateTime64"),
    }
)


def says_nullable(of: Native) -> bool:
    """True when the type itself admits NULL."""
    match of.family, of.types:
        case (("Nullable" | "Dynamic" | "Variant"), _):
            return True
        case "LowCardinality", (inner,):
            return says_nullable(inner)
        case "SimpleAggregateFunction", _:
            return len(of.args) > 1 and says_nullable(parse_native(str(of.args[1])))
        case _:
            return False


def without_null(of: Native) -> Native:
    """The type as a column's `native` spells it: Nullable taken off where `with_null` would put it."""
    match of.family, of.types:
        case "Nullable", (inner,) if inner.family in _MAY_BE_NULL:
            return replace(inner, name=of.name)
        case "LowCardinality", (inner,):
            return replace(of, args=(without_null(inner),))
        case _:
            return of


def with_null(of: Native) -> Native:
    """The type that also holds NULL, or the same where ClickHouse has no NULL or the type already says it."""
    match of.family, of.types:
        case "LowCardinality", (inner,):
            return replace(of, args=(with_null(inner),))
        case family, _ if family in _MAY_BE_NULL:
            return Native("Nullable", (replace(of, name=""),), of.name, called=True)
        case _:
            return of


def read_identifier(word: str) -> str:
    """A name without its backquotes and escapes."""
    if not word.startswith("`"):
        return word
    return re.sub(r"\\(.)|``", lambda found: found[1] or "`", word[1:-1])


def print_identifier(name: str) -> str:
    """A name as the server prints it: in backquotes unless it is a plain word."""
    if _PLAIN_IDENTIFIER.fullmatch(name) and name.lower() not in _QUOTED_WORDS:
        return name
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


# Words that the server (26.9) puts in backquotes when an element of a tuple is named so.
_QUOTED_WORDS = frozenset(
    {"all", "distinct", "false", "from", "inf", "nan", "null", "select", "table", "true", "values"}
)


def read_string(literal: str) -> str:
    """The text of a quoted literal."""
    return re.sub(r"\\(.)|''", lambda found: found[1] or "'", literal[1:-1])


def unknown(text: str) -> PlanError:
    return PlanError(
        f"not a type of ClickHouse that dpone reads: {text}",
        code="plan.unknown_type",
        hint="leave the column out under `columns:`, or convert it in a `query`",
    )
