"""The control of the benchmark: its program reads and writes the text of COPY, and its rows are always the same."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from decimal import Decimal
from typing import Any, Self

import pytest

from dpone.schema import INT64, STRING, Field, Schema, decimal, timestamptz
from dpone.testing.plain import JSON_LINES
from dpone_mssql import plain
from dpone_mssql.control import _made, _word

SCHEMA = Schema(
    (
        Field("id", INT64, nullable=False),
        Field("note", STRING),
        Field("amount", decimal(12, 2)),
        Field("at", timestamptz(6)),
    ),
    key=("id",),
)


class _Fake:
    """A connection that keeps what it is given."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    description = (("number",), ("note",), ("amount",), ("at",))

    def cursor(self) -> _Fake:
        return self

    def execute(self, _: str) -> None: ...

    def setinputsizes(self, _: object) -> None: ...

    def commit(self) -> None: ...

    def fetchmany(self, size: int) -> list[Any]:
        found, self.rows = self.rows[:size], self.rows[size:]
        return found

    def executemany(self, _: str, rows: list[Any]) -> None:
        self.rows += rows


def test_what_was_read_is_what_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[1, "tab\t line\n back\\slash \\n \\\\t", Decimal("1.20"), None], [2, "", None, None]]
    out, back = io.StringIO(), _Fake([])
    monkeypatch.setattr(plain, "connect", lambda: _Fake([list(row) for row in rows]))
    plain.read("SELECT 1", "pg_text", out)
    monkeypatch.setattr(plain, "connect", lambda: back)
    out.seek(0)
    plain.write("INSERT", "int,long,decimal,moment", out)
    assert back.rows == [tuple(row) for row in rows]


def test_the_program_counts_what_it_fetches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plain, "connect", lambda: _Fake([[1]] * 25_000))
    plain.main("count", "SELECT 1")
    assert capsys.readouterr().out == '{"rows": 25000}'
    with pytest.raises(SystemExit):
        plain.main("drop")


def test_a_datetimeoffset_is_told_with_its_offset() -> None:
    raw = bytes.fromhex("e807 0200 1d00 0100 0200 0300 c05a6d07 0500 1e00")
    assert plain._zoned(raw) == "2024-02-29 01:02:03.124607+05:30"


def test_its_rows_are_always_the_same_whatever_their_number() -> None:
    few, many = (next(iter(_made(SCHEMA, rows))) for rows in (10, 30))
    assert many.slice(0, 10).equals(few)
    assert few.column("id").to_pylist() == list(range(1, 11))
    assert few.column("note").null_count == 1


def test_columns_without_limit_are_told_to_the_driver() -> None:
    assert [_word(f) for f in SCHEMA] == ["int", "long", "decimal", "moment"]


def test_rows_are_given_as_json_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(plain, "connect", lambda: _Fake([[1, "a", Decimal("1.20"), None]]))
    plain.read("SELECT 1", JSON_LINES, out)
    assert json.loads(out.getvalue()) == {"number": 1, "note": "a", "amount": "1.20", "at": None}


def test_the_program_stands_alone() -> None:
    """It imports the text of rows and nothing else of ours, so that what it costs is what its driver costs."""
    code = (
        f"import runpy, sys; runpy.run_path({plain.__file__!r}); "
        "print(*sorted(m for m in sys.modules if m.startswith(('dpone', 'pydantic', 'pyarrow'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dpone", "dpone.testing", "dpone.testing.plain"]
