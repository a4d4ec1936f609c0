"""dpone's own tables beside a target: positions, loads and chunks. Rows are only added, the latest says what holds.

A transaction that updates or deletes rows of a table keeps every other such transaction from it; one that only inserts
disturbs nobody. So the loads of one dataset can share these tables. `seq` is the order of a pipeline's rows.

A row with a `marker` says what holds as soon as the target carries that marker, and is repeated without it then.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from google.cloud import bigquery
from msgspec import Struct

from dpone.books import shape_of, stored_of
from dpone.connector import Commit, Json, Stored
from dpone.sql.load import Ledger
from dpone_bigquery.dialect import BIGQUERY
from dpone_bigquery.naming import Name
from dpone_bigquery.warehouse import Answer, Warehouse, job_id

STATE, LOADS, CHUNKS = "_dpone_state", "_dpone_loads", "_dpone_chunks"
_MARK = "dpone, shape "
_Columns = Mapping[str, str]
_LOADS: _Columns = {
    "target": "STRING",
    "load_id": "STRING",
    "pipeline": "STRING",
    "run_id": "STRING",
    "entered_at": "TIMESTAMP",
}
_RECORDED: _Columns = {**dict(list(_LOADS.items())[:-1]), "record": "STRING", "entered_at": "TIMESTAMP"}
# The shapes of each table, the last one in force; `entered_at` is the last column of all.
SHAPES: Mapping[str, Sequence[_Columns]] = {
    STATE: (
        {
            "target": "STRING",
            "pipeline": "STRING",
            "seq": "INT64",
            "kind": "STRING",
            "token": "STRING",
            "generation": "INT64",
            "load_id": "STRING",
            "forgotten": "BOOL",
            "marker": "STRING",
            "entry": "STRING",  # what is to be entered once the marker is there: run, chunk, appended loads
            "entered_at": "TIMESTAMP",
        },
    ),
    LOADS: (_LOADS, _RECORDED),
    CHUNKS: (
        {
            "target": "STRING",
            "plan": "STRING",
            "chunk": "STRING",
            "last": "BOOL",
            "load_id": "STRING",
            "entered_at": "TIMESTAMP",
        },
    ),
}


class Known(Struct, frozen=True):
    """The latest row of a pipeline; without `stored` it was forgotten."""

    seq: int
    stored: Stored | None


class Entry(Struct, frozen=True):
    """One commit as the tables hold it."""

    pipeline: str
    seq: int
    commit: Commit
    appended: tuple[str, ...] = ()


class Books(Struct, frozen=True):
    """Where the tables of one target are, and as what the target stands in them."""

    target: Name

    def table(self, name: str) -> str:
        return self.target.named(name).sql

    @property
    def label(self) -> str:
        return str(self.target)

    @property
    def here(self) -> str:
        return f"target = {BIGQUERY.text(self.label)}"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.table(LOADS), also={"target": self.label})

    # ----------------------------------------------------------------------- reading

    def known(self, pipeline: str | None = None) -> str:
        """A query of the latest row of each pipeline, or of one."""
        which = "" if pipeline is None else f" AND pipeline = {BIGQUERY.text(pipeline)}"
        return (
            f"SELECT pipeline, seq, kind, token, generation, load_id, forgotten FROM {self.table(STATE)} "
            f"WHERE {self.here} AND marker IS NULL{which} "
            "QUALIFY ROW_NUMBER() OVER (PARTITION BY pipeline ORDER BY seq DESC) = 1"
        )

    def committed(self, load_id: str) -> str:
        condition = f"{self.here} AND load_id = {BIGQUERY.text(load_id)}"
        return f"SELECT COUNT(*) FROM {self.table(LOADS)} WHERE {condition}"

    def chunks(self, plan: str) -> str:
        """A query of the chunks of a plan since its last one was committed."""
        here = f"{self.here} AND plan = {BIGQUERY.text(plan)}"
        last = f"SELECT MAX(entered_at) FROM {self.table(CHUNKS)} WHERE {here} AND last"
        since = f"COALESCE(({last}), TIMESTAMP '1970-01-01 00:00:00+00:00')"
        return f"SELECT DISTINCT chunk FROM {self.table(CHUNKS)} WHERE {here} AND NOT last AND entered_at > {since}"

    def records(self, run_id: str | None) -> str:
        """A query of what was recorded of committed loads, the newest first."""
        which = "" if run_id is None else f" AND run_id = {BIGQUERY.text(run_id)}"
        condition = f"{self.here}{which} AND record IS NOT NULL"
        return f"SELECT record FROM {self.table(LOADS)} WHERE {condition} ORDER BY entered_at DESC"

    def promised(self, marker: str) -> str:
        """A query of the row that waits for this marker."""
        return (
            f"SELECT pipeline, seq, kind, token, generation, load_id, entry FROM {self.table(STATE)} "
            f"WHERE {self.here} AND marker = {BIGQUERY.text(marker)}"
        )

    # ----------------------------------------------------------------------- writing

    def state_row(
        self, pipeline: str, seq: int, stored: Stored | None, marker: str | None = None, entry: str = ""
    ) -> str:
        """A statement that adds what holds of a pipeline; None forgets it."""
        position = None if stored is None else stored.position
        values: tuple[object, ...] = (
            self.label,
            pipeline,
            seq,
            None if position is None else position.kind.value,
            None if position is None else json.dumps(position.token),
            0 if stored is None else stored.generation,
            "" if stored is None else stored.load_id,
            stored is None,
            marker,
            entry or None,
        )
        return self._insert(STATE, values)

    def entries(self, entry: Entry) -> list[str]:
        """The statements that add a commit: state, ledger and chunk."""
        commit = entry.commit
        record = json.dumps(commit.record) if commit.record else None
        rows = [self.load_row(entry.pipeline, commit.new.load_id, commit.run_id, record)]
        others = dict.fromkeys(load_id for load_id in entry.appended if load_id != commit.new.load_id)
        rows += [self.load_row(entry.pipeline, load_id, commit.run_id) for load_id in others]
        if (chunk := commit.chunk) is not None:
            rows.append(self._insert(CHUNKS, (self.label, chunk.plan, chunk.id, chunk.last, commit.new.load_id)))
        return [self.state_row(entry.pipeline, entry.seq, commit.new), *rows]

    def load_row(self, pipeline: str, load_id: str, run_id: str, record: str | None = None) -> str:
        """A statement that enters a load into the ledger."""
        return self._insert(LOADS, (self.label, load_id, pipeline, run_id, record))

    def _insert(self, name: str, values: Sequence[object]) -> str:
        columns = list(SHAPES[name][-1])
        types = SHAPES[name][-1].values()
        listed = [
            f"CAST(NULL AS {of})" if value is None else BIGQUERY.literal(value)
            for value, of in zip(values, types, strict=False)
        ]
        return (
            f"INSERT INTO {self.table(name)} ({', '.join(columns)}) VALUES ({', '.join(listed)}, CURRENT_TIMESTAMP())"
        )


def script(statements: Sequence[str]) -> str:
    """The statements as one script that does all of them or none."""
    return ";\n".join(("BEGIN TRANSACTION", *statements, "COMMIT TRANSACTION"))


def read_known(answer: Answer) -> dict[str, Known]:
    found = {}
    for pipeline, seq, kind, token, generation, load_id, forgotten in answer.rows:
        found[pipeline] = Known(seq, None if forgotten else stored_of(kind, token, generation, load_id))
    return found


def record_id(books: Books, load_id: str, generation: int) -> str:
    """Of the job that enters a published load: whoever comes to do it, it is done once."""
    return job_id("record", books.target.digest, load_id, generation)


def ensure_books(warehouse: Warehouse, books: Books) -> None:
    """The tables are there in the shape that this code knows."""
    for name, shapes in SHAPES.items():
        at = books.target.named(name)
        found = warehouse.find(at)
        if found is None:
            made = bigquery.Table(at.reference, [bigquery.SchemaField(c, of) for c, of in shapes[-1].items()])
            made.description = f"{_MARK}{len(shapes)}"
            made.clustering_fields = ["target"]
            warehouse.make(made, exists_ok=True)
            continue
        number = shape_of(
            str(at),
            str(found.description or "").removeprefix(_MARK),
            len(shapes),
            package="dpone-connectors-bigquery",
            hint="rename it: dpone keeps its own tables beside the target under that name",
        )
        if number < len(shapes):
            _migrate(warehouse, at, found, shapes)


def _migrate(warehouse: Warehouse, at: Name, found: bigquery.Table, shapes: Sequence[_Columns]) -> None:
    """The table has the columns of the last shape, and says so last: what was cut off is begun again."""
    there = {column.name for column in found.schema}
    added = [f"ADD COLUMN IF NOT EXISTS {c} {of}" for c, of in shapes[-1].items() if c not in there]
    if added:
        warehouse.run(f"ALTER TABLE {at.sql} {', '.join(added)}", at)
    mark = BIGQUERY.text(f"{_MARK}{len(shapes)}")
    warehouse.run(f"ALTER TABLE {at.sql} SET OPTIONS (description = {mark})", at)


def records_of(warehouse: Warehouse, books: Books, run_id: str | None) -> list[Mapping[str, Json]]:
    """The records of committed loads, the newest first; none where nothing was ever loaded."""
    found = warehouse.find(books.target.named(LOADS))
    if found is None or "record" not in {column.name for column in found.schema}:
        return []
    return [json.loads(record) for (record,) in warehouse.run(books.records(run_id), books.target).rows]
