"""A mock service for each test, and a source that reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pytest
from msgspec import Struct, field
from msgspec.structs import replace

from dpone.batch import ARROW
from dpone.connector import Column, Cursor, Position, ReadRequest
from dpone.strategies import Read
from dpone.where import Where
from dpone_rest import RestConfig, RestSource
from dpone_rest.client import Client
from dpone_rest.mock.guard import Credentials
from dpone_rest.mock.server import MockApi, serving
from dpone_rest.source import ApiSource


class Reader(Struct):
    """One collection of a mock service, read as a manifest says."""

    api: MockApi
    options: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)

    @property
    def dataset(self) -> Any:
        return RestSource.model_validate(self.options).dataset()

    def source(self) -> ApiSource:
        config = RestConfig.model_validate({"url": self.api.url, **self.config})
        return ApiSource(Client(config, self.waits.append, lambda: 0.5), config)

    def request(self, read: Read = Read.SCAN, where: Where = (), **more: Any) -> ReadRequest:
        source = self.source()
        try:
            names = source.describe(self.dataset).names
        finally:
            source._client.close()
        columns = tuple(Column(n, n) for n in names)
        return ReadRequest(self.dataset, read, columns, ARROW, where=where, **more)

    def rows(self, request: ReadRequest | None = None) -> list[dict[str, Any]]:
        return self.reading(request)[0]

    def reading(self, request: ReadRequest | None = None) -> tuple[list[dict[str, Any]], Position | None]:
        source = self.source()
        try:
            asked = request or self.request()
            with source.open(asked) as opened:
                found = [
                    row
                    for split in opened.splits
                    for batch in source.read(asked, split)
                    for row in _plain(batch.data).to_pylist()
                ]
                return found, opened.upto
        finally:
            source._client.close()

    def since(self, cursor: Cursor, position: Position | None = None, **more: Any) -> tuple[list[Any], Position | None]:
        return self.reading(replace(self.request(Read.SINCE, cursor=cursor, **more), since=position))


Serve = Callable[..., MockApi]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(*rows: str, credentials: Credentials | None = None) -> MockApi:
            api = stack.enter_context(serving(MockApi(credentials)))
            api.tables.put("orders", rows)
            return api

        yield start


@pytest.fixture
def reader() -> type[Reader]:
    return Reader


def _plain(batch: Any) -> Any:
    """Nanoseconds as whole numbers: Python has no type for them, and pandas, which has one, need not be installed."""
    columns = [c.cast(pa.int64()) if c.type in {pa.timestamp("ns"), pa.timestamp("ns", "UTC")} else c for c in batch]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
