"""`source:` and `sink:`: the connector, its connection and its own options, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from msgspec import Struct, field

from dpone.connector import Connector, SinkOptions, SinkSpec, SourceOptions, SourceSpec
from dpone.errors import DponeError
from dpone.manifest.configs import check_config
from dpone.manifest.connections import ConnectionRef, Connections, inline
from dpone.manifest.document import Entry, Node, node_of
from dpone.manifest.findings import Place, check_strictly, keys_of
from dpone.manifest.problems import INVALID, LITERAL_SECRET, UNKNOWN_KEY, Problem, listed, nearest
from dpone.manifest.urls import looks_like_url

if TYPE_CHECKING:
    from pydantic import BaseModel

Lookup = Callable[[str], Connector[Any]]
Side = Literal["source", "sink"]
CORE_KEYS = ("type", "connection")
Opts = TypeVar("Opts", bound=SourceOptions | SinkOptions)


class Reading(Struct):
    """One file being read: where names are looked up, and the problems found so far."""

    file: str
    folder: Path
    connector: Lookup
    connections: Connections
    problems: list[Problem] = field(default_factory=list)

    def complain(self, node: Node, message: str, path: str, *, code: str = INVALID, hint: str | None = None) -> None:
        self.problems.append(Problem(self.file, node.mark, message, code, path, hint))

    def adopt(self, error: DponeError, node: Node, path: str) -> None:
        """Keeps an error of another part: its own problems where it lists some, else itself at this place."""
        if isinstance(own := error.context.get("problems"), list):
            self.problems += map(Problem.from_json, own)
        else:
            self.complain(node, f"{path}: {error.message}", path, code=error.code, hint=error.hint)

    def refuse_unknown(
        self,
        node: Node,
        known: Sequence[str],
        where: str = "",
        belongs: Callable[[str], str | None] = lambda _key: None,
    ) -> set[str]:
        """Complains of each key that is not known here; the result is what they were meant to be."""
        meant: set[str] = set()
        for key, entry in node.entries.items():
            if key in known:
                continue
            message = f'unknown key "{key[:60]}"' + (f" under {where}" if where else "")
            near = nearest(key, known)
            elsewhere = belongs(key)
            hint = None if near or elsewhere else f"known here: {', '.join(known)}"
            message += f"; {elsewhere}" if elsewhere else f'; did you mean "{near}"?' if near else ""
            meant |= {near} if near else set()
            path = f"{where}.{key}" if where else key
            self.problems.append(Problem(self.file, entry.key, message, UNKNOWN_KEY, path, hint))
        return meant

    def miss(self, node: Node, key: str, where: str, hint: str | None = None) -> None:
        """Complains of a key that is not there."""
        message = f'missing key "{key}"' + (f" under {where}" if where else "")
        path = f"{where}.{key}" if where else key
        self.problems.append(Problem(self.file, node.mark, message, INVALID, path, hint))


class End(Struct, Generic[Opts], frozen=True):
    connector: Connector[Any]
    connection: ConnectionRef[Any]
    options: Opts


def without(node: Node, keys: Iterable[str]) -> Node:
    """The mapping without these keys."""
    left_out = set(keys)
    return Node({key: entry for key, entry in node.entries.items() if key not in left_out}, node.mark)


def changed(node: Node, key: str, value: str) -> Node:
    """The mapping with another value at this key, at the same place."""
    entry = node.entries[key]
    return Node({**node.entries, key: Entry(entry.key, Node(value, entry.node.mark))}, node.mark)


def _as_written(_options: type[BaseModel], node: Node) -> Node:
    return node


def read_end(
    reading: Reading,
    node: Node,
    side: Side,
    options: type[Opts],
    prepared: Callable[[type[BaseModel], Node], Node] = _as_written,
) -> End[Opts] | None:
    """The end that a mapping describes; `options` is the class of its options, `prepared` fills their templates."""
    if not isinstance(node.value, dict):
        hint = f"{side}: {{type: ..., connection: ..., ...}}"
        reading.complain(node, f"{side}: expected a mapping", side, hint=hint)
        return None
    connector = _connector(reading, node, side)
    if connector is None:
        return None
    spec: SourceSpec[Any] | SinkSpec[Any] | None = connector.source if side == "source" else connector.sink
    if spec is None:
        other = "sink" if side == "source" else "source"
        reading.complain(node.at(["type"]), f"{side}.type: {connector.name} is a {other} only", f"{side}.type")
        return None
    before = len(reading.problems)
    own = prepared(spec.options, without(node, CORE_KEYS))
    place = Place(reading.file, own, where=side, shows=False, known=CORE_KEYS)
    found, problems = check_strictly(spec.options, place)
    reading.problems += problems
    known = keys_of(spec.options)
    mistyped = {nearest(key, [*CORE_KEYS, *known]) for key in own.entries if key not in known}
    connection = _connection(reading, node, side, connector, mistyped)
    if found is None or connection is None or len(reading.problems) > before:
        return None
    assert isinstance(found, options)  # a connector's declaration says so, and the registry checks it
    return End(connector, connection, found)


def _connector(reading: Reading, node: Node, side: Side) -> Connector[Any] | None:
    kind = node.get("type")
    if kind is None:
        if near := [key for key in node.entries if nearest(key, ["type"])]:
            reading.refuse_unknown(Node({near[0]: node.entries[near[0]]}), ["type"], side)
        else:
            reading.miss(node, "type", side, "the name of a connector; `dpone connectors` lists them")
        return None
    if not isinstance(kind.value, str) or not kind.value:
        reading.complain(kind, f"{side}.type: expected the name of a connector", f"{side}.type")
        return None
    try:
        return reading.connector(kind.value)
    except DponeError as error:
        reading.adopt(error, kind, f"{side}.type")
    return None


def _connection(
    reading: Reading, node: Node, side: Side, connector: Connector[Any], mistyped: set[str | None]
) -> ConnectionRef[Any] | None:
    path = f"{side}.connection"
    given = node.get("connection")
    if given is None:
        empty = node_of({})
        if not check_config(connector.config, empty, reading.file, where=path):
            return inline(empty, connector, reading.file, reading.folder)[0]
        if "connection" not in mistyped:
            reading.miss(
                node,
                "connection",
                side,
                f"the name of a connection, or a mapping with {listed(keys_of(connector.config), 'and')}",
            )
        return None
    if isinstance(given.value, dict):
        found, problems = inline(given, connector, reading.file, reading.folder, path)
        reading.problems += problems
        return found
    if not isinstance(given.value, str) or not given.value:
        reading.complain(given, f"{path}: expected the name of a connection, or a mapping", path)
    elif looks_like_url(given.value):
        hint = "name a connection, and keep its URL in connections.yml or the environment"
        message = f"{path}: a URL may hold a password and is not written into a manifest"
        reading.complain(given, message, path, code=LITERAL_SECRET, hint=hint)
    else:
        try:
            return reading.connections.ref(given.value, connector)
        except DponeError as error:
            reading.adopt(error, given, path)
    return None
