"""One pipeline of a file: from its mapping to a `Stream`, or what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec.structs import replace
from pydantic import BaseModel, TypeAdapter, ValidationError

from dpone.connector import SinkOptions, SourceOptions
from dpone.errors import DponeError
from dpone.manifest.document import Node
from dpone.manifest.ends import End, Reading, changed, read_end, without
from dpone.manifest.findings import Place, check, keys_of
from dpone.manifest.models import Settings, SinkEnd, SourceEnd, Stream
from dpone.manifest.modes import MODELS, MODES, Strategy
from dpone.manifest.options import Pattern, Template
from dpone.manifest.problems import (
    MISPLACED_SECRET,
    MISSING_STRATEGY,
    UNKNOWN_STRATEGY,
    Problem,
    as_error,
    did_you_mean,
)
from dpone.manifest.scalars import Name
from dpone.manifest.secrets import KINDS, references
from dpone.manifest.streams import Wildcard
from dpone.manifest.templates import BadTemplate, Named, Parts, fill, is_wildcard, marked
from dpone.names import parse_name, print_name

_CORE = ("source", "sink", "strategy")
STREAM_KEYS = (*_CORE, *keys_of(Settings))
_STAND_IN: Parts = ("schema", "table")  # for templates of a source that could not be read
_WIDTH = max(map(len, MODES))
CHOICE = "choose one of\n" + "\n".join(f"  {mode:{_WIDTH}}  {words}" for mode, words in MODES.items())


def read_stream(
    reading: Reading, node: Node, name: str | None, *, extra: tuple[str, ...] = ()
) -> Stream | Wildcard | None:
    """The stream of a mapping. `name` is None in a list of streams, where each may have one of its own."""
    before = len(reading.problems)
    meant = reading.refuse_unknown(node, (*STREAM_KEYS, *extra), belongs=_belongs)
    known = Node({k: e for k, e in node.entries.items() if k in STREAM_KEYS or k in extra}, node.mark)
    settings, problems = check(Settings, Place(reading.file, without(known, (*_CORE, *extra))))
    reading.problems += problems
    _refuse_references(reading, known)
    strategy = read_strategy(reading, known) if "strategy" not in meant else None
    ends: dict[str, Node | None] = {side: known.get(side) for side in ("source", "sink")}
    for side, found in ends.items():
        if found is None and side not in meant:
            reading.miss(node, side, "")
    source = read_end(reading, ends["source"], "source", SourceOptions) if ends["source"] else None
    _refuse_cursor(reading, known.get("strategy"), strategy, source)
    sink: End[SinkOptions] | None = None
    parts = _dataset_name(reading, source, ends["source"])
    named = _named(source, ends["source"])
    pattern = named if named and is_wildcard(named.text) else None
    if ends["sink"]:
        # a wildcard's target is looked at with plain names, since its own may not be a name at all
        plain = tuple(re.sub("[*?]", "x", part) for part in parts) if pattern else parts
        sink = read_end(reading, ends["sink"], "sink", SinkOptions, _filling(reading, plain))
        _refuse_bad_target(reading, sink, ends["sink"])
    skip = _skip(reading, known, pattern)
    own = name if name is not None else _name(reading, known, parts, named) if source else None
    if pattern and name is not None:
        path = f"source.{pattern.field}"
        message = f"{path}: {pattern.text} stands for many tables: put it under `streams:`"
        reading.complain(node.at(["source", pattern.field]), message, path)
    if not (source and sink and settings and strategy and own) or len(reading.problems) > before:
        return None
    stream = Stream(
        name=own,
        source=SourceEnd(connector=source.connector, connection=source.connection, options=source.options),
        sink=SinkEnd(connector=sink.connector, connection=sink.connection, options=sink.options),
        strategy=strategy,
        **{key: getattr(settings, key) for key in settings.model_fields_set},
    )
    if pattern is None:
        return stream
    return Wildcard(stream, pattern.parts, skip, _builder(reading, node, pattern))


def _refuse_cursor(
    reading: Reading, node: Node | None, strategy: Strategy | None, source: End[SourceOptions] | None
) -> None:
    """A mode that reads since a cursor names one, unless the source goes by positions of its own: then none does."""
    if node is None or strategy is None or source is None or "cursor" not in type(strategy).model_fields:
        return
    end = source.connector.source
    by_cursor = end is None or end.by_cursor
    given = strategy.setting("cursor") is not None
    if by_cursor and not given:
        reading.miss(node, "cursor", "strategy")
    elif given and not by_cursor:
        message = f"strategy.cursor: {source.connector.name} goes by positions of its own, and takes no cursor"
        reading.complain(node.at(["cursor"]), message, "strategy.cursor", hint="leave `cursor` out")


def _builder(reading: Reading, node: Node, pattern: Named) -> Callable[[Parts], Stream]:
    def build(table: Parts) -> Stream:
        source = changed(node.at(["source"]), pattern.field, pattern.exactly(table))
        entries = {**without(node, ["skip"]).entries, "source": replace(node.entries["source"], node=source)}
        fresh = replace(reading, problems=[])
        stream = read_stream(fresh, Node(entries, node.mark), None, extra=("name",))
        if not isinstance(stream, Stream):
            raise as_error(fresh.problems)
        return stream

    return build


def read_strategy(reading: Reading, node: Node) -> Strategy | None:
    """The strategy under its key; there is no default one."""
    strategy = node.get("strategy")
    if strategy is None:
        message = "no `strategy:` says how rows are loaded, and there is no default"
        reading.problems.append(Problem(reading.file, node.mark, message, MISSING_STRATEGY, "strategy", CHOICE))
        return None
    if not isinstance(strategy.value, dict):
        example = strategy.value if isinstance(strategy.value, str) and strategy.value in MODES else "..."
        reading.complain(strategy, "strategy: expected a mapping", "strategy", hint=f"strategy: {{mode: {example}}}")
        return None
    mode = strategy.get("mode")
    if mode is None:
        if "mode" not in reading.refuse_unknown(_near(strategy), ["mode"], "strategy"):
            message = "strategy has no `mode`, and there is no default"
            reading.problems.append(
                Problem(reading.file, strategy.mark, message, MISSING_STRATEGY, "strategy.mode", CHOICE)
            )
        return None
    model = MODELS.get(mode.value) if isinstance(mode.value, str) else None
    if model is None:
        given = mode.value if isinstance(mode.value, str) else ""
        shown = f'unknown mode "{given[:60]}"{did_you_mean(given, MODES)}' if given else "expected the name of a mode"
        reading.complain(mode, f"strategy.mode: {shown}", "strategy.mode", code=UNKNOWN_STRATEGY, hint=CHOICE)
        return None

    def belongs(key: str) -> str | None:
        others = [name for name, other in MODELS.items() if key in keys_of(other)]
        return f"{mode.value} has no such key, {', '.join(others)} has" if others else None

    found, problems = check(model, Place(reading.file, strategy, where="strategy", belongs=belongs))
    reading.problems += problems
    return found


def _near(strategy: Node) -> Node:
    """Those entries of a strategy without mode that are no key of any mode."""
    known = {key for model in MODELS.values() for key in keys_of(model)}
    return without(strategy, known)


_STRATEGY_KEYS = {key for model in MODELS.values() for key in keys_of(model)} - {"mode"}


def _belongs(key: str) -> str | None:
    if key in _STRATEGY_KEYS:
        return "it belongs under `strategy:`"
    if key in {"type", "connection", "table", "query"}:
        return "it belongs under `source:` or `sink:`"
    if key in {"streams", "defaults", "parallel", "skip"}:
        return "it belongs to a file with a list of `streams:`"
    return None


def _refuse_references(reading: Reading, node: Node) -> None:
    """References are resolved in connections; anywhere else one would be taken for text."""
    for loc, leaf in node.walk():
        if loc[1:2] == ("connection",) or not isinstance(leaf.value, str):
            continue
        if any(found.kind in KINDS for found in references(leaf.value)):
            path = Place(reading.file, node).path(loc)
            message = f"{path}: a reference works in a connection only, and here it would be plain text"
            hint = "put the value into the connection"
            reading.complain(leaf, message, path, code=MISPLACED_SECRET, hint=hint)


def _dataset_name(reading: Reading, source: End[SourceOptions] | None, node: Node | None) -> Parts:
    if source is None or node is None:
        return _STAND_IN
    try:
        return source.options.dataset().name
    except DponeError as error:
        reading.adopt(error, node, "source")
    return _STAND_IN


def _refuse_bad_target(reading: Reading, sink: End[SinkOptions] | None, node: Node) -> None:
    try:
        if sink is not None:
            sink.options.target()
    except DponeError as error:
        reading.adopt(error, node, "sink")


def _filling(reading: Reading, source: Parts) -> Callable[[type[BaseModel], Node], Node]:
    """A function that fills the templates among a sink's options."""

    def filled(options: type[BaseModel], node: Node) -> Node:
        for field, template in marked(options, Template).items():
            value = node.get(field)
            if value is None or not isinstance(value.value, str):
                continue
            try:
                node = changed(node, field, fill(value.value, template, source))
            except BadTemplate as error:
                reading.complain(value, f"sink.{field}: {error.sentence}", f"sink.{field}")
            except DponeError:
                continue  # not a name at all: the options say so themselves
        return node

    return filled


def _named(source: End[SourceOptions] | None, node: Node | None) -> Named | None:
    """The field of a source that names what is read, where it has one and it is given."""
    if source is None or node is None:
        return None
    for field, marker in marked(type(source.options), Pattern).items():
        value = node.get(field)
        if value is not None and isinstance(value.value, str):
            return Named(field, value.value, marker.is_name)
    return None


def _skip(reading: Reading, node: Node, pattern: Named | None) -> tuple[Parts, ...]:
    skip = node.get("skip")
    if skip is None:
        return ()
    if pattern is None:
        reading.complain(skip, "skip: goes with a wildcard under `source:`", "skip")
        return ()
    found: list[Parts] = []
    texts = [item.value for item in skip.items]
    if not texts or not all(isinstance(text, str) for text in texts):
        reading.complain(skip, "skip: expected a list of tables, which may hold `*` and `?`", "skip")
        return ()
    for item in skip.items:
        try:
            found.append(parse_name(str(item.value)) if pattern.is_name else (str(item.value),))
        except DponeError as error:
            reading.adopt(error, item, "skip")
    return tuple(found)


_NAME = TypeAdapter(Name)


def _name(reading: Reading, node: Node, source: Parts, named: Named | None) -> str | None:
    """The name of a stream in a list: its own, else that of what it reads."""
    own = node.get("name")
    if own is None:
        if not source:
            reading.miss(node, "name", "", "a source without a table gives its stream no name")
            return None
        return source[-1] if named and not named.is_name else print_name(source)
    try:
        text = _NAME.validate_python(own.value)
        filled = fill(text, Template(is_name=False), source)
    except ValidationError:
        reading.complain(own, "name: expected text of at most 255 characters", "name")
        return None
    except BadTemplate as error:
        reading.complain(own, f"name: {error.sentence}", "name")
        return None
    if named is not None and is_wildcard(named.text) and "{table}" not in text:
        hint = "remove it, or write one with {table}"
        reading.complain(own, "name: a wildcard makes many streams, which cannot share one name", "name", hint=hint)
    return filled
