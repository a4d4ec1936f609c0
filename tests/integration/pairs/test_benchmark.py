"""The benchmark of pairs at a tiny size: dpone and the joined clients leave the same rows in equal tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from dpone.connector import Target
from dpone.errors import UsageError
from dpone.testing.testkit import SinkTestkit
from dpone_certify.benchmark import pairs
from dpone_certify.benchmark.bench import Bench, Engine, Measured, Profile, carry_out, chosen
from dpone_certify.benchmark.control import benchmarkable
from dpone_certify.benchmark.document import document_of
from dpone_certify.benchmark.surroundings import environment
from dpone_certify.benchmark.targets import CONTROL, DPONE
from dpone_certify.documents.subject import subject
from dpone_kafka.plain import values

pytestmark = [
    pytest.mark.integration_postgres,
    pytest.mark.integration_clickhouse,
    pytest.mark.integration_mssql,
    pytest.mark.integration_kafka,
    pytest.mark.timeout(600),
]
ROWS = 300
# every end that reads and every end that writes, and each text between two clients
ASKED = ("postgres:kafka", "kafka:bigquery", "clickhouse:mssql", "mssql:postgres", "rest:clickhouse", "kafka:postgres")


def test_dpone_and_the_clients_leave_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    measured = pairs._first_load

    def and_compared(bench: Bench, source: Engine, dataset: Any, sink: Engine, rows: int, *more: Any) -> Measured:
        found = measured(bench, source, dataset, sink, rows, *more)
        ours, control = (landed(sink, f"dpone_bench_of_{source.name}_{rows}_{part}") for part in ("ours", "control"))
        assert len(ours) == ROWS
        assert ours == control, found.name
        compared.append(f"{source.name}:{sink.name}")
        return found

    monkeypatch.setattr(pairs, "_first_load", and_compared)
    said: list[str] = []
    profile = Profile("tiny", (ROWS,), 1, 1, copies=(), every_pair=True)
    metrics = document_of(
        carry_out(benchmarkable(said.append), profile, None, said.append, ASKED), environment(), subject()
    )
    assert sorted(compared) == sorted(ASKED)
    assert metrics.blockers == ()  # no control built what dpone did not
    loads = metrics.comparisons[2:]
    assert all(set(c.contestants) == {DPONE, CONTROL} for c in loads)
    found = {c.name: (c.control, c.emulated) for c in loads}
    assert found["postgres_into_kafka_300"] == (
        "psql COPY TO of row_to_json | a loop of Producer.produce in one transaction",
        ("kafka",),
    )
    assert found["rest_into_clickhouse_300"] == (
        "a loop of requests.get and json | curl INSERT FORMAT JSONEachRow",
        (),
    )


def test_a_pattern_that_names_no_pair_is_refused() -> None:
    there = [("postgres", "kafka"), ("kafka", "postgres")]
    assert chosen(there, ["kafka:*"]) == [("kafka", "postgres")]
    with pytest.raises(UsageError) as refused:
        chosen(there, ["kafka:*", "mysql:*"])
    assert refused.value.code == "benchmark.no_pair"


def landed(sink: Engine, label: str) -> list[Mapping[str, Any]]:
    """The rows of a target by key, however its engine spells their values."""
    target = sink.target(label)
    return sorted(({n: plain(v) for n, v in row.items()} for row in rows_of(sink, target)), key=lambda row: row["id"])


def rows_of(sink: Engine, target: Target) -> Iterator[Mapping[str, Any]]:
    if sink.name == "kafka":  # where nobody knows the types of a topic that dpone did not write
        yield from map(json.loads, values(f"{sink.endpoint.host}:{sink.endpoint.port}", target.name[0]))
        return
    assert isinstance(sink.testkit, SinkTestkit)
    rows: Sequence[Mapping[str, Any]] = sink.testkit.rows(sink.endpoint, target).to_pylist()
    yield from rows


def plain(value: Any) -> Any:
    match value:
        case str():
            for read in (number, moment, json.loads):
                with suppress(ValueError, ArithmeticError):
                    return plain(read(value))
            return value
        case bool():
            return value
        case int() | float() | Decimal():
            return round(float(value), 6)
        case datetime():
            return value.replace(tzinfo=value.tzinfo or UTC)
        case date():
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def number(text: str) -> Decimal:
    return Decimal(text)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
