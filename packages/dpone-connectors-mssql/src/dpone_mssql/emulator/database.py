"""A PostgreSQL database becomes one that the emulator serves: types, functions and SQL Server's catalogue are in it."""

from __future__ import annotations

from importlib.resources import files

import psycopg
from psycopg import sql

from dpone_mssql.emulator.types import definitions, text_readers

TEMPLATE = "tsql_template"


def prepare(url: str, database: str) -> None:
    """The server has the template, and a database made of it."""
    with psycopg.connect(url, autocommit=True) as connection:
        if not _exists(connection, TEMPLATE):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
            fill(url)
    create(url, database)


def create(url: str, database: str) -> None:
    """The database is there."""
    with psycopg.connect(url, autocommit=True) as connection:
        if not _exists(connection, database):
            made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(made.format(sql.Identifier(database), sql.Identifier(TEMPLATE)))


def fill(url: str) -> None:
    """The template holds everything."""
    own = files("dpone_mssql.emulator")
    texts = [
        "; ".join(definitions()),
        own.joinpath("functions.sql").read_text(encoding="utf-8"),
        "; ".join(text_readers()),
    ]
    texts += [own.joinpath(name).read_text(encoding="utf-8") for name in ("catalog.sql", "changes.sql", "tracking.sql")]
    with psycopg.connect(url, dbname=TEMPLATE, autocommit=True) as connection:
        connection.execute("SET search_path = pg_catalog, tsql")
        for text in texts:
            connection.execute(text.encode())


def _exists(connection: psycopg.Connection[tuple[object, ...]], name: str) -> bool:
    found = connection.execute("SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)", (name,)).fetchone()
    return found is not None and bool(found[0])
