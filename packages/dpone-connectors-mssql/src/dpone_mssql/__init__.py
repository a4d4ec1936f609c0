"""The SQL Server connector for dpone: its declaration, free of any driver."""

from __future__ import annotations

from dpone.connector import CURSOR_TOKENS, Connector, Fate, Profile, SinkSpec, SourceSpec, lazy
from dpone.ops import OPS, Recreate, ReplaceAll
from dpone.strategies import Read
from dpone_mssql.config import MssqlConfig
from dpone_mssql.options import MssqlSink, MssqlSource
from dpone_mssql.typemap import TYPES
from dpone_mssql.wires import ACCEPTS, EMITS

__all__ = ["MssqlConfig", "MssqlSink", "MssqlSource", "connector"]

connector = Connector(
    name="mssql",
    distribution="dpone-connectors-mssql",
    config=MssqlConfig,
    types=TYPES,
    profile=Profile("mssql_live", "a SQL Server that was given answers through ODBC Driver 18, and bcp is installed"),
    schemes=("mssql",),
    source=SourceSpec(
        reads=frozenset({Read.SCAN, Read.SINCE, Read.CHANGES}),
        emits=EMITS,
        options=MssqlSource,
        open=lazy("dpone_mssql.source:connect"),
        tokens={
            Read.SINCE: CURSOR_TOKENS,
            Read.CHANGES: ({"lsn": "0x0000002A000001F80003", "capture": "dbo_orders"}, {"version": 7}),
        },
    ),
    sink=SinkSpec(
        ops=frozenset(OPS),
        accepts=ACCEPTS,
        options=MssqlSink,
        open=lazy("dpone_mssql.sink:connect"),
        atomic="transaction",
        fates=frozenset({Fate.SCRATCH, Fate.ADOPT}),
        adopts=frozenset({Recreate, ReplaceAll}),
        adopts_first=frozenset({Recreate, ReplaceAll}),
        dialect=lazy("dpone_mssql.dialect:MssqlDialect"),
    ),
    machine=lazy("dpone_mssql.machine:examine_machine"),
)
