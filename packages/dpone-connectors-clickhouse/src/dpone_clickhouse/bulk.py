"""Bulk data over HTTP: a query's answer in pieces as they come, and an INSERT that is fed piece by piece.

The standard library's client, since a writer pushes and `requests` pulls, and since no proxy of the environment may
stand between. A failure while an answer is on its way ends it in the middle of a chunk, which is an error here and
never a short answer.
"""

from __future__ import annotations

import json
import ssl
import zlib
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from urllib.parse import urlencode

from dpone.tls import client_context
from dpone_clickhouse.config import ClickHouseConfig
from dpone_clickhouse.faults import Side, from_server, translated, unreachable

_ANSWER_TIMEOUT = 3600.0  # a server that works says so; silence longer than this is a lost connection
_OK = 200

# How bulk formats are to be read and written, beside what a session pins.
FORMATS: Mapping[str, object] = {
    "session_timezone": "UTC",
    "date_time_input_format": "best_effort",
    "date_time_output_format": "iso",
    "date_time_overflow_behavior": "throw",
    "input_format_null_as_default": 0,
    "insert_null_as_default": 0,
    "input_format_tsv_empty_as_default": 0,
    "input_format_defaults_for_omitted_fields": 0,
    "input_format_allow_errors_num": 0,
    "input_format_skip_unknown_fields": 0,
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_low_cardinality_as_dictionary": 0,
    "output_format_arrow_compression_method": "none",
    "output_format_arrow_fixed_string_as_fixed_byte_array": 1,
    "output_format_arrow_date_as_uint16": 0,
    "async_insert": 0,
    "deduplicate_insert": "disable",
    "input_format_parallel_parsing": 1,
}


def _connection(config: ClickHouseConfig) -> HTTPConnection:
    host, port = config.host, config.ports[1]
    if config.tls_mode == "off":
        return HTTPConnection(host, port, timeout=_ANSWER_TIMEOUT)
    return _NamedHttps(host, port, timeout=_ANSWER_TIMEOUT, context=tls_context(config), name=config.server_name)


def tls_context(config: ClickHouseConfig) -> ssl.SSLContext:
    """What is asked of the server's certificate, and what is shown of ours."""
    context = client_context(config.label, config.ca_file, config.cert_file, config.key_file)
    if config.tls_mode == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _NamedHttps(HTTPSConnection):
    """HTTPS to a host whose certificate may bear another name."""

    def __init__(self, host: str, port: int, *, timeout: float, context: ssl.SSLContext, name: str | None) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._tls = context
        self._name = name or host

    def connect(self) -> None:
        HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


def _headers(config: ClickHouseConfig) -> dict[str, str]:
    headers = {"X-ClickHouse-User": config.user, "X-ClickHouse-Database": config.database}
    if config.password is not None:
        headers["X-ClickHouse-Key"] = config.password.get_secret_value()
    return headers


def _path(config: ClickHouseConfig, query: str | None, settings: Mapping[str, object]) -> str:
    asked = {**config.settings, **FORMATS, **settings}
    words = {name: int(value) if isinstance(value, bool) else value for name, value in asked.items()}
    return "/?" + urlencode(words if query is None else {"query": query, **words})


def read_bulk(
    config: ClickHouseConfig, query: str, settings: Mapping[str, object], piece: int, side: Side = "source"
) -> Iterator[bytes]:
    """The answer to a query that names its format, in pieces of about `piece` bytes."""
    connection = _connection(config)
    packed = config.compression == "gzip"
    try:
        with translated(side, config.bulk_label):
            headers = _headers(config) | ({"Accept-Encoding": "gzip"} if packed else {})
            path = _path(config, None, {**settings, "readonly": 2, "enable_http_compression": int(packed)})
            connection.request("POST", path, body=query.encode(), headers=headers)
            answer = connection.getresponse()
            _refuse(answer, side, config.bulk_label)
            inflater = zlib.decompressobj(wbits=31) if answer.getheader("Content-Encoding") == "gzip" else None
            while data := answer.read(piece):
                if plain := inflater.decompress(data) if inflater else data:
                    yield plain
            if inflater is not None and not inflater.eof:
                raise unreachable(side, config.bulk_label)
    finally:
        connection.close()


def _refuse(answer: HTTPResponse, side: Side, label: str) -> None:
    number = answer.getheader("X-ClickHouse-Exception-Code")
    if answer.status == _OK and number is None:
        return
    answer.read()
    if number is None:
        raise unreachable(side, label)
    raise from_server(int(number), side, label)


class BulkInsert:
    """One INSERT on its way. Its rows are there when `finish` returns; perhaps some of them when it does not."""

    def __init__(self, config: ClickHouseConfig, statement: str, settings: Mapping[str, object]) -> None:
        self._label = config.bulk_label
        self._connection = _connection(config)
        self._deflater = zlib.compressobj(1, wbits=31) if config.compression == "gzip" else None
        with translated("sink", self._label):
            # all or nothing of what the server read before it answers: a failure is in the status, never in a 200
            self._connection.putrequest("POST", _path(config, statement, {**settings, "wait_end_of_query": 1}))
            for name, value in _headers(config).items():
                self._connection.putheader(name, value)
            self._connection.putheader("Transfer-Encoding", "chunked")
            if self._deflater:
                self._connection.putheader("Content-Encoding", "gzip")
            self._connection.endheaders()

    def send(self, data: bytes) -> None:
        if data:
            self._chunk(self._deflater.compress(data) if self._deflater else data)

    def _chunk(self, data: bytes) -> None:
        if not data:
            return
        with translated("sink", self._label):
            try:
                # one system call and one wake-up of the server instead of three
                self._connection.send(b"%x\r\n%b\r\n" % (len(data), data))
            except (BrokenPipeError, ConnectionResetError):
                # the server stopped reading, perhaps because it said why
                _refuse(self._connection.getresponse(), "sink", self._label)
                raise

    def finish(self) -> int:
        """Everything is sent; the number of rows that the server wrote."""
        if self._deflater:
            self._chunk(self._deflater.flush())
        with translated("sink", self._label):
            self._connection.send(b"0\r\n\r\n")
            answer = self._connection.getresponse()
            _refuse(answer, "sink", self._label)
            answer.read()
            summary = json.loads(answer.getheader("X-ClickHouse-Summary") or "{}")
        self.close()
        return int(summary.get("written_rows", 0))

    def close(self) -> None:
        """The connection is closed; an INSERT that was not finished fails for want of its last chunk."""
        self._connection.close()
