"""A real backend in memory, or in a folder: two connectors that carry out the whole contract, for tests and for the
demo.

`memory` has transactions; `memory_publish` has none and shows each load by one atomic act that carries its own
marker. Both are read in every way and carry out every operation, by the oracle, on rows of Python values. With a
`path` every committed state is on disk, so that a process killed at any moment is a real crash.
"""

from __future__ import annotations

from dpone.connector import Connector, Fate, Profile, SinkSpec, SourceSpec, lazy
from dpone.ops import OPS
from dpone.strategies import Read
from dpone.testing.memory.config import MemoryConfig, MemorySinkOptions, MemorySourceOptions
from dpone.testing.memory.typemap import TYPES
from dpone.testing.memory.wire import WIRES

_SOURCE = SourceSpec(
    reads=frozenset(Read),
    emits=WIRES,
    options=MemorySourceOptions,
    open=lazy("dpone.testing.memory.source:connect"),
    tokens={
        Read.SINCE: tuple(
            {"column": "id", "cursor": value} for value in (7, 7.5, "7", {"datetime": "2026-01-31T12:00:00"})
        ),
        Read.XMIN: ({"system": "a store", "xmin": 7},),
        Read.CHANGES: ({"system": "a store", "lsn": 7},),
    },
)

connector = Connector(
    name="memory",
    distribution="dpone-core",
    config=MemoryConfig,
    types=TYPES,
    profile=Profile("memory_local", "a store in this process, or in a folder of this machine"),
    schemes=("memory",),
    source=_SOURCE,
    sink=SinkSpec(
        ops=frozenset(OPS),
        accepts=WIRES,
        options=MemorySinkOptions,
        open=lazy("dpone.testing.memory.sink:connect"),
        atomic="transaction",
        fates=frozenset(Fate),
    ),
)

publish_connector = Connector(
    name="memory_publish",
    distribution="dpone-core",
    config=MemoryConfig,
    types=TYPES,
    profile=Profile("memory_publish_local", "a store in this process, or in a folder of this machine"),
    schemes=("memory-publish",),
    source=_SOURCE,
    sink=SinkSpec(
        ops=frozenset(OPS),
        accepts=WIRES,
        options=MemorySinkOptions,
        open=lazy("dpone.testing.memory.sink:connect_publishing"),
        atomic="publish",
        fates=frozenset({Fate.ADOPT, Fate.SCRATCH}),
    ),
)
