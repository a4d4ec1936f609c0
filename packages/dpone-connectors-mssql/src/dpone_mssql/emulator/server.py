"""The process that the emulator lives in: `python -m dpone_mssql.emulator.server`, told by its environment what it is.

Its supervisor ends it; it also ends by itself when its standard input closes.
"""

from __future__ import annotations

import os
import socket
import threading
from functools import cache
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from dpone_mssql.emulator.certificate import certify
from dpone_mssql.emulator.client import Client, Served
from dpone_mssql.emulator.database import create
from dpone_mssql.emulator.names import LongNames
from dpone_mssql.emulator.packets import Packets

READY = "listening "
_BACKLOG = 64


def serve() -> None:
    """Clients are served until the process ends."""
    url, password = os.environ["DPONE_POSTGRES_URL"], os.environ["DPONE_MSSQL_PASSWORD"]
    tls, _ = certify(Path.cwd())
    served = Served(
        dsn=lambda name: make_conninfo(url, dbname=name),
        has_database=lambda name: _has(url, name),
        create_database=lambda name: create(url, name),
        user=os.environ["DPONE_MSSQL_USER"],
        password=password,
        tls=tls,
        names=cache(lambda _: LongNames()),
    )
    listener = socket.create_server(("127.0.0.1", int(os.environ["DPONE_MSSQL_PORT"])), backlog=_BACKLOG)
    print(f"{READY}{listener.getsockname()[1]}", flush=True)  # noqa: T201 - the word that the launcher waits for
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(client, served), daemon=True).start()


def _serve(client: socket.socket, served: Served) -> None:
    with client:
        Client(Packets(client), served).serve()


def _has(url: str, name: str) -> bool:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
    return found is not None


if __name__ == "__main__":
    serve()
