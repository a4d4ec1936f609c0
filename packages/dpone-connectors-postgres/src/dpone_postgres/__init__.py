"""The PostgreSQL connector for dpone: its declaration, free of any driver."""

from __future__ import annotations

from dpone.connector import CURSOR_TOKENS, Connector, Fate, Profile, SinkSpec, SourceSpec, lazy
from dpone.ops import OPS
from dpone.strategies import Read
from dpone_postgres.config import PostgresConfig
from dpone_postgres.options import PostgresSinkOptions, PostgresSourceOptions
from dpone_postgres.typemap import TYPES
from dpone_postgres.wires import ACCEPTS, EMITS

__all__ = ["PostgresConfig", "connector"]

connector = Connector(
    name="postgres",
    distribution="dpone-connectors-postgres",
    config=PostgresConfig,
    types=TYPES,
    profile=Profile("postgres_live", "a PostgreSQL server of version 14 or later that was given, not started by dpone"),
    schemes=("postgresql", "postgres"),
    source=SourceSpec(
        reads=frozenset({Read.SCAN, Read.SINCE, Read.XMIN, Read.CHANGES}),
        emits=EMITS,
        options=PostgresSourceOptions,
        open=lazy("dpone_postgres.source:open_source"),
        tokens={
            Read.SINCE: CURSOR_TOKENS,
            Read.XMIN: ({"xmin": "751", "system": "7353279427261341721", "timeline": 1},),
            Read.CHANGES: (
                {
                    "lsn": 24023128,
                    "publication": {"oid": "16402", "version": "750", "entry": None},
                    "columns": {"1": ["id", "integer"]},
                    "table": 16385,
                    "system": "7353279427261341721",
                    "timeline": 1,
                },
            ),
        },
    ),
    sink=SinkSpec(
        ops=frozenset(OPS),
        accepts=ACCEPTS,
        options=PostgresSinkOptions,
        open=lazy("dpone_postgres.sink:open_sink"),
        atomic="transaction",
        fates=frozenset({Fate.SCRATCH, Fate.ADOPT}),
        adopts_of_many=False,
        dialect=lazy("dpone_postgres.dialect:PostgresDialect"),
    ),
    machine=lazy("dpone_postgres.machine:examine_machine"),
)
