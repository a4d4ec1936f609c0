"""A stage: a database file of its own beside the target's, so that filling it locks nobody out.

Each split is a file too, which a second attempt of the split replaces; sealing brings them together.
"""
# ruff: noqa: S608 -- all text here is made of quoted identifiers and encoded literals, by the dialect

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dpone.batch import Batch
from dpone.connector import CHANGE_COLUMNS, Staged, StageRef, StageSpec
from dpone.probes import Measurement, Probe
from dpone.schema import Field, parse_type
from dpone.sql.load import SqlLoad
from dpone.sql.probe import render_probe
from dpone.sql.seal import RawStage, SealedTables, read_survey, seal_checks, sealed_tables, survey_query
from dpone.stage import unsealed
from dpone_sqlite.config import SqliteConfig
from dpone_sqlite.database import SQLITE, Connection, connected, remove_database, translated
from dpone_sqlite.state import ledger_of
from dpone_sqlite.values import answered, unpacked

ATTACHED = "stage"  # the stage's file, as the publication's connection calls it


def stage_path(config: SqliteConfig, target: str, load_id: str) -> Path:
    """Beside the target's file: all stages of a target begin alike."""
    of_target, of_load = (hashlib.sha256(text.encode()).hexdigest()[:16] for text in (target, load_id))
    return config.path.absolute().with_name(f"{config.path.name}.dpone-{of_target}-{of_load}")


def remove_stage(path: Path) -> None:
    """The stage and its splits are gone."""
    for split in path.parent.glob(f"{path.name}.*"):
        split.unlink(missing_ok=True)
    remove_database(path)


class SplitWriter:
    """Takes the batches of one split, in one transaction."""

    def __init__(self, connection: Connection, fields: Sequence[Field]) -> None:
        self._connection, self._fields = connection, fields
        self._insert = f"INSERT INTO raw VALUES ({', '.join('?' for _ in fields)})"

    def write(self, batch: Batch) -> None:
        self._connection.executemany(self._insert, unpacked(batch, self._fields))


@contextmanager
def writing(config: SqliteConfig, ref: StageRef, split: str) -> Iterator[SplitWriter]:
    """When the context ends without an error, the split's file holds what was written, and nothing older."""
    digest = hashlib.sha256(split.encode()).hexdigest()[:20]
    path = Path(f"{ref.payload['path']}.{digest}")
    fields = [Field(name, parse_type(of)) for name, of in ref.payload["fields"]]
    remove_database(path)
    with connected(replace_path(config, path), makes=True) as connection, translated(config.label):
        connection.execute("PRAGMA journal_mode = OFF")  # a file that was not finished is thrown away
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.execute(SQLITE.create_table("raw", fields))  # all nullable: sealing says by name what is missing
        yield SplitWriter(connection, fields)
        connection.execute("CREATE TABLE done (one INTEGER)")
        connection.execute("COMMIT")


def replace_path(config: SqliteConfig, path: Path) -> SqliteConfig:
    return config.model_copy(update={"path": path})


class FileStage(Struct):
    """A stage, and after sealing what its entries amount to."""

    spec: StageSpec
    target: str
    path: Path
    connection: Connection
    config: SqliteConfig
    sealed: SealedTables | None = None

    @property
    def fields(self) -> tuple[Field, ...]:
        return self.spec.content

    @property
    def ref(self) -> StageRef:
        fields = (*self.fields, *(CHANGE_COLUMNS if self.spec.is_tagged else ()))
        return StageRef(self.path.name, {"path": str(self.path), "fields": [[f.name, str(f.type)] for f in fields]})

    def seal(self) -> Staged:
        """The splits are together, checked, and reduced to live rows, dead keys and present keys."""
        how, fields = self.spec.sealing, self.fields
        raw = RawStage("raw", fields, self.spec.is_tagged)
        with translated(self.config.label):
            self._gather([replace(f, nullable=True) for f in (*fields, *(CHANGE_COLUMNS if raw.tagged else ()))])
            found = read_survey(self.ask(survey_query(raw, how, SQLITE)))
            for check in seal_checks(raw, how, found, SQLITE):
                check.refuse(self.ask(check.text)[0])
            self.sealed, staged = sealed_tables(raw, how, found, SQLITE, self._make)
        return staged

    def measure(self, probe: Probe) -> Measurement:
        with translated(self.config.label):
            row = self.ask(render_probe(probe, self._sealed.live, self.fields, SQLITE))
        return answered(probe, row, self.fields)

    def load(self, target: str) -> SqlLoad:
        """The stage as the rendering of operations sees it from the target's file."""
        load = self._sealed.load(self.spec, target, ledger_of(self.target))
        live, dead, present = (table and f"{ATTACHED}.{table}" for table in (load.live, load.dead, load.present))
        return replace(load, live=live or "", dead=dead, present=present)

    @property
    def _sealed(self) -> SealedTables:
        if self.sealed is None:
            raise unsealed()
        return self.sealed

    def ask(self, query: str) -> tuple[Any, ...]:
        with closing(self.connection.execute(query)) as cursor:
            row: tuple[Any, ...] = cursor.fetchone()
            return row

    def _gather(self, fields: Sequence[Field]) -> None:
        """The rows of all finished splits are in one table."""
        for table in ("raw", "live", "dead", "present"):
            self.connection.execute(SQLITE.drop(table))
        self.connection.execute(SQLITE.create_table("raw", fields))
        for split in sorted(self.path.parent.glob(f"{self.path.name}.*")):
            self.connection.execute("ATTACH ? AS split", (str(split),))
            if self.ask("SELECT COUNT(*) FROM split.sqlite_master WHERE name = 'done'")[0]:
                self.connection.execute("INSERT INTO raw SELECT * FROM split.raw")
            self.connection.execute("DETACH split")

    def _make(self, name: str, fields: Sequence[Field], query: str) -> tuple[str, int]:
        """A table of a query's rows, made by its fields: CREATE TABLE AS would lose how decimals are compared."""
        self.connection.execute(SQLITE.create_table(name, [replace(f, nullable=True) for f in fields]))
        done = self.connection.execute(SQLITE.insert(name, [f.name for f in fields], query))
        return name, done.rowcount


@contextmanager
def staged(config: SqliteConfig, spec: StageSpec, target: str) -> Iterator[FileStage]:
    """Room for the rows of one load, in a file that is gone afterwards."""
    path = stage_path(config, target, spec.load_id)
    remove_stage(path)
    try:
        with connected(replace_path(config, path), makes=True) as connection:
            connection.execute("PRAGMA synchronous = OFF")  # after a crash the stage is read anew
            yield FileStage(spec, target, path, connection, config)
    finally:
        remove_stage(path)
