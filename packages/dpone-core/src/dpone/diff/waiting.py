"""Which differences are none yet: rows that the next run reads in any case, by a cursor or by transactions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dpone.batch import ARROW
from dpone.connector import Connector, Late, Sink, Source
from dpone.diff.streaming import spelled
from dpone.diff.subject import Subject, Texts
from dpone.errors import DataError
from dpone.prepare import prepare
from dpone.strategies import Read
from dpone.transform import through_core

MOST = 200_000  # keys that are held at once


class Waiting(Struct, frozen=True, dict=True):
    """The keys between the stored position and now, read when the first difference asks for them."""

    subject: Subject
    source: Source
    sink: Sink
    source_connector: Connector[Any]
    sink_connector: Connector[Any]

    @cached_property
    def keys(self) -> frozenset[Texts]:
        return frozenset(self._read())

    def _read(self) -> Iterator[Texts]:
        plan = self.subject.plan
        if plan.rule.read not in {Read.SINCE, Read.XMIN} or not self.subject.keyed:
            return
        with self.sink.lease(plan.target, plan.pipeline) as lease:
            stored = lease.stored
        if stored is None or stored.position is None:
            return  # nothing was loaded: everything that is missing is missing
        load = replace(plan.load, id="diff", first=False, reconcile=False)
        prepared = prepare(plan, load, self.source_connector, self.sink_connector, self.subject.layout, stored)
        cursor = prepared.request.cursor
        if cursor is not None:  # what is held back for its youth waits, too
            cursor = replace(cursor, late=Late.OVERLAP)
        request = replace(prepared.request, format=ARROW, cursor=cursor)
        key = [c for c in self.subject.columns if c.name in self.subject.key]
        count = 0
        with self.source.open(request) as reading:
            for split in reading.splits:
                batches = self.source.read(request, split)
                for batch in through_core(batches, prepared.columns, prepared.core_where):
                    count += batch.data.num_rows
                    _refuse_many(count)
                    yield from spelled(batch.data, key)


def _refuse_many(count: int) -> None:
    if count > MOST:
        raise DataError(
            f"more than {MOST:,} rows wait for the next run, so that a row which is missing cannot be told from one "
            "that was not yet read",
            code="diff.too_far_behind",
            hint="run the manifest first",
        )
