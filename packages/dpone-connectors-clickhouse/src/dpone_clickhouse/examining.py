"""What `dpone doctor` asks of a server."""

from __future__ import annotations

from collections.abc import Sequence

from dpone.connector import Finding
from dpone_clickhouse.bulk import read_bulk
from dpone_clickhouse.config import ClickHouseConfig
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.session import Session

_ATOMIC = frozenset({"Atomic", "Replicated", "Shared"})


def examine(own: Session, config: ClickHouseConfig) -> Sequence[Finding]:
    """Version, encryption, the HTTP port, and whether tables of the database can be exchanged."""
    database = CLICKHOUSE.text(config.database)
    engines = own.ask(f"SELECT engine FROM system.databases WHERE name = {database}")  # noqa: S608 - an encoded literal
    engine = engines[0][0] if engines else "none of that name"
    answer = b"".join(read_bulk(config, "SELECT 1 FORMAT TabSeparated", {}, 1024, "sink"))
    return [
        Finding("version", ok=True, found=str(own.value("SELECT version()"))),
        Finding("encrypted", ok=True, found="no, over loopback or by choice" if config.tls_mode == "off" else "yes"),
        Finding("http", ok=answer == b"1\n", found=f"port {config.ports[1]} answers", action="check `http_port`"),
        Finding(
            "database", ok=engine in _ATOMIC, found=engine, action="tables are exchanged in a database of engine Atomic"
        ),
    ]
