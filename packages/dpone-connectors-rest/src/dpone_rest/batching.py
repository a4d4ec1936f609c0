"""Batches of about the size that is asked for, whatever size the pages have."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from dpone.batch import ARROW, Batch


def sized(batches: Iterator[pa.RecordBatch], most: int) -> Iterator[Batch]:
    """The same rows in batches of at most about `most` bytes each; no batch is empty."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        if waiting and held + batch.nbytes > most:
            yield _joined(waiting)
            waiting, held = [], 0
        if batch.nbytes > most:
            step = max(1, batch.num_rows * most // batch.nbytes)
            for at in range(0, batch.num_rows, step):
                yield _batch(batch.slice(at, step))
            continue
        waiting.append(batch)
        held += batch.nbytes
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> Batch:
    return _batch(batches[0] if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()[0])


def _batch(data: pa.RecordBatch) -> Batch:
    return Batch(ARROW, data, data.num_rows, data.nbytes)
