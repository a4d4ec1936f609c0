"""The interface: BigQuery's REST paths, as far as the client library uses them for tables and jobs."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

from msgspec import Struct, field

from dpone_bigquery.emulator.answers import Json, Refused, not_found
from dpone_bigquery.emulator.fields import cell
from dpone_bigquery.emulator.jobs import Job, Jobs
from dpone_bigquery.emulator.sessions import Sessions
from dpone_bigquery.emulator.statements import Engine
from dpone_bigquery.emulator.store import Store, place, transaction

Query = Mapping[str, str]
_MOST_ROWS = 50_000
_PROJECT = r"/projects/(?P<project>[^/]+)"
_DATASET = rf"{_PROJECT}/datasets/(?P<dataset>[^/]+)"
_TABLE = rf"{_DATASET}/tables/(?P<table>[^/]+)"
_JOB = rf"{_PROJECT}/jobs/(?P<job>[^/]+)"


class Upload(Struct):
    """A resumable upload under way."""

    body: Json
    data: bytearray = field(default_factory=bytearray)


class Service:
    """What each path does."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.jobs = Jobs(self.store, Engine(self.store, Sessions(self.store)))
        self.uploads: dict[str, Upload] = {}
        self.routes: list[tuple[str, re.Pattern[str], Callable[..., Json | None]]] = [
            (method, re.compile(rf"(?:/bigquery/v2)?{path}"), answer)
            for method, path, answer in (
                ("GET", rf"{_PROJECT}/datasets", self.list_datasets),
                ("POST", rf"{_PROJECT}/datasets", self.make_dataset),
                ("GET", _DATASET, self.get_dataset),
                ("DELETE", _DATASET, self.drop_dataset),
                ("GET", rf"{_DATASET}/tables", self.list_tables),
                ("POST", rf"{_DATASET}/tables", self.make_table),
                ("GET", _TABLE, self.get_table),
                ("PATCH", _TABLE, self.change_table),
                ("DELETE", _TABLE, self.drop_table),
                ("GET", rf"{_TABLE}/data", self.rows_of_table),
                ("POST", rf"{_PROJECT}/jobs", self.insert_job),
                ("GET", _JOB, self.get_job),
                ("POST", rf"{_JOB}/cancel", self.cancel_job),
                ("POST", rf"{_PROJECT}/queries", self.query),
                ("GET", rf"{_PROJECT}/queries/(?P<job>[^/]+)", self.rows_of_job),
            )
        ]

    def answer(self, method: str, path: str, query: Query, body: Json) -> Json | None:
        for wanted, pattern, handle in self.routes:
            if wanted == method and (found := pattern.fullmatch(path)):
                names = {name: unquote(value) for name, value in found.groupdict().items()}
                return handle(query=query, body=body, **names)
        raise not_found("Path", f"{method} {path}")

    # ------------------------------------------------------------------- datasets

    def list_datasets(self, project: str, **_: Any) -> Json:
        return {"datasets": [self._dataset(project, name) for name in self.store.datasets()]}

    def make_dataset(self, project: str, body: Json, **_: Any) -> Json:
        name = body["datasetReference"]["datasetId"]
        self.store.make_dataset(name, {k: v for k, v in body.items() if k != "datasetReference"})
        return self._dataset(project, name)

    def get_dataset(self, project: str, dataset: str, **_: Any) -> Json:
        return self._dataset(project, dataset)

    def drop_dataset(self, dataset: str, query: Query, **_: Any) -> None:
        self.store.drop_dataset(dataset, contents=query.get("deleteContents") == "true")

    def _dataset(self, project: str, name: str) -> Json:
        about = self.store.dataset(name)
        reference = {"projectId": project, "datasetId": name}
        return {
            "kind": "bigquery#dataset",
            "id": f"{project}:{name}",
            "datasetReference": reference,
            "location": "US",
        } | about

    # --------------------------------------------------------------------- tables

    def list_tables(self, project: str, dataset: str, **_: Any) -> Json:
        tables = [
            {
                "id": f"{project}:{dataset}.{name}",
                "tableReference": {"projectId": project, "datasetId": dataset, "tableId": name},
                **{k: v for k, v in about.items() if k in {"type", "labels", "creationTime", "expirationTime"}},
            }
            for name, about in self.store.tables(dataset).items()
        ]
        return {"kind": "bigquery#tableList", "tables": tables, "totalItems": len(tables)}

    def make_table(self, project: str, dataset: str, body: Json, **_: Any) -> Json:
        name = body["tableReference"]["tableId"]
        with self.store.defining, transaction(self.store.connect()) as own:
            self.store.make(own, dataset, name, body)
        return self._table(project, dataset, name)

    def get_table(self, project: str, dataset: str, table: str, **_: Any) -> Json:
        return self._table(project, dataset, table)

    def change_table(self, project: str, dataset: str, table: str, body: Json, **_: Any) -> Json:
        """Labels, descriptions and the like; columns are changed by statements."""
        with self.store.defining, transaction(self.store.connect()) as own:
            about = self.store.table(dataset, table)
            body.pop("schema", None)
            self.store.describe_anew(own, dataset, table, about | body)
        return self._table(project, dataset, table)

    def drop_table(self, dataset: str, table: str, **_: Any) -> None:
        with self.store.defining, transaction(self.store.connect()) as own:
            self.store.table(dataset, table)
            self.store.drop(own, dataset, table)

    def _table(self, project: str, dataset: str, name: str) -> Json:
        about = self.store.table(dataset, name)
        return {
            "kind": "bigquery#table",
            "id": f"{project}:{dataset}.{name}",
            "etag": about["lastModifiedTime"],
            "tableReference": {"projectId": project, "datasetId": dataset, "tableId": name},
            "numRows": str(self.store.count(dataset, name)),
            "numBytes": "0",
            "location": "US",
            **about,
        }

    def rows_of_table(self, dataset: str, table: str, query: Query, **_: Any) -> Json:
        fields = self.store.table(dataset, table)["schema"]["fields"]
        rows = self.store.connect().execute(f"SELECT * FROM {place(dataset, table)}").fetchall()  # noqa: S608 - quoted
        return {"kind": "bigquery#tableDataList", **_page(rows, fields, query)}

    # ----------------------------------------------------------------------- jobs

    def insert_job(self, project: str, body: Json, **_: Any) -> Json:
        return self.jobs.insert(project, body).body

    def get_job(self, job: str, **_: Any) -> Json:
        return self.jobs.find(job).body

    def cancel_job(self, job: str, **_: Any) -> Json:
        return {"kind": "bigquery#jobCancelResponse", "job": self.jobs.find(job).body}

    def query(self, project: str, body: Json, **_: Any) -> Json:
        known = ("query", "defaultDataset", "connectionProperties", "createSession")
        configuration = {"query": {k: body[k] for k in known if k in body}, "dryRun": body.get("dryRun", False)}
        job = self.jobs.insert(project, {"configuration": configuration})
        return {
            "kind": "bigquery#queryResponse",
            **_results(job, {"maxResults": str(body.get("maxResults", _MOST_ROWS))}),
        }

    def rows_of_job(self, job: str, query: Query, **_: Any) -> Json:
        return {"kind": "bigquery#getQueryResultsResponse", **_results(self.jobs.find(job), query)}


def _results(job: Job, query: Query) -> Json:
    if job.error is not None:
        raise job.error
    statistics = job.body["statistics"].get("query", {})
    counted = {k: statistics[k] for k in ("numDmlAffectedRows", "dmlStats") if k in statistics}
    return {
        "jobReference": job.body["jobReference"],
        "jobComplete": True,
        "cacheHit": False,
        "totalBytesProcessed": "0",
        "schema": {"fields": job.fields},
        **_page(job.rows, job.fields, query),
        **counted,
    }


def _page(rows: list[tuple[Any, ...]], fields: list[Json], query: Query) -> Json:
    begin = int(query.get("pageToken") or query.get("startIndex") or 0)
    most = min(int(query.get("maxResults") or _MOST_ROWS), _MOST_ROWS)
    part = rows[begin : begin + most]
    page: Json = {"totalRows": str(len(rows))}
    if query.get("maxResults") != "0":
        page["rows"] = [{"f": cells} for cells in zip(*map(_cells, zip(*part, strict=True), fields), strict=True)]
    if begin + most < len(rows) or (query.get("maxResults") == "0" and rows):
        page["pageToken"] = str(begin + len(part) if query.get("maxResults") != "0" else 0)
    return page


_NOTHING: Json = {"v": None}


def _cells(values: tuple[Any, ...], field: Json) -> list[Json]:
    """A column of a page: most values of a wide table are NULL, which takes no looking at its type."""
    if field.get("mode") == "REPEATED":
        return [{"v": cell(value, field)} for value in values]
    return [_NOTHING if value is None else {"v": cell(value, field)} for value in values]


# --------------------------------------------------------------------------- wire


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    service: Service

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Nothing is logged: a failing test says what it saw."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        try:
            if parts.path.startswith(("/upload/", "/resumable/")):
                self._upload(parts.path, query, raw)
                return
            self._send(200, self.service.answer(self.command, parts.path, query, json.loads(raw or b"{}")))
        except Refused as error:
            self._send(error.status, error.body())
        except Exception as error:  # noqa: BLE001 - a fault of the emulator, which a client must not take for a passing one
            self._send(400, Refused(400, "notImplemented", f"the emulator fell over: {error!r}").body())

    def _upload(self, path: str, query: Query, raw: bytes) -> None:
        project = path.partition("/projects/")[2].partition("/")[0]
        if "upload_id" in query:
            self._resume(project, self.service.uploads[query["upload_id"]], raw)
        elif query["uploadType"] == "resumable":
            id_ = uuid4().hex
            self.service.uploads[id_] = Upload(json.loads(raw))
            location = f"http://{self.headers['Host']}{path}?uploadType=resumable&upload_id={id_}"
            self._send(200, {}, {"Location": location})
        else:
            found = re.search(r'boundary="?([^";]+)', self.headers["Content-Type"])
            assert found is not None
            _, meta, data, _ = raw.split(b"--" + found[1].encode(), 3)
            body, data = (
                part.split(b"\r\n\r\n" if b"\r\n\r\n" in part[:200] else b"\n\n", 1)[1] for part in (meta, data)
            )
            data = data.removesuffix(b"\n").removesuffix(b"\r")
            self._send(200, self.service.jobs.insert(project, json.loads(body), data).body)

    def _resume(self, project: str, upload: Upload, raw: bytes) -> None:
        upload.data += raw
        ranges = re.match(r"bytes (?:\d+-\d+|\*)/(\d+|\*)", self.headers.get("Content-Range", ""))
        if ranges and (ranges[1] == "*" or len(upload.data) < int(ranges[1])):
            self._send(308, None, {"Range": f"bytes=0-{len(upload.data) - 1}"})
            return
        self._send(200, self.service.jobs.insert(project, upload.body, bytes(upload.data)).body)

    def _send(self, status: int, body: Json | None, headers: Mapping[str, str] | None = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(204 if body is None and status == 200 else status)  # noqa: PLR2004 - a success
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def serve(folder: Path, port: int) -> None:
    """The emulator answers on this port of loopback until its process is ended."""
    service = Service(folder)
    handler = type("BoundHandler", (Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    threading.current_thread().name = "bigquery-emulator"
    server.serve_forever()
