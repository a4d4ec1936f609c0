"""An end that does not answer is one message with its code, whichever it is: no traceback, and no other sound."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dpone.testing.shop import open_shop

NOBODY = "127.0.0.1:1"
SECRET = "c4n4ry"
CONNECTIONS = {
    "postgres": f"postgresql://u:{SECRET}@{NOBODY}/x",
    "mssql": f"mssql://u:{SECRET}@{NOBODY}/x?login_timeout=2",
    "clickhouse": f"clickhouse://u:{SECRET}@{NOBODY}/x",
    "kafka": f"kafka://{NOBODY}?request_timeout=2",
    "rest": f"http://{NOBODY}/?retries=0&token={SECRET}",
    "bigquery": f"bigquery://project/x?auth=anonymous&endpoint=http://{NOBODY}",
}
PLACES = {"kafka": "topic: orders", "rest": "path: orders", "bigquery": "table: x.orders"}
SOURCES, SINKS = set(CONNECTIONS) - {"bigquery"}, set(CONNECTIONS) - {"rest"}


@pytest.mark.parametrize(
    "side, name", [*(("source", n) for n in sorted(SOURCES)), *(("sink", n) for n in sorted(SINKS))]
)
def test_an_end_that_is_away_is_one_message(tmp_path: Path, side: str, name: str) -> None:
    open_shop(tmp_path)
    away = f"{{type: {name}, connection: away, {PLACES.get(name, 'table: x.orders')}}}"
    ends = {
        "source": "{type: memory, connection: shop, table: public.orders}",
        "sink": "{type: memory, connection: dwh, table: raw.orders}",
        side: away,
    }
    (tmp_path / "away.yaml").write_text(
        f"version: 1\nname: away\nsource: {ends['source']}\nsink: {ends['sink']}\nstrategy: {{mode: full_refresh}}\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", "from dpone.cli.root import main; main()", "--testing", "run", "away.yaml", "--quiet"],
        cwd=tmp_path,
        env={**os.environ, "DPONE_CONN_AWAY": CONNECTIONS[name]},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    first, second = said.stderr.splitlines()
    assert first.startswith(f"error [{side}.unreachable] "), said.stderr
    assert second.startswith("  ")
    assert said.returncode == 1
    assert SECRET not in said.stdout + said.stderr
