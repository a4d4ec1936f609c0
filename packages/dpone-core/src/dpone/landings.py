"""What becomes of each type of one engine in another: the table behind `dpone types` and the guides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from dpone.connector import Connector, not_an_end
from dpone.schema import Field, Type, Verdict


class Fate(Struct, frozen=True):
    """A type of the source, the type that it becomes in the sink, and whether its values survive."""

    source: str
    type: Type
    sink: str
    verdict: Verdict
    why: str


def landings(source: Connector[Any], sink: Connector[Any]) -> Sequence[Fate]:
    """The fate of every type that the source has."""
    for end, role in ((source, "source"), (sink, "sink")):
        if getattr(end, role) is None:
            raise not_an_end(end, role)
    fates = []
    for native in source.types.natives:
        read = source.types.read(native)
        landing = sink.types.land(Field("column", read, native=f"{source.name}:{native}"))
        fates.append(Fate(native, read, landing.native, landing.verdict, landing.why))
    return fates
