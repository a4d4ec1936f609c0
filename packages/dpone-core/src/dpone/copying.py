"""One split on its way from a source into a stage, in whichever process that happens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from dpone.batch import Batch
from dpone.connector import ReadRequest, Sink, Source, Split, StageRef
from dpone.errors import DataError
from dpone.failpoints import hit
from dpone.plan import PlannedColumn
from dpone.where import Where

Sent = tuple[int | None, int]  # rows, None where batches were not counted; and bytes


def batches_of(
    source: Source, request: ReadRequest, split: Split, columns: Sequence[PlannedColumn], core_where: Where
) -> Iterator[Batch]:
    """The batches of a split, as they are to be written."""
    batches = source.read(request, split)
    if not core_where and not any(c.change for c in columns):
        return batches
    from dpone.transform import through_core

    return through_core(batches, columns, core_where)


def copy_split(
    sink: Sink,
    stage: StageRef,
    split: str,
    batches: Iterable[Batch],
    *,
    check: Callable[[], None],
    tell: Callable[[Batch], None],
) -> Sent:
    """The split is in the stage; `check` may end it before each batch, and `tell` hears of each that was written."""
    sent: int | None = 0
    nbytes = 0
    first = True
    with sink.writer(stage, split) as writer:
        for batch in batches:
            check()
            writer.write(batch)
            if first:
                hit("after_first_batch")
                first = False
            sent = None if sent is None or batch.rows is None else sent + batch.rows
            nbytes += batch.nbytes
            tell(batch)
    return sent, nbytes


def total(sent: Iterable[Sent]) -> Sent:
    """What several splits come to."""
    found = list(sent)
    counts = [rows for rows, _ in found]
    rows = None if any(c is None for c in counts) else sum(c for c in counts if c is not None)
    return rows, sum(nbytes for _, nbytes in found)


def refuse_excess(limit: int | None) -> None:
    """Raises when this process holds more memory than the run may."""
    if limit is not None and _resident() > limit:
        raise DataError(
            f"the process holds more than {limit >> 20} MiB",
            code="limits.memory",
            hint="raise `limits: {memory: ...}` or lower the number of splits; nothing of this load was published",
        )


def _resident() -> int:
    """Bytes that the process holds now; zero where the platform does not say."""
    if not sys.platform.startswith("linux"):
        return 0
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 -- read for every batch; Path costs more than the read
        return int(statm.read().split()[1]) * 4096
