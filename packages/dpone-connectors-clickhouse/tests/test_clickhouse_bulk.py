from __future__ import annotations

import pytest

from dpone.errors import RemoteError
from dpone_clickhouse.bulk import BulkInsert, read_bulk
from dpone_clickhouse.config import ClickHouseConfig

CONFIG = ClickHouseConfig(host="127.0.0.1", port=9, http_port=1)


def test_the_port_of_bulk_data_is_named_where_it_is_the_one_that_does_not_answer() -> None:
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:1/default does not answer") as read:
        next(read_bulk(CONFIG, "SELECT 1", {}, 1))
    assert read.value.code == "source.unreachable"
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:1/default does not answer") as written:
        BulkInsert(CONFIG, "INSERT INTO t FORMAT Native", {})
    assert written.value.code == "sink.unreachable"
