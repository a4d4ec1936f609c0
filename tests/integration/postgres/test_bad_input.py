"""What a user gets wrong, on the real server: one message with its code each, the right exit, and never the password.

Everything that the commands write is searched for it: both streams, plans, logs, reports, state, lineage.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from msgspec import Struct

pytestmark = pytest.mark.integration_postgres
Db = psycopg.Connection[Any]

CANARY = "c4nary/pass word%&'\""  # every part of it that could be found cut out or spelled differently is below
TRACES = ("c4nary", quote(CANARY, safe=""), json.dumps(CANARY)[1:-1], CANARY)


class Said(Struct, frozen=True):
    exit: int
    out: str
    errors: str

    @property
    def text(self) -> str:
        return self.out + self.errors

    @property
    def messages(self) -> list[str]:
        """The codes of the messages for a person; a log line tells of the failed stream besides."""
        return re.findall(r"^error \[([a-z_.]+)\]", self.errors, re.MULTILINE)


class Desk(Struct, frozen=True):
    """A folder where a person works, and what was ever written there."""

    folder: Path
    connections: Mapping[str, str]

    def dpone(self, *arguments: str, **environment: str) -> Said:
        given = {f"DPONE_CONN_{name.upper()}": url for name, url in self.connections.items()}
        done = subprocess.run(
            [sys.executable, "-c", "from dpone.cli.root import main; main()", *arguments],
            cwd=self.folder,
            env={**os.environ, **given, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def refuse_traces(self, *said: Said) -> None:
        written = {str(i): each.text for i, each in enumerate(said)}
        written |= {
            str(path): path.read_text(errors="replace") + path.name for path in self.folder.rglob("*") if path.is_file()
        }
        for where, text in written.items():
            for trace in TRACES:
                assert trace not in text, f"{where} holds the password"
            assert "Traceback" not in text, f"{where} holds a traceback: {text}"


Open = Callable[..., Desk]


@pytest.fixture
def account(db: Db, schema: str) -> Iterator[str]:
    """A user who may log in with the canary as the password, and may do nothing else."""
    name = f"{schema}_user"
    db.execute(f"CREATE ROLE {name} LOGIN PASSWORD {psycopg.sql.Literal(CANARY).as_string(db)}".encode())
    yield name
    db.execute(f"DROP OWNED BY {name}".encode())
    db.execute(f"DROP ROLE {name}".encode())


@pytest.fixture
def desk(tmp_path: Path, db: Db, schema: str, endpoint: Any, account: str) -> Open:
    db.execute("CREATE TABLE src (id int PRIMARY KEY, v text NOT NULL)")
    db.execute("INSERT INTO src SELECT i, 'v' || i FROM generate_series(1, 9) i")
    db.execute(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {account}".encode())
    db.execute(f"GRANT SELECT ON src TO {account}".encode())

    def opened(
        *, host: str = endpoint.host, port: int = endpoint.port, password: str = CANARY, table: str = "src"
    ) -> Desk:
        def url(host: str, port: int, password: str) -> str:
            return (
                f"postgresql://{account}:{quote(password, safe='')}@{host}:{port}/{endpoint.database}?connect_timeout=3"
            )

        manifest = {
            "version": 1,
            "name": "orders",
            "source": {"type": "postgres", "connection": "shop", "table": f"{schema}.{table}"},
            "sink": {"type": "postgres", "connection": "dwh", "table": f"{schema}.tgt"},
            "strategy": {"mode": "full_refresh", "key": ["id"]},
        }
        tmp_path.joinpath("orders.yaml").write_text(json.dumps(manifest))
        right = url(endpoint.host, endpoint.port, CANARY)
        return Desk(tmp_path, {"shop": url(host, port, password), "dwh": right})

    return opened


def test_a_right_manifest_runs_and_shows_no_password(db: Db, desk: Open) -> None:
    at = desk()
    said = [at.dpone(*command) for command in (("check", "orders.yaml"), ("plan", "orders.yaml"))]
    said += [at.dpone("run", "orders.yaml", "--dry-run"), at.dpone("run", "orders.yaml"), at.dpone("runs", "list")]
    said += [at.dpone("run", "orders.yaml", "--format", "json", DPONE_LOG_LEVEL="debug"), at.dpone("connectors")]
    assert [each.exit for each in said] == [0] * len(said), [each.errors for each in said]
    assert db.execute("SELECT count(*) FROM tgt").fetchone() == (9,)
    at.refuse_traces(*said)


@pytest.mark.parametrize(
    "change, code, exit_code",
    [
        ({"port": 1}, "source.unreachable", 1),
        ({"host": "nowhere.invalid"}, "source.unreachable", 1),
        ({"password": f"wrong {CANARY}"}, "source.login_refused", 1),
        ({"table": "missing"}, "source.table_missing", 2),
    ],
    ids=["port", "host", "password", "table"],
)
def test_what_is_wrong_at_the_source_is_said_once(
    desk: Open, change: dict[str, Any], code: str, exit_code: int
) -> None:
    at = desk(**change)
    assert at.dpone("check", "orders.yaml").exit == 0  # which connects to nothing
    said = [at.dpone("plan", "orders.yaml"), at.dpone("run", "orders.yaml"), at.dpone("run", "orders.yaml", "--debug")]
    for each in said[:2]:
        assert each.exit == exit_code, each
        assert each.messages == [code], each
    at.refuse_traces(*said[:2])
    for trace in TRACES:
        assert trace not in said[2].text


@pytest.mark.parametrize("at_source", [True, False])
def test_a_right_that_is_missing_is_said_once(
    db: Db,
    schema: str,
    account: str,
    desk: Open,
    at_source: bool,  # noqa: FBT001 - which end
) -> None:
    at = desk()
    right = "SELECT ON src" if at_source else f"CREATE ON SCHEMA {schema}"
    db.execute(f"REVOKE {right} FROM {account}".encode())
    said = at.dpone("run", "orders.yaml")
    assert said.exit == 1, said
    assert said.messages == [f"{'source' if at_source else 'sink'}.not_allowed"], said
    at.refuse_traces(said)
    assert db.execute("SELECT to_regclass('tgt')::text").fetchone() == (None,)
