"""What this machine has of what the ClickHouse connector can use."""

from __future__ import annotations

from collections.abc import Sequence

from dpone.connector import Finding
from dpone.doctor.clients import client


def examine_machine() -> Sequence[Finding]:
    """The server is spoken to without its client; people want it."""
    return [client("clickhouse-client", "--version", needed_for="looking into a server by hand")]
