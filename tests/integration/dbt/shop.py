"""A dbt project over two tables that dpone loads: the tables, the manifest, and dbt itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from dpone.testing.services.endpoint import Endpoint

PROJECT = Path(__file__).parent / "project"
MANIFEST = """\
version: 1
name: shop
defaults:
  source: {type: postgres, connection: shop}
  sink: {type: postgres, connection: shop}
  strategy: {mode: full_refresh, key: [id]}
streams:
  - {source: {table: public.orders}, sink: {table: raw.orders}}
  - {source: {table: public.customers}, sink: {table: raw.customers}}
"""
TABLES = """
create schema raw;
create table public.customers (id int primary key, name text not null, country text not null);
insert into public.customers values (1, 'Ada', 'DE'), (2, 'Bob', 'FR'), (3, 'Cyd', 'IT');
create table public.orders (id int primary key, customer_id int not null, amount numeric(10, 2), ordered_at date);
insert into public.orders select n, n % 3 + 1, n * 1.5, date '2026-01-01' + n % 7 from generate_series(1, 100) n;
update public.orders set amount = -1 where id = 42;
"""


def execute(server: Endpoint, statements: str) -> None:
    import psycopg

    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(statements.encode())


def carry_out(dbt: str, verb: str, server: Endpoint, folder: Path) -> Path:
    """The folder where dbt left its artifacts."""
    assert server.password is not None
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DBT_HOST": server.host,
        "DBT_PORT": str(server.port),
        "DBT_USER": server.user or "",
        "DBT_ENV_SECRET_PASSWORD": server.password.reveal(),
        "DBT_DATABASE": server.database or "",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    project = folder / "project"
    shutil.copytree(PROJECT, project, dirs_exist_ok=True)
    command = [dbt, verb, "--project-dir", str(project), "--profiles-dir", str(project)]
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode in {0, 1}, done.stdout + done.stderr  # 1: a test failed
    return project / "target"
