"""Names that stand for several: wildcards in a source's table, `{table}` and `{schema}` in a target's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from dpone.manifest.options import Pattern, Template
from dpone.manifest.problems import did_you_mean
from dpone.names import parse_name, print_name

if TYPE_CHECKING:
    from pydantic import BaseModel

Parts = tuple[str, ...]
M = TypeVar("M", bound=Pattern | Template)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_SLOT = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_SLOTS = ("table", "schema")


def marked(model: type[BaseModel], marker: type[M]) -> dict[str, M]:
    """The fields of a model that carry this marker."""
    found: dict[str, M] = {}
    for name, about in model.model_fields.items():
        for item in (*about.metadata, *_nested_metadata(about.annotation)):
            if isinstance(item, marker):
                found[about.alias or name] = item
    return found


def _nested_metadata(annotation: object) -> tuple[object, ...]:
    own = tuple(getattr(annotation, "__metadata__", ()))
    return own + tuple(m for arg in getattr(annotation, "__args__", ()) for m in _nested_metadata(arg))


def is_wildcard(text: str) -> bool:
    """True when a `*` or `?` stands outside of quotes."""
    return any(sign in _QUOTED.sub("", text) for sign in "*?")


class Named(Struct, frozen=True):
    """The field of a source that names what is read, and its text."""

    field: str
    text: str
    is_name: bool

    @property
    def parts(self) -> Parts:
        return parse_name(self.text) if self.is_name else (self.text,)

    def exactly(self, name: Parts) -> str:
        """The text that means this one table and nothing else."""
        if not self.is_name:
            return name[-1]
        return ".".join(_quoted(part) if is_wildcard(part) else print_name((part,)) for part in name)


def _quoted(part: str) -> str:
    return '"' + part.replace('"', '""') + '"'


def matches(name: Parts, pattern: Parts) -> bool:
    """True when each part matches; a pattern of fewer parts is about the last ones."""
    if len(pattern) > len(name):
        return False
    tail = name[len(name) - len(pattern) :]
    return all(fnmatchcase(part, wanted.replace("[", "[[]")) for part, wanted in zip(tail, pattern, strict=True))


@dataclass(frozen=True, slots=True)
class BadTemplate(Exception):
    """What is wrong with a template."""

    sentence: str


def fill(text: str, template: Template, source: Parts) -> str:
    """The text with each slot replaced by the source's name of that level."""
    values = dict(zip(_SLOTS, reversed(source), strict=False))

    def value(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        if found[1] not in _SLOTS:
            near = did_you_mean(found[1], _SLOTS)
            raise BadTemplate(f'unknown template "{{{found[1]}}}"{near or "; there are {table} and {schema}"}')
        if found[1] not in values:
            raise BadTemplate(f'the source has no {found[1]} for "{{{found[1]}}}"')
        return values[found[1]]

    if "{" not in text and "}" not in text:
        return text
    if not template.is_name:
        return _SLOT.sub(value, text)
    return print_name(tuple(_SLOT.sub(value, part) for part in parse_name(text)))


def matching(names: Sequence[str], patterns: Sequence[str]) -> tuple[set[str], list[str]]:
    """The names that match any of the patterns, and the patterns that match none."""
    matched = {p: {n for n in names if fnmatchcase(n, p)} for p in patterns}
    return set().union(*matched.values()), [p for p, found in matched.items() if not found]
