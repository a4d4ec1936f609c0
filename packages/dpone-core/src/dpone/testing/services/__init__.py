"""Servers for tests and for the demo: one contract, whichever way a server is had.

    from dpone.testing.services.postgres import EmbeddedPostgres

    with EmbeddedPostgres() as endpoint:
        connect(endpoint.url())

`launched` starts any server as a child process, `postgres` is a real PostgreSQL out of a wheel, `docker` uses the
repository's compose.yaml, `persistent` keeps servers up between commands. Importing this package loads and starts
nothing.
"""

from __future__ import annotations

from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.secret import Secret
from dpone.testing.services.service import Service

__all__ = ["Endpoint", "Fidelity", "Provider", "Secret", "Service"]
