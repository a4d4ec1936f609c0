"""What a marker means: written down before the marker is seen, and entered by whoever finds it at the target."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dpone.connector import Chunk, Commit, Position, Stored
from dpone.strategies import Read
from dpone_bigquery.layouts import MARKER
from dpone_bigquery.state import Books, Entry, record_id, script
from dpone_bigquery.warehouse import Warehouse

if TYPE_CHECKING:
    from google.cloud import bigquery


def promise(books: Books, entry: Entry, marker: str) -> str:
    """A statement that writes down what holds once the target carries the marker."""
    commit, chunk = entry.commit, entry.commit.chunk
    told = {
        "run": commit.run_id,
        "chunk": [chunk.plan, chunk.id, chunk.last] if chunk else None,
        "appended": list(entry.appended),
        "record": dict(commit.record),
    }
    return books.state_row(entry.pipeline, entry.seq, commit.new, marker, json.dumps(told))


def recover(warehouse: Warehouse, books: Books, table: bigquery.Table | None) -> None:
    """A load that was shown and whose run died before it said so is in the state tables."""
    marker = table.labels.get(MARKER) if table is not None else None
    if not marker:
        return
    for pipeline, seq, kind, token, generation, load_id, told in warehouse.run(
        books.promised(marker), books.target
    ).rows:
        if warehouse.run(books.committed(load_id), books.target).rows[0][0]:
            continue
        position = None if kind is None else Position(Read(kind), json.loads(token))
        about = json.loads(told)
        chunk = Chunk(*about["chunk"]) if about["chunk"] else None
        commit = Commit(None, Stored(position, generation, load_id), about["run"], chunk, about["record"])
        entry = Entry(pipeline, seq, commit, tuple(about["appended"]))
        id_ = record_id(books, load_id, generation)
        warehouse.run(script(books.entries(entry)), books.target, id_=id_)
