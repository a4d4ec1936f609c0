"""A file as a sink: leases by a lock of the operating system, stages beside it, publications in one transaction."""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from dpone.books import WAIT, HeldLease, held_elsewhere
from dpone.connector import (
    Finding,
    Layout,
    Position,
    SchemaChange,
    StageRef,
    StageSpec,
    Target,
)
from dpone.names import print_name
from dpone.sql.operations import render
from dpone.sql.seal import explained
from dpone.strategies import Load
from dpone_sqlite.config import SqliteConfig
from dpone_sqlite.database import SQLITE, Connection, connected, table_schema, translated
from dpone_sqlite.publication import FilePublication, publishing
from dpone_sqlite.staging import FileStage, SplitWriter, remove_stage, stage_path, staged, writing
from dpone_sqlite.state import (
    begin_load,
    committed_chunks,
    end_load,
    ensure_books,
    is_committed,
    ledger_of,
    leftovers,
    positions,
    set_position,
)


@contextmanager
def connect(config: SqliteConfig) -> Iterator[FileSink]:
    with connected(config, makes=True) as connection, translated(config.label):
        ensure_books(connection)
        yield FileSink(config, connection)


class FileSink:
    def __init__(self, config: SqliteConfig, connection: Connection) -> None:
        self._config, self._connection = config, connection

    def inspect(self, target: Target) -> Layout | None:
        found = table_schema(self._connection, target.name)
        return None if found is None else Layout(found)

    @contextmanager
    def lease(self, target: Target, pipeline: str) -> Iterator[HeldLease]:
        label = print_name(target.name)
        with self._locked(label, WAIT) as is_ours:
            if not is_ours:
                raise held_elsewhere(label)
            self._remove_leftovers(label, timedelta(0))
            yield HeldLease(
                positions(self._connection, label),
                pipeline,
                partial(is_committed, self._connection, label),
                partial(committed_chunks, self._connection, label),
            )

    @contextmanager
    def _locked(self, label: str, seconds: float) -> Iterator[bool]:
        """Whether nobody else holds the target's lock; then nobody gets it in the context."""
        digest = hashlib.sha256(label.encode()).hexdigest()[:20]
        path = self._config.path.absolute().with_name(f"{self._config.path.name}.lock-{digest}")
        with path.open("w") as file:
            yield _lock(file.fileno(), seconds)

    @contextmanager
    def stage(self, spec: StageSpec) -> Iterator[FileStage]:
        label = print_name(spec.target.name)
        path = stage_path(self._config, label, spec.load_id)
        begin_load(self._connection, label, spec.load_id, spec.pipeline, str(path))
        try:
            with staged(self._config, spec, label) as stage:
                yield stage
        finally:
            end_load(self._connection, label, spec.load_id)

    def writer(self, stage: StageRef, split: str) -> AbstractContextManager[SplitWriter]:
        return writing(self._config, stage, split)

    def publication(self, spec: StageSpec, load: Load) -> AbstractContextManager[FilePublication]:
        del load  # the program of the spec holds all that matters of it
        return publishing(self._config, spec, print_name(spec.target.name))

    def sweep(self, older_than: timedelta) -> Sequence[str]:
        removed = []
        for label in {target for target, _, _ in leftovers(self._connection, older_than)}:
            with self._locked(label, 0) as is_ours:
                if is_ours:
                    removed += self._remove_leftovers(label, older_than)
        return removed

    def _remove_leftovers(self, label: str, older_than: timedelta) -> list[str]:
        """The stages that the ledger names are gone; only the holder of the lease may call this."""
        found = [entry for entry in leftovers(self._connection, older_than) if entry[0] == label]
        for _, load_id, path in found:
            remove_stage(Path(path))
            end_load(self._connection, label, load_id)
        return [path for _, _, path in found]

    def explain(self, spec: StageSpec, changes: Sequence[SchemaChange]) -> Sequence[str]:
        """The statements of the final transaction."""
        load = explained(spec, SQLITE.table(spec.target.name), ledger_of(print_name(spec.target.name)))
        return [
            *(f"-- {change}" for change in changes),
            *(statement.text for op in spec.program for statement in render(op, load, SQLITE)),
        ]

    def set_position(self, target: Target, pipeline: str, position: Position | None) -> None:
        with self.lease(target, pipeline):
            set_position(self._connection, print_name(target.name), pipeline, position)

    def diagnose(self) -> Sequence[Finding]:
        left = leftovers(self._connection)
        action = "they belong to running loads, or `dpone sweep` removes them" if left else ""
        return [Finding("leftovers", ok=not left, found=f"{len(left)} stages in the ledger", action=action)]


def _lock(file: int, seconds: float) -> bool:
    """Whether the lock was had within that time; the system lets go of it when its holder ends, however it ends."""
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        else:
            return True
