"""Positions that are given by hand: what `dpone state show` prints, and nothing that the source could not have made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dpone.connector import Connector, Json, Position
from dpone.errors import UsageError
from dpone.strategies import Read


def position_of(text: str, connector: Connector[Any], read: Read) -> Position:
    """The position of this text: a token, a position, or all that is stored; raises where the source makes none."""
    if read is Read.SCAN:
        raise UsageError(
            "this stream reads everything each time, and has no position",
            code="usage.invalid_position",
            hint="positions are of streams that read what is new: incremental_merge, incremental_append, xmin, cdc",
        )
    said = _object(text)
    said = said["position"] if said is not None and isinstance(said.get("position"), dict) else said
    kind = read.value
    if said is not None and isinstance(said.get("token"), dict) and "kind" in said:
        said, kind = said["token"], said["kind"]
    if kind != read.value:
        raise _refused(f"the position is of reading by {kind}, and this stream reads by {read.value}", connector, read)
    if said is None:
        raise _refused("the position is not a JSON object", connector, read)
    if not is_made_by(connector, read, said):
        raise _refused(f"{connector.name} makes no such position", connector, read)
    return Position(read, said)


def is_made_by(connector: Connector[Any], read: Read, token: Mapping[str, Json]) -> bool:
    """The source may have made this token, as far as its examples tell; an empty one says nothing and is none."""
    examples = _examples(connector, read)
    return bool(token) and (not examples or any(_is_like(token, example) for example in examples))


def _examples(connector: Connector[Any], read: Read) -> tuple[Mapping[str, Json], ...]:
    return () if connector.source is None else connector.source.tokens.get(read, ())


def _object(text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _is_like(token: Mapping[str, Json], example: Mapping[str, Json]) -> bool:
    return token.keys() == example.keys() and all(type(token[key]) is type(value) for key, value in example.items())


def _refused(what: str, connector: Connector[Any], read: Read) -> UsageError:
    forms = " or ".join(json.dumps(dict(example)) for example in _examples(connector, read))
    wanted = f"a token of {connector.name} is like {forms}; " if forms else ""
    return UsageError(
        what,
        code="usage.invalid_position",
        hint=f"{wanted}take what `dpone state show` prints, or forget it with `dpone state reset`",
    )
