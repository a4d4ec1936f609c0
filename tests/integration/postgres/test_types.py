"""Every type of the corpus from PostgreSQL to PostgreSQL, in every wire format: no value changes without a word."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from dpone.errors import DataError
from dpone.plan import ChangeKind, ColumnChange
from dpone.testing.testkit import Native
from dpone_postgres import PostgresConfig
from dpone_postgres.samples import PREPARATION, SAMPLES, UNFIT

pytestmark = pytest.mark.integration_postgres
Db = psycopg.Connection[Any]

# what Arrow holds and Python does not
BEYOND_PYTHON = {
    "date": ("4713-01-01 BC", "0044-03-15 BC", "5874897-12-31", "10000-01-01"),
    "timestamp without time zone": ("4713-01-01 00:00:00 BC", "294246-12-31 23:59:59.999999", "0001-12-31 23:59:59 BC"),
    "timestamp with time zone": ("4713-01-01 00:00:00+00 BC", "10000-01-01 00:00:00.000001+00"),
}
CASES = [(s.native, s.values, s.refused) for s in SAMPLES] + [
    (native, tuple(Native(f"'{t}'::{native}", t) for t in texts), None) for native, texts in BEYOND_PYTHON.items()
]


@pytest.fixture(scope="module", autouse=True)
def prepared(endpoint: Any) -> None:
    with psycopg.connect(endpoint.url(), options="-c search_path=") as connection:
        for statement in PREPARATION:
            connection.execute(statement.encode())


def copied(db: Db, schema: str, config: PostgresConfig, pipeline_type: Any, native: str, values: Any, path: str) -> str:
    """The corpus is written to `src` and loaded into `tgt`; the format that was taken."""
    db.execute(
        f"CREATE TABLE src (id int PRIMARY KEY, c {native}, pad text DEFAULT 'x', only_for_text public.mood)".encode()
    )
    if path != "pg_text":
        db.execute("ALTER TABLE src DROP COLUMN only_for_text")
    for number, value in enumerate((None, *values)):
        literal: sql.Composable = (
            sql.SQL(value.text)
            if isinstance(value, Native)
            else sql.SQL("CAST({} AS " + native + ")").format(sql.Literal(value))
        )
        db.execute(sql.SQL("INSERT INTO src (id, c) VALUES ({}, {})").format(sql.Literal(number), literal))
    changes = {"pad": {"change": ColumnChange(ChangeKind.MASK, "***")}} if path == "arrow" else {}
    pipeline = pipeline_type(
        config, (schema, "src"), (schema, "tgt"), "full_refresh", ("id",), plan={"changes": changes}
    )
    return str(pipeline.run().format)


def differing(db: Db) -> list[tuple[Any, ...]]:
    """Rows whose printed or stored form differs."""
    return db.execute(
        "SELECT s.id, s.c::text, t.c::text FROM src s FULL JOIN tgt t USING (id) "
        "WHERE s.c::text IS DISTINCT FROM t.c::text OR pg_column_size(s.c) IS DISTINCT FROM pg_column_size(t.c) "
        "OR (s.c IS NULL) <> (t.c IS NULL)"
    ).fetchall()


def types_of(db: Db) -> list[tuple[Any, ...]]:
    return db.execute(
        "SELECT count(DISTINCT format_type(atttypid, atttypmod)) FROM pg_attribute "
        "WHERE attrelid IN ('src'::regclass, 'tgt'::regclass) AND attname = 'c'"
    ).fetchall()


@pytest.mark.parametrize("path", ["pg_binary", "pg_text", "arrow"])
@pytest.mark.parametrize("native, values, refused", CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_no_value_changes_without_a_word(
    db: Db, schema: str, config: PostgresConfig, pipeline_type: Any, native: str, values: Any, refused: Any, path: str
) -> None:
    if path == "arrow" and refused:
        with pytest.raises(DataError, match="column c") as caught:
            copied(db, schema, config, pipeline_type, native, values, path)
        assert caught.value.code == UNFIT
        return
    taken = copied(db, schema, config, pipeline_type, native, values, path)
    assert taken == path or (path == "pg_binary" and taken == "pg_text" and ("." in native or native == "regclass"))
    assert differing(db) == []
    assert types_of(db) == [(1,)]


def test_the_corpus_is_wide_enough() -> None:
    assert len({native for native, _, _ in CASES}) >= 45
