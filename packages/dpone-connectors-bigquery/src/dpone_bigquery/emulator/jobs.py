"""Jobs: queries, loads and copies. An id that was used once is refused for good, as BigQuery does."""
# ruff: noqa: S608 - all text here is made of quoted identifiers

from __future__ import annotations

import io
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct, field

from dpone_bigquery.emulator.answers import Json, Refused, duplicate, invalid, not_found
from dpone_bigquery.emulator.fields import duck_type, field_of, quoted, stored
from dpone_bigquery.emulator.statements import Engine
from dpone_bigquery.emulator.store import Connection, Store, place, transaction, translated


class Job(Struct):
    """What is answered of a job, and the rows that a query yielded."""

    body: Json
    fields: list[Json] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    error: Refused | None = None


class Jobs:
    def __init__(self, store: Store, engine: Engine) -> None:
        self._store = store
        self._engine = engine
        self._inserting = threading.Lock()
        self._known = {id_: Job(body) for id_, body in store.jobs().items()}

    def find(self, id_: str) -> Job:
        if (found := self._known.get(id_)) is None:
            raise not_found("Job", id_)
        return found

    def insert(self, project: str, body: Json, data: bytes | None = None) -> Job:
        """The job is done; what went wrong in it is in its status."""
        reference = {"jobId": uuid4().hex, "projectId": project, "location": "US", **body.get("jobReference", {})}
        id_ = reference["jobId"]
        configuration = body["configuration"]
        job = Job(_about(project, reference, configuration))
        dry = bool(configuration.get("dryRun"))
        if not dry:
            with self._inserting:
                if id_ in self._known:
                    raise duplicate("Job", f"{project}:US.{id_}")
                self._known[id_] = job
        try:
            self._carry_out(job, configuration, data, dry=dry)
        except Refused as error:
            job.error = error
            job.body["status"] |= {"errorResult": error.proto(), "errors": [error.proto()]}
        job.body["status"]["state"] = "DONE"
        job.body["statistics"]["endTime"] = _now()
        if dry and job.error:
            raise job.error
        if not dry and not job.rows:
            self._store.remember_job(id_, job.body)
        return job

    def _carry_out(self, job: Job, configuration: Json, data: bytes | None, *, dry: bool) -> None:
        if "query" in configuration:
            self._query(job, configuration["query"], dry=dry)
        elif "load" in configuration:
            configuration["jobType"] = "LOAD"
            job.body["statistics"]["load"] = load(self._store, configuration["load"], data or b"")
        elif "copy" in configuration:
            configuration["jobType"] = "COPY"
            copy(self._store, configuration["copy"])
            job.body["statistics"]["copy"] = {"copiedRows": "0"}
        else:
            raise invalid("Required parameter is missing: a job's configuration")

    def _query(self, job: Job, query: Json, *, dry: bool) -> None:
        job.body["configuration"]["jobType"] = "QUERY"
        default = (query.get("defaultDataset") or {}).get("datasetId")
        statistics = job.body["statistics"]
        sessions = self._engine.sessions
        named = {p["key"]: p["value"] for p in query.get("connectionProperties", [])}.get("session_id")
        session = sessions.find(named) if named else sessions.make() if query.get("createSession") else sessions.brief()
        if named or query.get("createSession"):
            statistics["sessionInfo"] = {"sessionId": session.id}
        run = self._engine.check if dry else self._engine.run
        with session.running:
            outcome = run(query["query"], session, default)
            if not named and not query.get("createSession"):
                sessions.roll_back(session)
        job.fields, job.rows = outcome.fields, outcome.rows
        statistics["totalBytesProcessed"] = "0"
        statistics["query"] = {"totalBytesProcessed": "0", "cacheHit": False, **outcome.statistics}
        if outcome.fields:
            statistics["query"]["schema"] = {"fields": outcome.fields}


def _about(project: str, reference: Json, configuration: Json) -> Json:
    now = _now()
    return {
        "kind": "bigquery#job",
        "id": f"{project}:US.{reference['jobId']}",
        "jobReference": reference,
        "configuration": configuration,
        "status": {"state": "RUNNING"},
        "statistics": {"creationTime": now, "startTime": now},
    }


def _now() -> str:
    return str(time.time_ns() // 1_000_000)


# -------------------------------------------------------------------------- loads


def load(store: Store, how: Json, data: bytes) -> Json:
    """The rows of a file, Parquet or a JSON object a line, are in the table, all or none."""
    own = store.connect()
    fields = (how.get("schema") or {}).get("fields")
    storage = {k: v for k, v in how.items() if k in {"timePartitioning", "rangePartitioning", "clustering"}}
    disposition = how.get("writeDisposition", "WRITE_APPEND")
    if (reader := _READERS.get(how.get("sourceFormat", ""))) is None:
        raise invalid(f"the emulator loads {' and '.join(_READERS)} alone, not {how.get('sourceFormat')}")
    with reader(own, data, fields) as query:
        rows = _write(store, own, how["destinationTable"], query, fields, storage, disposition)
    size = str(len(data))
    return {"inputFiles": "1", "inputFileBytes": size, "outputRows": str(rows), "outputBytes": size}


@contextmanager
def _parquet(own: Connection, data: bytes, fields: list[Json] | None) -> Iterator[str]:
    """A query of the rows of a Parquet file."""
    del fields
    try:
        table = _spelled(pq.read_table(io.BytesIO(data)))
    except (pa.ArrowException, ValueError, OSError) as error:
        raise invalid(f"Error while reading data, error message: {error}") from None
    own.register("__loaded", table)
    yield "SELECT * FROM __loaded"
    own.unregister("__loaded")


@contextmanager
def _lines(own: Connection, data: bytes, fields: list[Json] | None) -> Iterator[str]:
    """A query of JSON objects, their columns as the job's schema has them."""
    del own
    if fields is None:
        raise invalid("the emulator loads JSON by a schema alone")
    kinds = ", ".join(f"{_literal(f['name'])}: {_literal(duck_type(f))}" for f in fields)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(data)
        file.flush()
        yield f"SELECT * FROM read_json({_literal(file.name)}, format = 'newline_delimited', columns = {{{kinds}}})"


_READERS = {"PARQUET": _parquet, "NEWLINE_DELIMITED_JSON": _lines}


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _spelled(table: pa.Table) -> pa.Table:
    """Decimals that DuckDB does not read as text, which columns of BIGNUMERIC take as well."""
    return table.cast(pa.schema([field.with_type(_read_as(field.type)) for field in table.schema]))


def _read_as(of: pa.DataType) -> pa.DataType:
    if pa.types.is_decimal256(of):
        return pa.string()
    if pa.types.is_list(of):
        return pa.list_(of.value_field.with_type(_read_as(of.value_type)))
    if pa.types.is_struct(of):
        return pa.struct([field.with_type(_read_as(field.type)) for field in of])
    return of


def copy(store: Store, how: Json) -> None:
    """All rows of the sources are in the destination, at once."""
    sources = how.get("sourceTables") or [how["sourceTable"]]
    places = [(s["datasetId"], s["tableId"]) for s in sources]
    about = store.table(*places[0])
    query = " UNION ALL BY NAME ".join(f"SELECT * FROM {place(*p)}" for p in places)
    storage = {k: v for k, v in about.items() if k in {"timePartitioning", "rangePartitioning", "clustering"}}
    disposition = how.get("writeDisposition", "WRITE_EMPTY")
    _write(store, store.connect(), how["destinationTable"], query, about["schema"]["fields"], storage, disposition)


def _write(
    store: Store, own: Connection, to: Json, query: str, fields: list[Json] | None, storage: Json, disposition: str
) -> int:
    """The rows of the query are in the table; how many there were."""
    dataset, name = to["datasetId"], to["tableId"]
    with store.defining, transaction(own):
        about = store.find(dataset, name)
        if about is None:
            store.make(own, dataset, name, {"schema": {"fields": fields or _described(own, query)}, **storage})
        elif disposition == "WRITE_EMPTY" and store.count(dataset, name):
            raise duplicate("Table", f"{dataset}.{name}")
        elif disposition == "WRITE_TRUNCATE":
            own.execute(f"DELETE FROM {place(dataset, name)}")
        there = {f["name"]: f for f in (about["schema"]["fields"] if about else ())}
        wanted = [there.get(f["name"], f) for f in fields or _described(own, query)]
        names = ", ".join(quoted(f["name"]) for f in wanted)
        rows = stored(f"SELECT {names} FROM ({query})", wanted)
        try:
            found = own.execute(f"INSERT INTO {place(dataset, name)} BY NAME {rows}").fetchone()
        except duckdb.Error as error:
            raise invalid(f"Error while reading data, error message: {translated(error)}") from None
    return 0 if found is None else int(found[0])


def _described(own: Connection, query: str) -> list[Json]:
    found = own.execute(f"SELECT * FROM ({query}) LIMIT 0").description or []
    return [field_of(column[0], column[1]) for column in found]
