"""Manifests: what a user writes, read strictly, with the place of everything that is wrong.

`load` reads a file, `expand` asks the source what its wildcards mean, `select` keeps some streams. Connections stay
unresolved until `stream.source.connection.resolve()`.
"""

from __future__ import annotations

from dpone.manifest.connections import ConnectionRef, Connections, from_url
from dpone.manifest.loader import load, parse
from dpone.manifest.models import Manifest, Settings, SinkEnd, SourceEnd, Stream
from dpone.manifest.modes import MODES, Strategy
from dpone.manifest.streams import Wildcard, expand, select

__all__ = [
    "MODES",
    "ConnectionRef",
    "Connections",
    "Manifest",
    "Settings",
    "SinkEnd",
    "SourceEnd",
    "Strategy",
    "Stream",
    "Wildcard",
    "expand",
    "from_url",
    "load",
    "parse",
    "select",
]
