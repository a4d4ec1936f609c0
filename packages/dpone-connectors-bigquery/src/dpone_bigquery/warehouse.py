"""Calls of the service: every job has an id of ours, so that a request which is sent twice is still one job.

BigQuery refuses an id that it has seen ("duplicate"). A lost answer to an insertion is therefore no doubt: the request
is sent again, and a refusal means that the first one arrived; the job is asked for by its id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any
from uuid import uuid4

import requests
from google.api_core.exceptions import Conflict, NotFound
from google.cloud import bigquery
from msgspec import Struct, field
from requests.exceptions import SSLError

from dpone.errors import PlanError, StateError
from dpone_bigquery.config import BigQueryConfig
from dpone_bigquery.credentials import credentials_of
from dpone_bigquery.faults import translated
from dpone_bigquery.naming import Name

_SCOPES = ("https://www.googleapis.com/auth/bigquery",)
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 200  # of what a job's id says before the part that makes it the only one
_PATIENCE = 60.0  # seconds in which a request is sent again
_HEARD: set[str] = set()  # where somebody answered in this process
_TIMEOUT = 60.0  # seconds that one request may take, waiting for jobs aside


def job_id(*parts: object) -> str:
    """An id that says what the job is of; the same parts give the same id."""
    return _UNFIT.sub("-", "_".join(("dpone", *map(str, parts))))[: _LONGEST * 4]


class Answer(Struct, frozen=True):
    """What a job did: its rows, and how many rows it inserted, updated and deleted."""

    rows: Sequence[tuple[Any, ...]] = ()
    affected: int = 0
    inserted: int = 0
    updated: int = 0
    session: str | None = None


class Warehouse(Struct):
    """One client. It is used by one thread at a time."""

    config: BigQueryConfig
    client: bigquery.Client
    _locations: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.config.label

    def full_name(self, parts: Sequence[str]) -> Name:
        """Project, dataset and table of a name that may leave the first two to the connection."""
        *before, table = parts
        dataset = before[-1] if before else self.config.dataset
        project = before[0] if len(before) > 1 else self.config.project
        if not project or not dataset:
            raise PlanError(
                f"no dataset for {table}",
                code="plan.no_dataset",
                hint="write dataset.table, or name a `dataset` in the connection",
            )
        return Name(project, dataset, table)

    def location(self, name: Name) -> str:
        """Where jobs about this dataset run."""
        if self.config.location is not None:
            return self.config.location
        at = (name.project, name.dataset)
        if at not in self._locations:
            with translated(self.label):
                found = self.client.get_dataset(bigquery.DatasetReference(*at), retry=_retry(), timeout=_TIMEOUT)
            self._locations[at] = str(found.location)
        return self._locations[at]

    # ------------------------------------------------------------------------ jobs

    def run(
        self, statement: str, at: Name, *, id_: str | None = None, session: str | None = None, opens: bool = False
    ) -> Answer:
        """The statement is carried out, in this session if one is named; with `opens` in a new one."""
        config = bigquery.QueryJobConfig(use_query_cache=False)
        config.job_timeout_ms = self.config.job_timeout * 1000
        if opens:
            config.create_session = True
        if self.config.maximum_bytes_billed is not None:
            config.maximum_bytes_billed = self.config.maximum_bytes_billed
        if session is not None:
            config.connection_properties = [bigquery.ConnectionProperty("session_id", session)]
        id_ = id_ or job_id(uuid4().hex)
        location = self.location(at)
        with translated(self.label):
            try:
                job = self.client.query(
                    statement, config, job_id=id_, location=location, retry=_retry(), job_retry=None, timeout=_TIMEOUT
                )
            except Conflict:
                job = self._same(id_, location, statement)
            rows = [tuple(row) for row in job.result(retry=_retry(), timeout=self.config.job_timeout, job_retry=None)]
        stats, info = job.dml_stats, job.session_info
        return Answer(
            rows,
            job.num_dml_affected_rows or 0,
            stats.inserted_row_count if stats else 0,
            stats.updated_row_count if stats else 0,
            info.session_id if info else session,
        )

    def _same(self, id_: str, location: str, statement: str) -> Any:
        """The job of this id, which is ours only if it does what we asked for."""
        job = self.client.get_job(id_, location=location, retry=_retry(), timeout=_TIMEOUT)
        if getattr(job, "query", None) != statement:
            raise StateError(
                "another run took this load over while this one was held up",
                code="state.leased",
                hint="nothing of this attempt was published; the other run goes on",
            )
        return job

    def bytes_of(self, statement: str, at: Name) -> int:
        """What the statement would read, by a dry run, which costs nothing."""
        config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
        location = self.location(at)
        with translated(self.label):
            job = self.client.query(
                statement, config, location=location, retry=_retry(), job_retry=None, timeout=_TIMEOUT
            )
        return int(job.total_bytes_processed or 0)

    def load(
        self,
        file: IO[bytes],
        to: Name,
        columns: Sequence[bigquery.SchemaField],
        id_: str,
        *,
        truncates: bool,
        flexible: bool,
    ) -> int:
        """The rows of a Parquet file are in the table; how many there were."""
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=list(columns),
            write_disposition="WRITE_TRUNCATE" if truncates else "WRITE_APPEND",
            create_disposition="CREATE_IF_NEEDED",
        )
        config.job_timeout_ms = self.config.job_timeout * 1000
        parquet = bigquery.ParquetOptions()  # type: ignore[no-untyped-call]  # the library leaves it open
        parquet.enable_list_inference = True
        config.parquet_options = parquet
        if flexible:
            config.column_name_character_map = "V2"
        location = self.location(to)
        with translated(self.label):
            job: Any
            try:
                job = self.client.load_table_from_file(
                    file,
                    to.reference,
                    rewind=True,
                    size=file.tell(),
                    job_id=id_,
                    location=location,
                    job_config=config,
                    timeout=self.config.job_timeout,
                )
            except Conflict:
                job = self.client.get_job(id_, location=location, retry=_retry(), timeout=_TIMEOUT)
            job.result(retry=_retry(), timeout=self.config.job_timeout)
            return int(job.output_rows or 0)

    def copy(self, sources: Sequence[Name], to: Name, id_: str) -> None:
        """The table holds the rows of all sources and no others."""
        config = bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE")
        location = self.location(to)
        job: Any
        with translated(self.label):
            try:
                job = self.client.copy_table(
                    [s.reference for s in sources],
                    to.reference,
                    job_id=id_,
                    location=location,
                    job_config=config,
                    retry=_retry(),
                    timeout=_TIMEOUT,
                )
            except Conflict:
                job = self.client.get_job(id_, location=location, retry=_retry(), timeout=_TIMEOUT)
            job.result(retry=_retry(), timeout=self.config.job_timeout)

    def burn(self, id_: str, at: Name) -> None:
        """The job of this id is over, and if there was none there never will be: its id is used up."""
        location = self.location(at)
        job: Any
        with translated(self.label):
            try:
                job = self.client.query("SELECT 1", job_id=id_, location=location, retry=_retry(), job_retry=None)
            except Conflict:
                job = self.client.get_job(id_, location=location, retry=_retry(), timeout=_TIMEOUT)
            job.exception(timeout=self.config.job_timeout)

    # ---------------------------------------------------------------------- tables

    def find(self, name: Name) -> bigquery.Table | None:
        with translated(self.label):
            try:
                return self.client.get_table(name.reference, retry=_retry(), timeout=_TIMEOUT)
            except NotFound:
                self.client.get_dataset(name.reference.dataset_id, retry=_retry(), timeout=_TIMEOUT)
                return None

    def make(self, table: bigquery.Table, *, exists_ok: bool = False) -> None:
        with translated(self.label):
            self.client.create_table(table, exists_ok=exists_ok, retry=_retry(), timeout=_TIMEOUT)

    def names(self, like: Name) -> list[str]:
        """The tables of the dataset."""
        dataset = bigquery.DatasetReference(like.project, like.dataset)
        with translated(self.label):
            return [t.table_id for t in self.client.list_tables(dataset, retry=_retry(), timeout=_TIMEOUT)]

    def drop(self, name: Name) -> None:
        with translated(self.label):
            self.client.delete_table(name.reference, not_found_ok=True, retry=_retry(), timeout=_TIMEOUT)

    def datasets(self, project: str) -> list[str]:
        with translated(self.label):
            return [d.dataset_id for d in self.client.list_datasets(project, retry=_retry(), timeout=_TIMEOUT)]

    def created(self, like: Name) -> Mapping[str, Any]:
        """When each table of the dataset was made."""
        dataset = bigquery.DatasetReference(like.project, like.dataset)
        with translated(self.label):
            return {t.table_id: t.created for t in self.client.list_tables(dataset, retry=_retry(), timeout=_TIMEOUT)}


def _retry() -> Any:
    """What is sent again: requests that cannot do harm twice, since jobs have ids; for a minute and no longer."""
    return bigquery.DEFAULT_RETRY.with_timeout(_PATIENCE)


def _look(config: BigQueryConfig) -> None:
    """Somebody answers there, whatever it says; the client itself would try for a minute to find one.

    Once in a process: where somebody has answered, a load is under way, and is worth that minute.
    """
    at = config.endpoint or "https://bigquery.googleapis.com"
    if at not in _HEARD:
        with suppress(SSLError):  # somebody is there, and the client knows better whom to trust
            requests.head(at, timeout=config.connect_timeout, allow_redirects=False).close()
        _HEARD.add(at)


@contextmanager
def connected(config: BigQueryConfig) -> Iterator[Warehouse]:
    """A client, which is closed in the end."""
    with translated(config.label):
        # a key is here, and what is wrong with it is said before anybody is asked
        key = credentials_of(config, _SCOPES) if config.auth == "key" else None
        _look(config)
        client = bigquery.Client(
            project=config.project,
            credentials=key or credentials_of(config, _SCOPES),
            location=config.location,
            client_options={"api_endpoint": config.endpoint} if config.endpoint else None,
        )
    try:
        yield Warehouse(config, client)
    finally:
        client.close()  # type: ignore[no-untyped-call]  # the library leaves it open
