"""Two worlds in which the same replays are tested: clients injected into this process, and an embedded PostgreSQL.

Evidence of what was carried out is left under test_artifacts/replay_integration, where certification looks for it.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dpone.testing.fixtures import dpone
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.services.postgres import EmbeddedPostgres
from tests.integration.replay.worlds import MemoryWorld, PostgresWorld, World

__all__ = ["dpone"]

ARTIFACTS = Path(__file__).parents[3] / "test_artifacts" / "replay_integration"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """The folder of evidence, without what an earlier session left there."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    if "PYTEST_XDIST_WORKER" not in os.environ:  # the workers of one session share the folder
        for path in ARTIFACTS.glob("*_evidence.*"):
            path.unlink()
    return ARTIFACTS


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    with EmbeddedPostgres(settings={"max_connections": "60"}) as found:
        yield found


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which dpone is called."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPONE_TESTING", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(params=["injected", "postgres"])
def world(request: pytest.FixtureRequest, at_home: Path) -> Iterator[World]:
    if request.param == "injected":
        yield MemoryWorld(at_home)
        return
    yield request.getfixturevalue("postgres_world")


@pytest.fixture
def postgres_world(at_home: Path, endpoint: Endpoint) -> Iterator[PostgresWorld]:
    with psycopg.connect(endpoint.url(), autocommit=True) as db:
        schema = f"t{os.getpid()}_{next(_numbers)}"
        db.execute(f"CREATE SCHEMA {schema}".encode())
        yield PostgresWorld(at_home, db, endpoint, schema)
        db.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Ids that say which test of which world they are of."""
    numbers = itertools.count(1)
    name = re.sub(r"[^a-z0-9]+", "_", request.node.name.removeprefix("test_")).strip("_")
    return lambda: f"{name[:96]}_{next(numbers):02d}"


@pytest.fixture
def asked(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the sink is asked for, in order: each of its calls writes itself down before it is carried out."""
    log: list[str] = []

    def recorded(label: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            log.append(label)
            return original(*args, **kwargs)

        return call

    for kind, methods in world.recorded:
        for method in methods:
            label = f"{world.roles[kind]}.{method}"
            monkeypatch.setattr(kind, method, recorded(label, getattr(kind, method)))
    return log
