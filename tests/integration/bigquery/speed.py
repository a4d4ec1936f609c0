"""Measures rows from PostgreSQL to Parquet files that are ready to be sent, against a bare pump; prints what it found.

python tests/integration/bigquery/speed.py [ROWS] [ROUNDS]

The control is what a person would write: COPY as CSV, parsed by pyarrow, written as Parquet. Rounds are interleaved and
medians compared. Memory is the greatest resident size of a process that does nothing else, and how much more that is
than for a tenth of the rows.
"""

from __future__ import annotations

import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from dpone.batch import ARROW
from dpone.connector import Column, Dataset, ReadRequest, StageRef
from dpone.manifest.connections import from_url
from dpone.strategies import Read
from dpone.testing.services.postgres import EmbeddedPostgres
from dpone_bigquery.staging import BigQueryWriter
from dpone_bigquery.typemap import TYPES
from dpone_postgres import connector as postgres

TABLE = """
CREATE TABLE facts AS SELECT
  i::bigint AS id, (i % 1000)::int AS customer, (i % 7)::smallint AS kind, i / 7.0::float8 AS score,
  ((i % 100000) / 8.0)::numeric(18,4) AS amount, (i % 2 = 0) AS open, date '2024-01-01' + (i % 400)::int AS day,
  timestamptz '2024-01-01Z' + i * interval '1 second' AS created, timestamp '2024-01-01' + i * interval '1 ms' AS seen,
  'name ' || i AS name, 'u' || i || '@example.org' AS email,
  CASE WHEN i % 3 = 0 THEN 'a longer note on ' || i END AS note, md5(i::text) AS digest
FROM generate_series(1, {rows}) AS i
"""
NAMES = (
    *("id", "customer", "kind", "score", "amount", "open", "day", "created", "seen", "name", "email", "note"),
    "digest",
)


class _Pipe(io.RawIOBase):
    """What a COPY yields, as a file."""

    def __init__(self, pieces: Any) -> None:
        super().__init__()
        self._pieces = pieces
        self._held = bytearray()

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while len(self._held) < len(into):
            piece = self._pieces.read()
            if not piece:
                break
            self._held += piece
        taken = self._held[: len(into)]
        del self._held[: len(taken)]
        into[: len(taken)] = taken
        return len(taken)


def bare(url: str) -> int:
    """COPY csv, pyarrow, Parquet."""
    rows = 0
    writer: Any = None
    types = {"amount": pa.decimal128(18, 4), "created": pa.timestamp("us", tz="UTC"), "seen": pa.timestamp("us")}
    convert = pc.ConvertOptions(column_types=types, strings_can_be_null=True, true_values=["t"], false_values=["f"])
    with tempfile.TemporaryFile() as into, psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET datestyle = 'ISO'; SET timezone = 'UTC'")
        query = f"COPY (SELECT {', '.join(NAMES)} FROM facts) TO STDOUT (FORMAT csv)"
        with cursor.copy(query.encode()) as copy:
            file: Any = io.BufferedReader(_Pipe(copy), 1 << 20)
            read = pc.ReadOptions(column_names=list(NAMES), block_size=4 << 20)
            for batch in pc.open_csv(file, read_options=read, convert_options=convert):
                if writer is None:
                    writer = pq.ParquetWriter(into, batch.schema, compression="snappy")
                writer.write_batch(batch)
                rows += batch.num_rows
        writer.close()
    return rows


def ours(url: str) -> int:
    """The source's batches through the sink's writer, up to the load job."""
    config = from_url(url, postgres).resolve({})
    rows = 0
    assert postgres.source is not None
    with postgres.source.open(config) as source:
        dataset = Dataset(("public", "facts"))
        schema = source.describe(dataset)
        request = ReadRequest(dataset, Read.SCAN, tuple(Column(f.name, f.name) for f in schema), ARROW, splits=1)
        columns = [[f.name, TYPES.land(f).native] for f in schema]
        ref = StageRef("stage", {"table": ["p", "d", "raw"], "columns": columns})
        nowhere: Any = None
        writer = BigQueryWriter(nowhere, ref, "0")
        with patch.object(BigQueryWriter, "_send", _keep), source.open(request) as reading:
            for split in reading.splits:
                for batch in source.read(request, split):
                    writer.write(batch)
                    rows += batch.rows or batch.data.num_rows
            writer.finish()
    return rows


def _keep(self: Any, to: object, *, truncates: bool) -> None:
    """Instead of the load job: the file is whole, and another one begins."""
    del to, truncates
    self._file.finish()
    self._file.file.close()
    self._file = None
    self._parts += 1


def timed(call: Callable[[str], int], url: str, rows: int) -> tuple[float, float]:
    """Seconds by the wall and of our own processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    assert call(url) == rows
    return time.perf_counter() - wall, time.process_time() - cpu


def memory(url: str) -> float:
    """Megabytes at the most of a process that writes all rows and does nothing else."""
    done = subprocess.run([sys.executable, __file__, url], capture_output=True, text=True, check=True)
    return float(done.stdout)


def own_peak() -> float:
    # not getrusage, whose answer a child takes over from its parent
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def made(url: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS facts")
        connection.execute(TABLE.format(rows=rows).encode())


def measure(rows: int, rounds: int) -> dict[str, float]:
    with EmbeddedPostgres() as endpoint:
        url = endpoint.url(scheme="postgresql")
        made(url, rows // 10)
        tenth = memory(url)
        made(url, rows)
        whole = memory(url)
        found: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": []}
        for _ in range(rounds):
            found["bare"].append(timed(bare, url, rows))
            found["ours"].append(timed(ours, url, rows))
    wall = {name: statistics.median(w for w, _ in times) for name, times in found.items()}
    cpu = {name: statistics.median(c for _, c in times) for name, times in found.items()}
    return {
        "rows": rows,
        "bare_seconds": wall["bare"],
        "ours_seconds": wall["ours"],
        "rows_per_second": rows / wall["ours"],
        "rows_per_second_of_cpu": rows / cpu["ours"],
        "speed_by_wall": wall["bare"] / wall["ours"],
        "speed_by_cpu": cpu["bare"] / cpu["ours"],
        "peak_mb": whole,
        "growth_mb": whole - tenth,
    }


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("postgres"):
        ours(sys.argv[1])
        print(own_peak())  # noqa: T201 - the answer
    else:
        asked, rounds = (int(a) for a in (sys.argv[1:] + ["1000000", "3"][len(sys.argv) - 1 :])[:2])
        print(json.dumps(measure(asked, rounds), indent=1))  # noqa: T201 - the answer
