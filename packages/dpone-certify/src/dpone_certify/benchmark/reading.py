"""Reads a table as a run would, and throws the rows away. A program of its own: `python reading.py ENGINE NAME`.

The connection is in the environment, as for a manifest; the name of the table is a JSON list.
"""

from __future__ import annotations

import json
import os
import sys

from dpone.batch import ARROW
from dpone.connector import Column, Dataset, ReadRequest
from dpone.manifest import from_url
from dpone.registry import load
from dpone.strategies import Read


def main(engine: str, name: str) -> None:
    connector = load(engine)
    assert connector.source is not None  # the benchmark asks sources alone
    variable = f"DPONE_CONN_BENCH_{engine.upper()}"
    config = from_url(os.environ[variable], connector, origin=variable).resolve()
    dataset = Dataset(tuple(json.loads(name)))
    found = 0
    with connector.source.open(config) as source:
        schema = source.describe(dataset)
        columns = tuple(Column(column, column) for column in schema.names)
        request = ReadRequest(dataset, Read.SCAN, columns, ARROW, key=schema.key)
        with source.open(request) as reading:
            for split in reading.splits:
                for batch in source.read(request, split):
                    assert batch.rows is not None  # which Arrow tells
                    found += batch.rows
    sys.stdout.write(json.dumps({"rows": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
