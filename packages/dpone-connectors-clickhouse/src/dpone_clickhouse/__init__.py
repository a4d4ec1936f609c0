"""The ClickHouse connector for dpone: its declaration, free of any driver."""

from __future__ import annotations

from dpone.connector import CURSOR_TOKENS, Connector, Fate, Profile, SinkSpec, SourceSpec, lazy
from dpone.ops import OPS, Recreate, ReplaceAll, Version
from dpone.strategies import Read
from dpone_clickhouse.config import ClickHouseConfig
from dpone_clickhouse.options import ClickHouseSink, ClickHouseSource
from dpone_clickhouse.typemap import TYPES
from dpone_clickhouse.wires import ACCEPTS, EMITS

__all__ = ["ClickHouseConfig", "ClickHouseSink", "ClickHouseSource", "connector"]

connector = Connector(
    name="clickhouse",
    distribution="dpone-connectors-clickhouse",
    config=ClickHouseConfig,
    types=TYPES,
    profile=Profile("clickhouse_live", "a ClickHouse server that was given answers on its native port and over HTTP"),
    schemes=("clickhouse",),
    source=SourceSpec(
        reads=frozenset({Read.SCAN, Read.SINCE}),
        emits=EMITS,
        options=ClickHouseSource,
        open=lazy("dpone_clickhouse.source:connect"),
        tokens={Read.SINCE: CURSOR_TOKENS},
    ),
    sink=SinkSpec(
        ops=frozenset(OPS),
        accepts=ACCEPTS,
        options=ClickHouseSink,
        open=lazy("dpone_clickhouse.sink:connect"),
        atomic="publish",
        dialect=lazy("dpone_clickhouse.dialect:ClickHouseDialect"),
        fates=frozenset({Fate.SCRATCH, Fate.ADOPT}),
        adopts=frozenset({Recreate, ReplaceAll}),
        adopts_first=frozenset(OPS) - {Version},  # whose validity the stage does not hold
    ),
    machine=lazy("dpone_clickhouse.machine:examine_machine"),
)
