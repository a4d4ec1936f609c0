"""How a bug is planted in a run of a real engine: one seam of its two ends does something else, all the rest is real.

Batches travel as Arrow, so that a bug can be said in rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dpone.batch import ARROW, Batch
from dpone.connector import Commit, Connector, Fate
from dpone.ops import Program
from dpone.oracle import Counts
from dpone_certify.certification.serving import Served
from dpone_certify.mutation.document import Seam

Rows = list[dict[str, Any]]


class Bug(Struct, frozen=True):
    """What goes wrong at one seam. Exactly one of the four changes is given.

    `rows` changes what a reader hands over, what a writer is handed, or what stands in the sink when it is read back;
    `program` what is carried out; `commit` what is saved. `strategies` are those in which it means something.
    """

    name: str
    seam: Seam
    strategies: frozenset[str]
    rows: Callable[[Rows], Rows] | None = None
    request: Callable[[Any], Any] | None = None
    program: Callable[[Program], Program] | None = None
    commit: Callable[[Commit], Commit] | None = None


class _Beside:
    """Everything that the wrapped object is, but for what a subclass changes."""

    def __init__(self, real: Any, bug: Bug) -> None:
        self._real, self._bug = real, bug

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Source(_Beside):
    def open(self, request: Any) -> Any:
        return self._real.open(self._asked(request))

    def read(self, request: Any, split: Any) -> Iterator[Batch]:
        for batch in self._real.read(self._asked(request), split):
            yield _changed(batch, self._bug) if self._bug.seam == "reader" else batch

    def _asked(self, request: Any) -> Any:
        return self._bug.request(request) if self._bug.request else request


class _Sink(_Beside):
    @contextmanager
    def writer(self, stage: Any, split: str) -> Iterator[Any]:
        with self._real.writer(stage, split) as writer:
            yield _Writer(writer, self._bug) if self._bug.seam in {"wire", "stage"} else writer

    @contextmanager
    def publication(self, spec: Any, load: Any) -> Iterator[Any]:
        with self._real.publication(spec, load) as publication:
            yield _Publication(publication, self._bug)


class _Writer(_Beside):
    def write(self, batch: Batch) -> None:
        self._real.write(_changed(batch, self._bug))


class _Publication(_Beside):
    def apply(self, program: Program, stage: Any) -> Any:
        if self._bug.program is None:
            return self._real.apply(program, stage)
        applied = self._real.apply(self._bug.program(program), stage)
        total = sum(applied.counts, Counts())
        # the counts of another program, told as if they were this one's
        return replace(applied, counts=(total, *(Counts() for _ in program[1:])))

    def save_position(self, commit: Commit) -> None:
        self._real.save_position(self._bug.commit(commit) if self._bug.commit else commit)


class _Kit(_Beside):
    def __init__(self, real: Any, bug: Bug, connector: Connector[Any]) -> None:
        super().__init__(real, bug)
        self.connector = connector

    def rows(self, endpoint: Any, target: Any) -> Any:
        table = self._real.rows(endpoint, target)
        if self._bug.seam != "comparator" or self._bug.rows is None:
            return table
        import pyarrow as pa

        return pa.Table.from_pylist(self._bug.rows(table.to_pylist()), schema=table.schema)


def _changed(batch: Batch, bug: Bug) -> Batch:
    if bug.rows is None:
        return batch
    import pyarrow as pa

    rows = bug.rows(batch.data.to_pylist())
    found = pa.RecordBatch.from_pylist(rows, schema=batch.data.schema)
    return Batch(ARROW, found, found.num_rows, found.nbytes)


def tampered(served: Served, bug: Bug) -> Served:
    """The same service, whose ends have the bug."""
    real: Connector[Any] = served.kit.connector
    source, sink = real.source, real.sink
    if source is not None:
        source = replace(
            source,
            emits=tuple(wire for wire in source.emits if wire.format == ARROW),
            open=_opening(source.open, bug, _Source),
        )
    if sink is not None:
        # a stage that becomes the target would leave the program nothing to get wrong
        sink = replace(sink, fates=frozenset({Fate.SCRATCH}), open=_opening(sink.open, bug, _Sink))
    return replace(served, kit=_Kit(served.kit, bug, replace(real, source=source, sink=sink)))


def _opening(opened: Callable[[Any], Any], bug: Bug, end: type[_Beside]) -> Callable[[Any], Any]:
    @contextmanager
    def open_end(config: Any) -> Iterator[Any]:
        with opened(config) as real:
            yield end(real, bug)

    return open_end
