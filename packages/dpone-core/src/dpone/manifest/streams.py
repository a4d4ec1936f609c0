"""Many streams in one file: defaults laid under each, wildcards expanded, names and targets kept apart, some chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from dpone.connector import Dataset
from dpone.errors import UsageError
from dpone.manifest.document import Entry, Node
from dpone.manifest.models import Manifest, SourceEnd, Stream
from dpone.manifest.problems import INVALID, NOTHING_MATCHED, did_you_mean, listed
from dpone.manifest.templates import Parts, matches, matching
from dpone.names import print_name

Discover = Callable[[SourceEnd, Parts], Iterable[Dataset]]

# Mappings that a stream completes key by key, and the key that makes one of another kind.
_OVERLAID = {"source": "type", "sink": "type", "strategy": "mode", "limits": "", "schema_evolution": ""}


def overlay(defaults: Node, own: Node) -> Node:
    """The stream laid over the defaults: its keys win; in source, sink and strategy key by key while of one kind."""
    entries = {**defaults.entries, **own.entries}
    for key, kind in _OVERLAID.items():
        below, above = defaults.get(key), own.get(key)
        if below is None or above is None or not isinstance(above.value, dict) or not isinstance(below.value, dict):
            continue
        other = above.get(kind)
        same = below.get(kind)
        if other is None or (same is not None and other.value == same.value):
            merged = Node({**below.entries, **above.entries}, above.mark)
            entries[key] = Entry(own.entries[key].key, merged)
    return Node(entries, own.mark)


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A stream whose source is a pattern: `stream` shows its settings, `build` makes the stream of one table."""

    stream: Stream
    pattern: Parts
    skip: tuple[Parts, ...]
    build: Callable[[Parts], Stream] = field(repr=False, compare=False)


def expand(manifest: Manifest, discover: Discover) -> Manifest:
    """The manifest with a stream for each table that its wildcards match.

    A table that a stream names itself is left to that stream. What `discover` yields is matched again here.
    """
    if not manifest.wildcards:
        return manifest
    named = {(s.source.connection, s.source.options.dataset().name) for s in manifest.streams}
    streams = list(manifest.streams)
    for wildcard in manifest.wildcards:
        source = wildcard.stream.source
        found = sorted({d.name for d in discover(source, wildcard.pattern) if matches(d.name, wildcard.pattern)})
        found = [name for name in found if not any(matches(name, skipped) for skipped in wildcard.skip)]
        if not found:
            raise UsageError(
                f"{print_name(wildcard.pattern)} matches no table of {source.connection}",
                code=NOTHING_MATCHED,
                hint="look at the pattern, at `skip`, and at what the user of the connection may see",
            )
        streams += [wildcard.build(name) for name in found if (source.connection, name) not in named]
    if wrong := clashes(streams):
        raise UsageError(
            "; ".join(message for _, message in wrong), code=INVALID, hint="use `skip` or narrower patterns"
        )
    return manifest.model_copy(update={"streams": tuple(streams), "wildcards": ()})


def clashes(streams: Sequence[Stream]) -> list[tuple[int, str]]:
    """What two streams may not share, with the number of the later one: a name; a target, unless both only append."""
    found: list[tuple[int, str]] = []
    names: dict[str, int] = {}
    targets: dict[tuple[object, ...], int] = {}
    for number, stream in enumerate(streams):
        if stream.name in names:
            found.append((number, f'two streams are named "{stream.name}"'))
        names.setdefault(stream.name, number)
        target = (stream.sink.connection, stream.sink.options.target().name)
        first = targets.setdefault(target, number)
        modes = {streams[first].strategy.mode, stream.strategy.mode}
        if first != number and modes != {"incremental_append"} and stream.name != streams[first].name:
            written = print_name(stream.sink.options.target().name)
            found.append((number, f'streams "{streams[first].name}" and "{stream.name}" both write {written}'))
    return found


def select(manifest: Manifest, patterns: Sequence[str]) -> Manifest:
    """The manifest with those streams alone whose name matches a pattern (`*`, `?`); each pattern must match one.

    Without patterns all streams stay. A wildcard that is not yet expanded stays when a table of it may match.
    """
    if not patterns:
        return manifest
    wild = [w for w in manifest.wildcards if any(_may_match(w.stream.name, p) for p in patterns)]
    names = [s.name for s in manifest.streams]
    chosen, idle = matching(names, patterns)
    idle = [p for p in idle if not any(_may_match(w.stream.name, p) for w in wild)]
    if idle:
        near = did_you_mean(idle[0], names) if len(idle) == 1 else ""
        shown = listed([f'"{p}"' for p in idle], "and")
        raise UsageError(
            f"no stream matches {shown}{near}",
            code=NOTHING_MATCHED,
            hint=f"streams: {', '.join(names[:40])}{' and more' if len(names) > 40 else ''}",  # noqa: PLR2004 - one screen
        )
    kept = tuple(s for s in manifest.streams if s.name in chosen)
    return manifest.model_copy(update={"streams": kept, "wildcards": tuple(wild)})


def _may_match(wildcard: str, pattern: str) -> bool:
    return fnmatchcase(wildcard, pattern) or fnmatchcase(pattern, wildcard)
