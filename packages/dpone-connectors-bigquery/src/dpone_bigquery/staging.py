"""Stages: tables beside the target that hold one load's rows, filled by load jobs, sealed by SQL, dropped at the end.

A split is one table, which one load job replaces as a whole; one that needs several jobs is gathered apart first. So a
later attempt of a split replaces an earlier one, and no attempt leaves a part of itself.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta

from google.cloud import bigquery
from msgspec import Struct, field

from dpone.batch import ARROW, Batch, refuse_format
from dpone.connector import CHANGE_FIELDS, Json, Staged, StageRef, StageSpec
from dpone.errors import DponeError
from dpone.probes import Measurement, Probe
from dpone.schema import INT64, STRING, Field
from dpone.sql.load import SqlLoad
from dpone.sql.probe import read_probe, render_probe
from dpone.sql.seal import RawStage, SealedTables, read_survey, seal_checks, sealed_tables, survey_query
from dpone_bigquery.columns import columns_of
from dpone_bigquery.config import BigQueryConfig
from dpone_bigquery.dialect import BIGQUERY
from dpone_bigquery.naming import Name, new_mark
from dpone_bigquery.native import ENGINE
from dpone_bigquery.parquet import ParquetFile, is_text_in_stage
from dpone_bigquery.state import Books
from dpone_bigquery.warehouse import Warehouse, connected, job_id

_RAW, _LIVE, _DEAD, _PRESENT = "raw", "live", "dead", "present"
PART = 256 << 20  # bytes of Parquet that go up in one load job
KEPT_FOR = timedelta(days=7)  # after which BigQuery itself removes what a killed run left
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

TAGS: tuple[Field, ...] = tuple(
    Field(name, of, native=f"{ENGINE}:{native}")
    for name, of, native in zip(CHANGE_FIELDS, (INT64, STRING, STRING), ("INT64", "STRING", "STRING"), strict=True)
)


class BigQueryStage(Struct):
    spec: StageSpec
    warehouse: Warehouse
    target: Name
    mark: str
    jobs: int = 0
    sealed: SealedTables | None = field(default=None)

    @property
    def ref(self) -> StageRef:
        raw = self._name(_RAW)
        payload: dict[str, Json] = {
            "table": [raw.project, raw.dataset, raw.table],
            "columns": [[f.name, BIGQUERY.spell(f)] for f in self._incoming],
        }
        return StageRef(raw.table, payload)

    @property
    def _incoming(self) -> tuple[Field, ...]:
        return (*self.spec.content, *(TAGS if self.spec.is_tagged else ()))

    def _name(self, part: str) -> Name:
        return self.target.beside(part, self.mark)

    def _run(self, statement: str) -> list[tuple[object, ...]]:
        self.jobs += 1
        id_ = job_id(self.spec.load_id, self.mark, self.jobs)
        return list(self.warehouse.run(statement, self.target, id_=id_).rows)

    def _ask(self, query: str) -> tuple[int, ...]:
        (row,) = self._run(query)
        return tuple(int(str(value)) for value in row)

    # --------------------------------------------------------------------- sealing

    def seal(self) -> Staged:
        """Live rows, dead keys and present keys each in a table; what must not be staged was refused."""
        raw = RawStage(self._raw(), self.spec.content, tagged=self.spec.is_tagged)
        how = self.spec.sealing
        survey = read_survey(self._ask(survey_query(raw, how, BIGQUERY)))
        for check in seal_checks(raw, how, survey, BIGQUERY):
            check.refuse(self._ask(check.text)[0])
        self.sealed, staged = sealed_tables(raw, how, survey, BIGQUERY, self._fill)
        return staged

    def _raw(self) -> str:
        """The rows of all splits, as a table or as a query in parentheses that parses what came as text."""
        raw = self._name(_RAW)
        splits = [raw.named(n) for n in self.warehouse.names(raw) if re.fullmatch(rf"{raw.table}_[0-9a-f]{{12}}", n)]
        match splits:
            case [only] if self.spec.writers is not None:  # one elsewhere may be at work still
                table = only
            case []:
                made = bigquery.Table(raw.reference, staged_columns(self.ref))
                made.expires = datetime.now(UTC) + KEPT_FOR
                self.warehouse.make(made)
                table = raw
            case _:
                self.jobs += 1
                self.warehouse.copy(splits, raw, job_id(self.spec.load_id, self.mark, self.jobs))
                table = raw
        if not any(is_text_in_stage(BIGQUERY.spell(f)) for f in self.spec.content):
            return table.sql
        names = [(BIGQUERY.quote(f.name), is_text_in_stage(BIGQUERY.spell(f))) for f in self._incoming]
        listed = ", ".join(f"PARSE_JSON({name}) AS {name}" if is_text else name for name, is_text in names)
        return f"(SELECT {listed} FROM {table.sql})"

    def _fill(self, part: str, _: tuple[Field, ...], query: str) -> tuple[str, int]:
        name = self._name(part)
        until = BIGQUERY.literal(datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + KEPT_FOR)
        self._run(f"CREATE OR REPLACE TABLE {name.sql} OPTIONS (expiration_timestamp = {until}) AS {query}")
        return name.sql, self._ask(f"SELECT COUNT(*) FROM {name.sql}")[0]

    def measure(self, probe: Probe) -> Measurement:
        assert self.sealed is not None  # the runner measures sealed stages
        (row,) = self._run(render_probe(probe, self.sealed.live, self.spec.content, BIGQUERY))
        return read_probe(probe, row)

    def load(self, target: str) -> SqlLoad:
        """The stage as the rendering of operations sees it."""
        assert self.sealed is not None  # only sealed stages are published
        return self.sealed.load(self.spec, target, Books(self.target).ledger)

    def close(self) -> None:
        """All tables of the stage are gone."""
        for name in self.warehouse.names(self.target):
            if name.startswith(f"_dpone_{self.target.digest}_") and f"_{self.mark}" in name:
                self.warehouse.drop(self.target.named(name))


@contextmanager
def staged(config: BigQueryConfig, spec: StageSpec) -> Iterator[BigQueryStage]:
    """Room for the rows of one load; in the end its tables are gone, whatever happened."""
    with connected(config) as warehouse:
        stage = BigQueryStage(spec, warehouse, warehouse.full_name(spec.target.name), new_mark())
        try:
            yield stage
        except BaseException:
            with suppress(DponeError):  # the first error is the one to tell
                stage.close()
            raise
        stage.close()


def staged_columns(ref: StageRef) -> list[bigquery.SchemaField]:
    """The columns of a stage's tables: all take NULL, since what must not be NULL is refused by name."""
    pairs = [(str(name), str(native)) for name, native in ref.payload["columns"]]
    texts = frozenset(name for name, native in pairs if is_text_in_stage(native))
    return columns_of((Field(n, STRING, native=f"{ENGINE}:{native}") for n, native in pairs), loose=True, texts=texts)


# ---------------------------------------------------------------------------- writing


class BigQueryWriter:
    """One split on its way: a Parquet file, which goes up when it is full, and at the end."""

    def __init__(self, warehouse: Warehouse, ref: StageRef, split: str) -> None:
        self._warehouse = warehouse
        self._ref = ref
        self._natives = [(str(name), str(native)) for name, native in ref.payload["columns"]]
        raw = Name(*ref.payload["table"])
        digest = hashlib.sha256(split.encode()).hexdigest()[:12]
        self._split = raw.named(f"{raw.table}_{digest}")
        self._attempt = new_mark()
        self._apart = raw.named(f"{self._split.table}_{self._attempt}")
        self._file: ParquetFile | None = None
        self._parts = 0

    def write(self, batch: Batch) -> None:
        refuse_format(batch, ARROW)
        if self._file is None:
            self._file = ParquetFile(self._natives)
        self._file.add(batch.data)
        if self._file.size >= PART:
            self._send(self._apart, truncates=self._parts == 0)

    def _send(self, to: Name, *, truncates: bool) -> None:
        assert self._file is not None
        self._file.finish()
        flexible = not all(_PLAIN.fullmatch(name) for name, _ in self._natives)
        id_ = job_id("load", self._split.table, self._attempt, self._parts)
        columns = staged_columns(self._ref)
        with self._file.file as whole:
            self._warehouse.load(whole, to, columns, id_, truncates=truncates, flexible=flexible)
        self._file = None
        self._parts += 1

    def finish(self) -> None:
        """The split's table holds what was written in this attempt, and nothing else."""
        if self._parts == 0:
            if self._file is None:
                self._file = ParquetFile(self._natives)  # replaces an earlier attempt's rows
            self._send(self._split, truncates=True)
            return
        if self._file is not None:
            self._send(self._apart, truncates=False)
        self._warehouse.copy([self._apart], self._split, job_id("gather", self._split.table, self._attempt))
        self._warehouse.drop(self._apart)

    def close(self) -> None:
        """Nothing of a split that was given up stays on this machine."""
        if self._file is not None:
            self._file.discard()


@contextmanager
def writing(config: BigQueryConfig, ref: StageRef, split: str) -> Iterator[BigQueryWriter]:
    """A writer of one split."""
    with connected(config) as warehouse, closing(BigQueryWriter(warehouse, ref, split)) as writer:
        yield writer
        writer.finish()
