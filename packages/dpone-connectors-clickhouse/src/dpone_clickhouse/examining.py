"""What `dpone doctor` asks of a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC

from dpone.connector import Finding
from dpone.doctor.clocks import clock
from dpone_clickhouse.bulk import read_bulk
from dpone_clickhouse.config import ClickHouseConfig
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.session import Session

_LEAST_FREE = 1 << 30
_TO_READ = {"SELECT": "to read"}
_TO_WRITE = {
    "SELECT": "to read and to compare",
    "INSERT": "to load",
    "CREATE TABLE": "to stage and to publish",
    "DROP TABLE": "to remove stages",
    "ALTER": "to publish partitions, and to mark what was published",
}
_ATOMIC = frozenset({"Atomic", "Replicated", "Shared"})


def examine(own: Session, config: ClickHouseConfig, *, writes: bool) -> Sequence[Finding]:
    """Version, encryption, clock, the HTTP port, disks, rights, and whether tables of the database can be exchanged."""
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
        clock(lambda: own.value("SELECT now64(6, 'UTC')").replace(tzinfo=UTC)),
        *_disks(own),
        *_rights(own, config.database, _TO_WRITE if writes else _TO_READ),
    ]


def _disks(own: Session) -> list[Finding]:
    """Those that say how much is free; an object store does not."""
    rows = own.ask(
        "SELECT name, free_space, total_space FROM system.disks WHERE total_space < 4611686018427387904 ORDER BY 1"
    )
    return [
        Finding(
            f"disk {name}",
            ok=free >= _LEAST_FREE,
            found=f"{free / 1e9:,.1f} of {total / 1e9:,.1f} GB free",
            action="a publication needs room for the partitions that it rebuilds",
            unless="warning",
        )
        for name, free, total in rows
    ]


def _rights(own: Session, database: str, rights: Mapping[str, str]) -> list[Finding]:
    """Each by itself, since each is granted by itself."""
    scope = f"{CLICKHOUSE.quote(database)}.*"
    found = []
    for right, purpose in rights.items():
        may = bool(own.value(f"CHECK GRANT {right} ON {scope}"))
        action = f"GRANT {right} ON {scope}: {purpose}"
        found.append(Finding(f"may {right}", ok=may, found="yes" if may else "no", action=action))
    return found
