"""What a person writes with a driver alone: rows out of SQL Server by fetchmany, or into it by its quickest call.

A program of its own, which the benchmark measures dpone beside: `python plain.py VERB STATEMENT`, told by its
environment how to connect, and by which driver. Rows come and go as the text of COPY, or go as JSON.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, TextIO
from uuid import UUID

from dpone.testing.plain import JSON_LINES, NULL, copied, put, unescaped

ROWS = 10_000  # at once, either way
PROVIDER = "MSSQL_PYTHON_NATIVE_PROVIDER"  # which mssql-python itself obeys
ZONED = -155  # a datetimeoffset, which pyodbc does not read by itself
_LONG = (-9, 4000, 0)  # SQL_WVARCHAR


def connect() -> Any:
    """A connection of pyodbc, or of mssql-python where the benchmark says by which library it reaches the server."""
    text = os.environ["DPONE_BENCH_ODBC"]
    if PROVIDER in os.environ:
        import mssql_python

        mssql_python.pooling(enabled=False)
        return mssql_python.connect(text, autocommit=False)
    import pyodbc

    pyodbc.pooling = False
    connection = pyodbc.connect(text, autocommit=False)
    connection.add_output_converter(ZONED, _zoned)
    return connection


def bare() -> None:
    """The driver is there, and the server answers."""
    connect().close()


def count(statement: str) -> None:
    """All rows were fetched, and none was kept."""
    with connect() as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        found = 0
        while rows := cursor.fetchmany(ROWS):
            found += len(rows)
    sys.stdout.write(f'{{"rows": {found}}}')


def read(statement: str, wire: str, out: TextIO) -> None:
    """The rows of a query, as text."""
    with connect() as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        names = [column[0] for column in cursor.description]
        while rows := cursor.fetchmany(ROWS):
            if wire == JSON_LINES:
                put((dict(zip(names, row, strict=True)) for row in rows), wire, out)
            else:
                out.writelines(map(copied, rows))


def write(statement: str, kinds: str, source: TextIO) -> None:
    """Text becomes rows by an INSERT, in one transaction; `kinds` has a word for each column."""
    rows = _rows(kinds, source)
    with connect() as connection:
        cursor = connection.cursor()
        cursor.fast_executemany = True
        # said beforehand, or text without limit would be sent row by row
        cursor.setinputsizes([_LONG if kind == "long" else None for kind in kinds.split(",")])
        while some := list(islice(rows, ROWS)):
            cursor.executemany(statement, some)
        connection.commit()


def bulk(table: str, kinds: str, source: TextIO) -> None:
    """Text becomes rows by the bulk copy of mssql-python, which pyodbc has not."""
    with connect() as connection:
        connection.cursor().bulkcopy(table, _rows(kinds, source), timeout=0, keep_nulls=True)


def _rows(kinds: str, source: TextIO) -> Iterator[tuple[Any, ...]]:
    takes = [_TAKES[kind] for kind in kinds.split(",")]
    for line in source:
        yield tuple(None if v == NULL else take(v) for take, v in zip(takes, line[:-1].split("\t"), strict=True))


def run(statement: str) -> None:
    with connect() as connection:
        connection.execute(statement)
        connection.commit()


def _zoned(value: bytes) -> str:
    year, month, day, hour, minute, second, nanos, ahead, minutes = struct.unpack("<6hI2h", value)
    day_and_clock = f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nanos // 1000:06}"
    return f"{day_and_clock}{ahead:+03}:{abs(minutes):02}"


_TAKES: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "decimal": Decimal,
    "bool": lambda text: text in {"t", "true"},
    "date": date.fromisoformat,
    "moment": datetime.fromisoformat,
    "uuid": UUID,
    "text": unescaped,
    "long": unescaped,
}


def main(verb: str, statement: str = "", kinds: str = "") -> None:
    match verb:
        case "bare":
            bare()
        case "count":
            count(statement)
        case "run":
            run(statement)
        case "read":
            read(statement, kinds, sys.stdout)
        case "write":
            write(statement, kinds, sys.stdin)
        case "bulk":
            bulk(statement, kinds, sys.stdin)
        case _:
            sys.exit(f"{verb} is none of bare, count, run, read, write, bulk")


if __name__ == "__main__":
    main(*sys.argv[1:])
