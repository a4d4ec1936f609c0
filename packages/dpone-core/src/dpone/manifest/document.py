"""YAML text as a tree whose every key and value knows its place.

YAML 1.2, core schema: `no`, `on` and dates are text. Aliases work and are bounded; duplicate keys, tags, several
documents and numbers that would change by being read are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from dpone.connector import Json
from dpone.manifest.problems import SYNTAX, Mark, Problem, as_error, is_word

MAX_BYTES = 1 << 20
MAX_NODES = 100_000  # aliases counted as often as they are used
MAX_DEPTH = 32
MAX_NUMBER = 80  # characters
MAX_BITS = 270  # what that many digits need

Loc = Sequence[str | int]
Scalar = str | int | float | bool | None


class Node(Struct, frozen=True, eq=False):
    """A value: a scalar, a tuple of nodes, or a mapping of entries. `mark` is absent for data that is from no file."""

    value: Scalar | tuple[Node, ...] | dict[str, Entry]
    mark: Mark | None = None
    size: int = 1

    @property
    def entries(self) -> dict[str, Entry]:
        """The entries of a mapping; of anything else none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> tuple[Node, ...]:
        """The items of a list; of anything else none."""
        return self.value if isinstance(self.value, tuple) else ()

    def get(self, key: str) -> Node | None:
        entry = self.entries.get(key)
        return entry.node if entry else None

    def plain(self) -> Json:
        """The value as JSON would hold it."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        return self.value

    def at(self, loc: Loc) -> Node:
        """The deepest node on this path; parts of the path that the tree does not have are passed over."""
        node = self
        for part in loc:
            if isinstance(part, int) and part < len(node.items):
                node = node.items[part]
            elif isinstance(part, str) and part in node.entries:
                node = node.entries[part].node
        return node

    def key_at(self, loc: Loc) -> Mark | None:
        """The place of the last key of this path."""
        parent = self.at(loc[:-1])
        entry = parent.entries.get(str(loc[-1])) if loc else None
        return entry.key if entry else parent.mark

    def walk(self, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Node]]:
        """Every node below, this one first, with its path."""
        yield path, self
        for key, entry in self.entries.items():
            yield from entry.node.walk((*path, key))
        for number, item in enumerate(self.items):
            yield from item.walk((*path, number))


class Entry(Struct, frozen=True, eq=False):
    """A value of a mapping and the place of its key."""

    key: Mark | None
    node: Node


def foreign(root: Node) -> str | None:
    """The path of something that YAML could not have held, in data that came from no file; None where all is well."""
    for path, node in root.walk():
        value: object = node.value
        texts = [*node.entries, *([value] if isinstance(value, str) else [])]
        match value:
            case float():
                is_plain = math.isfinite(value)
            case int():
                is_plain = value.bit_length() <= MAX_BITS
            case _:
                is_plain = value is None or isinstance(value, str | dict | tuple)
        if not is_plain or any(_LONE_SURROGATE.search(text) for text in texts):
            return ".".join(map(str, path)) or "the whole"
    return None


def node_of(data: Json) -> Node:
    """The tree of plain data that came from no file."""
    if isinstance(data, Mapping):
        return Node({str(key): Entry(None, node_of(value)) for key, value in data.items()})
    if isinstance(data, list | tuple):
        return Node(tuple(map(node_of, data)))
    return Node(data)


def compose(raw: bytes, file: str) -> Node:
    """The tree of a YAML file, or an error that names the place of what is not YAML."""
    if len(raw) > MAX_BYTES:
        raise as_error([Problem(file, None, f"larger than {MAX_BYTES >> 20} MiB", SYNTAX)])
    text = raw.decode("utf-8-sig", errors="surrogateescape")
    if stray := _NOT_DECODED.search(text):
        place = Mark(text.count("\n", 0, stray.start()) + 1, 1)
        raise as_error([Problem(file, place, "not UTF-8", SYNTAX, hint="save the file as UTF-8")])
    reader = _Composer(file)
    root: Node | None = None
    # raised below: the parser's own error quotes the text, which may hold a secret, and must not become a context
    try:
        events = YAML(typ="safe", pure=True).parse(text)
        root = reader.document(iter(events))
    except MarkedYAMLError as error:
        reader.problems.append(_syntax(file, error))
    except YAMLError:
        reader.problems.append(Problem(file, None, "holds characters that YAML does not allow", SYNTAX))
    except (ValueError, OverflowError):  # the scanner's chr() of an escape beyond Unicode
        reader.problems.append(Problem(file, None, "holds an escape that is not a character", SYNTAX))
    if reader.problems:
        raise as_error(reader.problems)
    if root is None or root.value is None:
        raise as_error([Problem(file, Mark(1, 1), "the file is empty", SYNTAX)])
    return root


def _syntax(file: str, error: MarkedYAMLError) -> Problem:
    # `problem` alone: the full text of the error quotes the line, which may hold a secret
    mark = error.problem_mark or error.context_mark
    place = Mark(mark.line + 1, mark.column + 1) if mark else None
    hint = "put text that begins with a sign, or holds `: ` or ` #`, into quotes"
    said = _HANDLE.sub("tag handle", error.problem or error.context or "it ends too early")
    return Problem(file, place, f"not YAML: {said}", SYNTAX, hint=hint)


_HANDLE = re.compile("tag handle .*")  # the one thing that the parser quotes of the text itself
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_OTHER_INT = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NOT_DECODED = re.compile("[\udc80-\udcff]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class _Stop(YAMLError):
    """Going on would cost without bound."""


class _Composer(Struct):
    """Builds the tree from parser events; findings that leave the rest readable are gathered."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, Node] = field(default_factory=dict)
    size: int = 0

    def document(self, events: Iterator[Any]) -> Node | None:
        root: Node | None = None
        documents = 0
        try:
            for event in events:
                if isinstance(event, DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self.complain(event, "a second document; a manifest is one")
                        return root
                    if event.version is not None and tuple(event.version) != (1, 2):
                        self.complain(event, "a manifest is YAML 1.2")
                elif isinstance(event, AliasEvent | ScalarEvent | SequenceStartEvent | MappingStartEvent):
                    root = self.node(event, events, 0)
        except _Stop:
            pass
        return root

    def complain(self, event: Any, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(self.file, _mark(event), message, SYNTAX, hint=hint))

    def stop(self, event: Any, message: str, hint: str | None = None) -> _Stop:
        self.complain(event, message, hint)
        return _Stop()

    def grow(self, event: Any, by: int) -> None:
        self.size += by
        if self.size > MAX_NODES:
            raise self.stop(event, f"more than {MAX_NODES} values, counting each use of an alias")

    def node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        if isinstance(event, AliasEvent):
            found = self.anchors.get(event.anchor)
            if found is None:
                raise self.stop(event, "unknown alias", "quote text that begins with `*` or `&`")
            self.grow(event, found.size)
            return found
        self.grow(event, 1)
        if depth > MAX_DEPTH:
            raise self.stop(event, f"nested more than {MAX_DEPTH} deep")
        if event.tag is not None:
            self.complain(event, "tags are not used in a manifest", "remove the word that begins with `!`, or quote it")
        if isinstance(event, MappingStartEvent):
            node = self.mapping(event, events, depth)
        elif isinstance(event, SequenceStartEvent):
            node = self.sequence(event, events, depth)
        else:
            node = Node(self.scalar(event), _mark(event))
        if event.anchor is not None:
            if node.value is None:
                self.complain(event, "an anchor without a value", "quote text that begins with `&`")
            self.anchors[event.anchor] = node
        return node

    def sequence(self, start: Any, events: Iterator[Any], depth: int) -> Node:
        items: list[Node] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            items.append(self.node(event, events, depth + 1))
        return Node(tuple(items), _mark(start), 1 + sum(i.size for i in items))

    def mapping(self, start: Any, events: Iterator[Any], depth: int) -> Node:
        entries: dict[str, Entry] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            key = self.key(event, events, depth)
            value = self.node(next(events), events, depth + 1)
            if key is None:
                continue
            if key in entries:
                first = entries[key].key
                shown = f'the key "{key}"' if is_word(key) else "the key"
                self.complain(event, f"{shown} is here twice; first in line {first.line if first else 0}")
                continue
            entries[key] = Entry(_mark(event), value)
        return Node(entries, _mark(start), 1 + sum(e.node.size for e in entries.values()))

    def key(self, event: Any, events: Iterator[Any], depth: int) -> str | None:
        if isinstance(event, ScalarEvent) and event.value and not _LONE_SURROGATE.search(event.value):
            if event.value == "<<" and event.style is None:
                self.complain(event, "`<<` is not YAML 1.2", "put what streams share under `defaults:`")
                return None
            return str(event.value)
        self.complain(event, "a key is plain text")
        self.node(event, events, depth + 1)  # a list or a mapping as a key: passed over whole
        return None

    def scalar(self, event: Any) -> Scalar:
        text = str(event.value)
        if event.style is not None or event.tag is not None:  # quoted, or a block: text
            if _LONE_SURROGATE.search(text):
                self.complain(event, "half of a surrogate pair is not a character")
            return text
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _NOT_FINITE.fullmatch(text):
            self.complain(event, "a number is finite; quote the word if it is text")
        elif _INT.fullmatch(text) or _OTHER_INT.fullmatch(text) or _FLOAT.fullmatch(text):
            return self.number(event, text)
        return text

    def number(self, event: Any, text: str) -> str | float:
        digits = text.lstrip("+-")
        if len(text) > MAX_NUMBER:
            self.complain(event, f"a number of more than {MAX_NUMBER} characters", "put it into quotes")
            return text
        if _OTHER_INT.fullmatch(text):
            return int(text, 0)
        if _INT.fullmatch(text):
            if len(digits) > 1 and digits.startswith("0"):
                self.complain(event, "the leading zeros of this number would be lost", "put it into quotes")
            return int(text)
        value = float(text)
        if not _is_exact(text, value):
            self.complain(event, "this number would change by being read as a float", "put it into quotes")
        return value


def _is_exact(text: str, value: float) -> bool:
    """True when the shortest spelling of the float has the digits of the text."""
    return value not in {float("inf"), float("-inf")} and _digits(text) == _digits(repr(value))


def _digits(text: str) -> tuple[str, int]:
    """The significant digits of a number and the power of ten of the last one."""
    mantissa, _, exponent = text.lower().lstrip("+-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    kept = digits.rstrip("0")
    power = int(exponent or 0) - len(fraction) + len(digits) - len(kept)
    return (kept, power) if kept else ("", 0)


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)
