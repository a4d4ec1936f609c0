"""SQL over the server's own psql, so that these tests need no driver."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dpone.errors import MissingPackage
from dpone.testing.services import Endpoint
from dpone.testing.services.account import unprivileged
from dpone.testing.services.postgres_binaries import find_binaries

Sql = Callable[..., str]


@pytest.fixture(scope="session")
def psql() -> Path:
    try:
        found = find_binaries(unprivileged()).psql
    except MissingPackage as missing:
        pytest.skip(f"{missing.message} ({missing.hint})")
    if found is None:
        pytest.skip("this PostgreSQL installation has no psql, and there is none on PATH")
    return found


@pytest.fixture(scope="session")
def sql(psql: Path) -> Sql:
    """The answer to one statement, or CalledProcessError with psql's words."""

    def ask(endpoint: Endpoint, statement: str, *, password: str | None = None) -> str:
        secret = endpoint.password.reveal() if password is None and endpoint.password else password or ""
        address = [
            "-h",
            endpoint.host,
            "-p",
            str(endpoint.port),
            "-U",
            endpoint.user or "",
            "-d",
            endpoint.database or "",
        ]
        answer = subprocess.run(
            [psql, "-XqtA", "-v", "ON_ERROR_STOP=1", "--no-password", *address, "-c", statement],
            env={"PGPASSWORD": secret, "PATH": os.defpath},
            capture_output=True,
            text=True,
            check=True,
        )
        return answer.stdout.strip()

    return ask


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """True as soon as the condition holds, False after ten seconds."""

    def wait(condition: Callable[[], bool]) -> bool:
        until = time.monotonic() + 10
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    return wait
