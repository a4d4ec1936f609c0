"""BigQuery's type expressions as a tree: `ARRAY<STRUCT<a INT64, b NUMERIC(10, 2)>>` taken apart and printed."""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from dpone.errors import PlanError


class Native(Struct, frozen=True):
    """A type: `sizes` stand in parentheses, `inner` in angle brackets; a field of a STRUCT has its name in `name`."""

    word: str
    sizes: tuple[int, ...] = ()
    inner: tuple[Native, ...] = ()
    name: str = ""

    def __str__(self) -> str:
        text = self.word
        if self.sizes:
            text += f"({', '.join(map(str, self.sizes))})"
        if self.inner:
            text += f"<{', '.join(map(str, self.inner))}>"
        return f"{print_identifier(self.name)} {text}" if self.name else text


# Other names of the same types, as statements may spell them.
_ALIASES = {
    "BOOLEAN": "BOOL",
    "INT": "INT64",
    "SMALLINT": "INT64",
    "INTEGER": "INT64",
    "BIGINT": "INT64",
    "TINYINT": "INT64",
    "BYTEINT": "INT64",
    "FLOAT": "FLOAT64",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
    "RECORD": "STRUCT",
}
_WORD = re.compile(r"\s*(`(?:[^`\\]|\\.)+`|\w+|[(),<>])")
_PLAIN_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


ENGINE = "bigquery"


def parse_native(spelling: str) -> Native:
    """The tree of a type expression, with or without the engine's name before it; in upper case, aliases resolved."""
    text = spelling.removeprefix(f"{ENGINE}:")
    words: list[str] = []
    at = 0
    while at < len(text.rstrip()):
        if not (found := _WORD.match(text, at)):
            raise unknown(text)
        words.append(found[1])
        at = found.end()
    reader = _Reader(words, text)
    parsed = reader.type()
    if reader.peek():
        raise unknown(text)
    return parsed


class _Reader(Struct):
    words: list[str]
    text: str
    at: int = 0

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.words[place] if place < len(self.words) else ""

    def take(self, wanted: str = "") -> str:
        word = self.peek()
        if not word or (wanted and word != wanted):
            raise unknown(self.text)
        self.at += 1
        return word

    def type(self) -> Native:
        word = self.take().upper()
        if not _PLAIN_IDENTIFIER.fullmatch(word):
            raise unknown(self.text)
        word = _ALIASES.get(word, word)
        sizes: list[int] = []
        inner: list[Native] = []
        if self.peek() == "(":
            self.take("(")
            while True:
                number = self.take()
                if not number.isdecimal():
                    raise unknown(self.text)
                sizes.append(int(number))
                if self.peek() != ",":
                    break
                self.take(",")
            self.take(")")
        if self.peek() == "<":
            self.take("<")
            while True:
                inner.append(self.field() if word == "STRUCT" else self.type())
                if self.peek() != ",":
                    break
                self.take(",")
            self.take(">")
        return Native(word, tuple(sizes), tuple(inner))

    def field(self) -> Native:
        """A field of a STRUCT; its name may be missing."""
        if self.peek(1) in {"", "(", "<", ">", ","}:
            return self.type()
        name = self.take()
        return replace(self.type(), name=read_identifier(name))


def read_identifier(word: str) -> str:
    """A name without its backquotes and escapes."""
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith("`") else word


def print_identifier(name: str) -> str:
    """A name as a statement may hold it: in backquotes unless it is a plain word that is not reserved."""
    if _PLAIN_IDENTIFIER.fullmatch(name) and name.upper() not in _RESERVED:
        return name
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


_RESERVED = frozenset(
    {
        *("ALL", "AND", "ANY", "ARRAY", "AS", "ASC", "ASSERT_ROWS_MODIFIED", "AT", "BETWEEN", "BY", "CASE", "CAST"),
        *("COLLATE", "CONTAINS", "CREATE", "CROSS", "CUBE", "CURRENT", "DEFAULT", "DEFINE", "DESC", "DISTINCT"),
        *("ELSE", "END", "ENUM", "ESCAPE", "EXCEPT", "EXCLUDE", "EXISTS", "EXTRACT", "FALSE", "FETCH", "FOLLOWING"),
        *("FOR", "FROM", "FULL", "GROUP", "GROUPING", "GROUPS", "HASH", "HAVING", "IF", "IGNORE", "IN", "INNER"),
        *("INTERSECT", "INTERVAL", "INTO", "IS", "JOIN", "LATERAL", "LEFT", "LIKE", "LIMIT", "LOOKUP", "MERGE"),
        *("NATURAL", "NEW", "NO", "NOT", "NULL", "NULLS", "OF", "ON", "OR", "ORDER", "OUTER", "OVER", "PARTITION"),
        *("PRECEDING", "PROTO", "QUALIFY", "RANGE", "RECURSIVE", "RESPECT", "RIGHT", "ROLLUP", "ROWS", "SELECT"),
        *("SET", "SOME", "STRUCT", "TABLESAMPLE", "THEN", "TO", "TREAT", "TRUE", "UNBOUNDED", "UNION", "UNNEST"),
        *("USING", "WHEN", "WHERE", "WINDOW", "WITH", "WITHIN"),
    }
)


def unknown(text: str) -> PlanError:
    return PlanError(
        f"not a type of BigQuery that dpone knows: {text}",
        code="plan.unknown_type",
        hint="dpone writes the types that `dpone types <source> bigquery` lists; give the column one of them",
    )
