"""Rows as text between two clients of a benchmark: the lines of COPY, or one JSON object a line.

What a control runs imports this beside its vendor's client and nothing else of ours, so that it starts as quickly as a
person's own script does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TextIO

JSON_LINES = "json_lines"  # a wire of controls beside those of dpone.batch
NULL = "\\N"
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def copied(row: Iterable[object]) -> str:
    """The row as a line of COPY text."""
    return "\t".join([_text(value) for value in row]) + "\n"


def put(records: Iterable[Mapping[str, object]], wire: str, out: TextIO) -> None:
    """The records are written as lines of this wire; COPY text takes their values in the order of their names."""
    if wire == JSON_LINES:
        out.writelines(json.dumps(record, default=str) + "\n" for record in records)
    else:
        out.writelines(copied(record.values()) for record in records)


def unescaped(text: str) -> str:
    """A value of COPY text as it was."""
    if "\\" not in text:
        return text
    first, *rest = text.split("\\\\")
    return "\\".join(_parts(part) for part in (first, *rest))


def _text(value: object) -> str:
    match value:
        case None:
            return NULL
        case bool():
            return "t" if value else "f"
        case str():
            return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
        case dict() | list():
            return _text(json.dumps(value))
        case _:
            return str(value)


def _parts(text: str) -> str:
    first, *rest = text.split("\\")
    return first + "".join(_ESCAPES.get(part[:1], part[:1]) + part[1:] for part in rest)
