"""Types, fields and schemas in core's own words, and the verdict on what happens to each on its way.

A type is printed and parsed as text (`decimal(38,9)`, `list<timestamptz(6)>`), because manifests, plans and evidence
hold it so; every type reads back as itself, and what could not be spelled is none. Arrow is derived from it in
`dpone.arrow`; nothing here imports it.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from dpone.errors import PlanError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Kind(Enum):
    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    FLOAT = "float"
    DECIMAL = "decimal"
    STRING = "string"
    BINARY = "binary"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"  # a wall clock without zone
    TIMESTAMPTZ = "timestamptz"  # an instant
    INTERVAL = "interval"
    UUID = "uuid"
    JSON = "json"
    LIST = "list"
    MAP = "map"
    STRUCT = "struct"
    OPAQUE = "opaque"  # canonical text of a native type that has no other home


class Type(Struct, frozen=True):
    """One type: `size` is bits, length or fractional digits by kind; `items` are the nested fields.

    A scale may be negative, or beyond the precision, as some engines have it. Items of lists, values of maps and fields
    of structs may be NULL unless spelled `not null`; keys of maps may not unless spelled `null`.
    """

    kind: Kind
    size: int | None = None
    scale: int | None = None
    items: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        if not _is_sized(self) or not _is_nested(self):
            raise _bad_type(f"{self.kind.value} of {self.size}, {self.scale}, {[f.name for f in self.items]}")

    def __str__(self) -> str:
        match self.kind:
            case Kind.INT | Kind.UINT | Kind.FLOAT:
                return f"{self.kind.value}{self.size}"
            case Kind.DECIMAL if self.size is not None:
                return f"decimal({self.size},{self.scale})"
            case Kind.LIST:
                return f"list<{_spelled(self.items[0])}>"
            case Kind.MAP:
                key, value = self.items
                return f"map<{key.type}{' null' if key.nullable else ''},{_spelled(value)}>"
            case Kind.STRUCT:
                return f"struct<{','.join(f'{_quoted(f.name)}:{_spelled(f)}' for f in self.items)}>"
            case _:
                return self.kind.value if self.size is None else f"{self.kind.value}({self.size})"


_BITS = {Kind.INT: {8, 16, 32, 64, 128, 256}, Kind.UINT: {8, 16, 32, 64, 128, 256}, Kind.FLOAT: {16, 32, 64}}
_CLOCKS = frozenset({Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_NESTED: dict[Kind, tuple[str, ...]] = {Kind.LIST: ("item",), Kind.MAP: ("key", "value")}


def _is_sized(of: Type) -> bool:
    """Size and scale are such as the kind has."""
    if of.kind is Kind.DECIMAL:
        return (of.size is None) is (of.scale is None) and (of.size is None or of.size > 0)
    if of.scale is not None:
        return False
    if of.kind in _BITS:
        return of.size in _BITS[of.kind]
    if of.kind in _CLOCKS:
        return of.size is not None and of.size >= 0
    return of.size is None or (of.size >= 0 and not of.items)


def _is_nested(of: Type) -> bool:
    """The items are such as the kind has, and hold nothing that is not spelled."""
    if any(f.native is not None for f in of.items):
        return False
    if of.kind is Kind.STRUCT:
        return bool(of.items)
    return tuple(f.name for f in of.items) == _NESTED.get(of.kind, ())


class Field(Struct, frozen=True):
    """A column: `native` is the type where it came from, as `postgres:jsonb`, so that equal engines keep it exactly."""

    name: str
    type: Type
    nullable: bool = True
    native: str | None = None

    def native_of(self, engine: str) -> str | None:
        """The native spelling when this field comes from `engine`."""
        if self.native is None:
            return None
        owner, _, spelling = self.native.partition(":")
        return spelling if owner == engine else None


class Schema(Struct, frozen=True):
    """Ordered fields with distinct names, and the primary key where one is known."""

    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [f.name for f in self.fields]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise DuplicateColumnError(twice)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __contains__(self, name: object) -> bool:
        return any(f.name == name for f in self.fields)

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.fields)

    def not_null(self, columns: tuple[str, ...]) -> Schema:
        """The same schema with these columns required."""
        return replace(self, fields=tuple(replace(f, nullable=False) if f.name in columns else f for f in self.fields))


class DuplicateColumnError(PlanError):
    """Two columns share a name."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"columns occur twice: {', '.join(names)}",
            code="plan.duplicate_column",
            hint="rename one of them under `columns:`",
        )


class Verdict(Enum):
    """What happens to every value of a column on its way into a sink."""

    EXACT = "exact"  # the same value, the same meaning
    WIDENED = "widened"  # the value is kept, its type is a wider one
    LOSSY = "lossy"  # some values would change: refused unless the manifest declares it


class Landing(Struct, frozen=True):
    """The column that a sink makes of a field."""

    native: str
    verdict: Verdict = Verdict.EXACT
    why: str = ""


class TypeMap(Struct, frozen=True):
    """How one engine's types are read and how fields of any engine land in it.

    `natives` holds one spelling of each native type, for tables and tests. `widens(old, new)` is true when an existing
    column may take the type `new` without any stored value changing; both are native spellings, without the name of
    the engine.
    """

    natives: tuple[str, ...]
    read: Callable[[str], Type]
    land: Callable[[Field], Landing]
    widens: Callable[[str, str], bool]


BOOL = Type(Kind.BOOL)
INT16 = Type(Kind.INT, 16)
INT32 = Type(Kind.INT, 32)
INT64 = Type(Kind.INT, 64)
FLOAT32 = Type(Kind.FLOAT, 32)
FLOAT64 = Type(Kind.FLOAT, 64)
STRING = Type(Kind.STRING)
BINARY = Type(Kind.BINARY)
DATE = Type(Kind.DATE)
UUID = Type(Kind.UUID)
JSON = Type(Kind.JSON)
OPAQUE = Type(Kind.OPAQUE)
INTERVAL = Type(Kind.INTERVAL)


def decimal(precision: int | None = None, scale: int | None = None) -> Type:
    """A decimal; without precision its values have no bound."""
    return Type(Kind.DECIMAL, precision, scale if precision is None else scale or 0)


def string(length: int | None = None) -> Type:
    return Type(Kind.STRING, length)


def time(digits: int = 6) -> Type:
    return Type(Kind.TIME, digits)


def timestamp(digits: int = 6) -> Type:
    return Type(Kind.TIMESTAMP, digits)


def timestamptz(digits: int = 6) -> Type:
    return Type(Kind.TIMESTAMPTZ, digits)


def list_of(item: Type) -> Type:
    return Type(Kind.LIST, items=(Field("item", item),))


def map_of(key: Type, value: Type) -> Type:
    return Type(Kind.MAP, items=(Field("key", key, nullable=False), Field("value", value)))


def struct_of(**fields: Type) -> Type:
    return Type(Kind.STRUCT, items=tuple(Field(n, t) for n, t in fields.items()))


_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_TOKEN = re.compile(rf'\s*(-?[0-9]+|{_WORD.pattern}|"(?:[^"]|"")*"|[<>(),:])')
_SIZED = re.compile(r"(int|uint|float)([0-9]+)")
_PLAIN = {k.value: k for k in Kind if k not in {Kind.INT, Kind.UINT, Kind.FLOAT, Kind.LIST, Kind.MAP, Kind.STRUCT}}


def parse_type(text: str) -> Type:
    """The type that `text` spells: `parse_type(str(t)) == t` for every type."""
    tokens: list[str] = []
    at = 0
    while at < len(text.rstrip()):
        if not (found := _TOKEN.match(text, at)):
            raise _bad_type(text)
        tokens.append(found[1])
        at = found.end()
    try:
        parsed, rest = _parse(tokens)
    except (IndexError, ValueError, UsageError):
        raise _bad_type(text) from None
    if rest:
        raise _bad_type(text)
    return parsed


def _bad_type(text: str) -> UsageError:
    return UsageError(
        f"not a type: {text!r}",
        code="manifest.invalid_type",
        hint="write one like int64, decimal(38,9), string, timestamptz(6), list<int64>, struct<a:int64,b:string>",
    )


def _spelled(field: Field) -> str:
    return str(field.type) + ("" if field.nullable else " not null")


def _quoted(name: str) -> str:
    return name if _WORD.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _parse(tokens: list[str]) -> tuple[Type, list[str]]:
    word, rest = tokens[0], tokens[1:]
    if sized := _SIZED.fullmatch(word):
        return Type(Kind(sized[1]), int(sized[2])), rest
    if word in {"list", "map", "struct"}:
        return _parse_nested(Kind(word), rest)
    kind = _PLAIN.get(word)
    if kind is None:
        raise ValueError(word)
    numbers: list[int] = []
    if rest and rest[0] == "(":
        close = rest.index(")")
        numbers = [int(t) for t in rest[1:close:2]]
        if not numbers or rest[2:close:2] != [","] * (len(numbers) - 1):
            raise ValueError(word)
        rest = rest[close + 1 :]
    if len(numbers) > (2 if kind is Kind.DECIMAL else 1):
        raise ValueError(word)
    if kind is Kind.DECIMAL:
        return decimal(*numbers), rest
    return Type(kind, numbers[0] if numbers else 6 if kind in _CLOCKS else None), rest


def _parse_nested(kind: Kind, tokens: list[str]) -> tuple[Type, list[str]]:
    _expect(tokens, "<")
    rest = tokens[1:]
    items: list[Field] = []
    names = iter(_NESTED.get(kind, ()))
    while True:
        if kind is Kind.STRUCT:
            name = _unquoted(rest[0])
            _expect(rest[1:], ":")
            rest = rest[2:]
        else:
            name = next(names, "")  # one too many, which no type has
        of, rest = _parse(rest)
        nullable = (kind, name) != (Kind.MAP, "key")
        if rest[0] == "null" and not nullable:
            nullable, rest = True, rest[1:]
        elif rest[:2] == ["not", "null"] and nullable:
            nullable, rest = False, rest[2:]
        items.append(Field(name, of, nullable))
        if rest[0] != ",":
            break
        rest = rest[1:]
    _expect(rest, ">")
    return Type(kind, items=tuple(items)), rest[1:]


def _unquoted(token: str) -> str:
    if token.startswith('"'):
        return token[1:-1].replace('""', '"')
    if not _WORD.fullmatch(token):
        raise ValueError(token)
    return token


def _expect(tokens: list[str], sign: str) -> None:
    if tokens[0] != sign:
        raise ValueError(tokens[0])
