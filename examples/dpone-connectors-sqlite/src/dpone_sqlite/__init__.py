"""The SQLite connector: source and sink of tables in one file. Its declaration, free of any driver."""

from __future__ import annotations

from dpone.batch import ARROW, Wire
from dpone.connector import Connector, Profile, SinkSpec, SourceSpec, lazy
from dpone.ops import OPS
from dpone.strategies import Read
from dpone_sqlite.config import SqliteConfig, SqliteSink, SqliteSource
from dpone_sqlite.typemap import TYPES

connector = Connector(
    name="sqlite",
    distribution="dpone-connectors-sqlite",
    config=SqliteConfig,
    types=TYPES,
    profile=Profile("sqlite_live", "a database file that this machine can write"),
    schemes=("sqlite",),
    source=SourceSpec(
        reads=frozenset({Read.SCAN, Read.SINCE}),
        emits=(Wire(ARROW),),
        options=SqliteSource,
        open=lazy("dpone_sqlite.source:connect"),
    ),
    sink=SinkSpec(
        ops=frozenset(OPS),
        accepts=(Wire(ARROW),),
        options=SqliteSink,
        open=lazy("dpone_sqlite.sink:connect"),
        atomic="transaction",
    ),
)
