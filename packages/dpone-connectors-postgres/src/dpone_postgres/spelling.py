"""PostgreSQL type names as `format_type` prints them, taken apart: base, modifiers, array."""

from __future__ import annotations

import re

from msgspec import Struct

_WITH_ZONE = re.compile(r"(time|timestamp)(?:\((\d+)\))? (with|without) time zone")
_PLAIN = re.compile(r"(?P<base>[^()]+?)(?:\((?P<mods>-?\d+(?:,\s*-?\d+)*)\))?")
_INTERVAL = re.compile(r"interval(?: [a-z ]+)?(?:\((\d+)\))?")
_ALIASES = {
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "bool": "boolean",
    "float4": "real",
    "float8": "double precision",
    "decimal": "numeric",
    "varchar": "character varying",
    "char": "character",
    "bpchar": "bpchar",
    "varbit": "bit varying",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
}


class Spelling(Struct, frozen=True):
    """One type; `base` is without modifiers and brackets: `timestamp with time zone`, `public.mood`."""

    base: str
    mods: tuple[int, ...] = ()
    array: bool = False

    @property
    def is_user_defined(self) -> bool:
        """True when the type lives in a schema of the database: with an empty search path it is printed with it."""
        return "." in self.base


def parse_spelling(native: str) -> Spelling:
    """The parts of a native spelling; common aliases mean what they mean to the server."""
    text = native.strip()
    array = text.endswith("[]")
    while text.endswith("[]"):
        text = text[:-2]
    if zoned := _WITH_ZONE.fullmatch(text):
        word, digits, zone = zoned.groups()
        return Spelling(f"{word} {zone} time zone", (int(digits),) if digits else (), array)
    if _INTERVAL.fullmatch(text):
        return Spelling(text, (), array)
    if (plain := _PLAIN.fullmatch(text)) is None or text.startswith('"'):
        return Spelling(text, (), array)
    mods = tuple(int(m) for m in plain["mods"].split(",")) if plain["mods"] else ()
    base = plain["base"].strip()
    base = _ALIASES.get(base.lower(), base)
    if base == "character" and not mods:
        mods = (1,)
    return Spelling(base, mods, array)
