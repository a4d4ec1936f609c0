"""What this machine has of what the PostgreSQL connector needs."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import pq

from dpone.connector import Finding


def examine_machine() -> Sequence[Finding]:
    """Which libpq is loaded, and how."""
    major, minor = divmod(pq.version(), 10_000)
    return [Finding("libpq", ok=True, found=f"{major}.{minor}, by psycopg's {pq.__impl__} implementation")]
