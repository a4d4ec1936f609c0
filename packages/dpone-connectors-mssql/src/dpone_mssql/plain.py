"""What a person writes with pyodbc alone: rows out of SQL Server by fetchmany, or into it by fast_executemany.

A program of its own, which the benchmark measures dpone beside: `python plain.py VERB STATEMENT`, told by its
environment how to connect. Rows come and go as the text of COPY.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, TextIO

ROWS = 10_000  # at once, either way
ZONED = -155  # a datetimeoffset, which pyodbc does not read by itself
_LONG = (-9, 4000, 0)  # SQL_WVARCHAR
NULL = "\\N"
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def connect() -> Any:
    import pyodbc

    pyodbc.pooling = False
    connection = pyodbc.connect(os.environ["DPONE_BENCH_ODBC"], autocommit=False)
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


def read(statement: str, out: TextIO) -> None:
    """The rows of a query, as text."""
    with connect() as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        while rows := cursor.fetchmany(ROWS):
            out.writelines("\t".join([_text(v) for v in row]) + "\n" for row in rows)


def write(statement: str, kinds: str, source: TextIO) -> None:
    """Text becomes rows by an INSERT, in one transaction; `kinds` has a word for each column."""
    takes = [_TAKES[kind] for kind in kinds.split(",")]
    with connect() as connection:
        cursor = connection.cursor()
        cursor.fast_executemany = True
        # said beforehand, or text without limit would be sent row by row
        cursor.setinputsizes([_LONG if kind == "long" else None for kind in kinds.split(",")])
        while lines := list(islice(source, ROWS)):
            rows = [
                [None if v == NULL else take(v) for take, v in zip(takes, line[:-1].split("\t"), strict=True)]
                for line in lines
            ]
            cursor.executemany(statement, rows)
        connection.commit()


def run(statement: str) -> None:
    with connect() as connection:
        connection.execute(statement)
        connection.commit()


def _text(value: object) -> str:
    match value:
        case None:
            return NULL
        case bool():
            return "t" if value else "f"
        case str():
            return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
        case _:
            return str(value)


def _zoned(value: bytes) -> str:
    year, month, day, hour, minute, second, nanos, ahead, minutes = struct.unpack("<6hI2h", value)
    day_and_clock = f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nanos // 1000:06}"
    return f"{day_and_clock}{ahead:+03}:{abs(minutes):02}"


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    first, *rest = text.split("\\\\")
    return "\\".join(_parts(part) for part in (first, *rest))


def _parts(text: str) -> str:
    first, *rest = text.split("\\")
    return first + "".join(_ESCAPES.get(part[:1], part[:1]) + part[1:] for part in rest)


_TAKES: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "decimal": Decimal,
    "bool": lambda text: text == "t",
    "date": date.fromisoformat,
    "moment": datetime.fromisoformat,
    "text": _unescaped,
    "long": _unescaped,
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
            read(statement, sys.stdout)
        case "write":
            write(statement, kinds, sys.stdin)
        case _:
            sys.exit(f"{verb} is none of bare, count, run, read, write")


if __name__ == "__main__":
    main(*sys.argv[1:])
