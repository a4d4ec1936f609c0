"""The REST connector for dpone: its declaration, free of any driver."""

from __future__ import annotations

from dpone.connector import CURSOR_TOKENS, Connector, Profile, SourceSpec, lazy
from dpone.strategies import Read
from dpone_rest.config import RestConfig
from dpone_rest.options import RestSource
from dpone_rest.typemap import TYPES
from dpone_rest.wires import EMITS

__all__ = ["RestConfig", "RestSource", "connector"]

connector = Connector(
    name="rest",
    distribution="dpone-connectors-rest",
    config=RestConfig,
    types=TYPES,
    profile=Profile("rest_mock", "a generic API answers over HTTP: the mock service of this connector, or another"),
    schemes=("https", "http"),
    source=SourceSpec(
        reads=frozenset({Read.SCAN, Read.SINCE}),
        emits=EMITS,
        options=RestSource,
        open=lazy("dpone_rest.source:connect"),
        tokens={Read.SINCE: CURSOR_TOKENS},
        pushes_where=True,  # by itself, on Arrow: what an API leaves out by its own parameters only spares it work
    ),
)
