"""Datasets have the names that OpenLineage's convention gives them, so that other tools mean the same ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dpone.connector import Config
from dpone.events import DatasetName
from dpone.observe.datasets import CONVENTIONS, dataset_name

CASES: list[tuple[str, dict[str, Any], tuple[str, ...], tuple[str, str]]] = [
    (
        "postgres",
        {"host": "db", "port": 5432, "database": "shop"},
        ("public", "o"),
        ("postgres://db:5432", "shop.public.o"),
    ),
    (
        "mssql",
        {"host": "db", "port": None, "instance": None, "database": "s"},
        ("dbo", "o"),
        ("mssql://db:1433", "s.dbo.o"),
    ),
    (
        "mssql",
        {"host": "db", "port": None, "instance": "X", "database": "s"},
        ("dbo", "o"),
        ("mssql://db/X", "s.dbo.o"),
    ),
    (
        "clickhouse",
        {"host": "ch", "ports": (9440, 8443), "database": "d"},
        ("raw", "o"),
        ("clickhouse://ch:8443", "raw.o"),
    ),
    ("clickhouse", {"host": "ch", "ports": (9440, 8443), "database": "d"}, ("o",), ("clickhouse://ch:8443", "d.o")),
    ("bigquery", {"project": "p", "dataset": "d"}, ("o",), ("bigquery", "p.d.o")),
    ("bigquery", {"project": "p", "dataset": None}, ("raw", "o"), ("bigquery", "p.raw.o")),
    ("bigquery", {"project": "p", "dataset": "d"}, ("q", "raw", "o"), ("bigquery", "q.raw.o")),
    ("kafka", {"brokers": "one:9093,two:9093"}, ("orders.v1",), ("kafka://one:9093", "orders.v1")),
    ("kafka", {"brokers": "one"}, ("orders",), ("kafka://one:9092", "orders")),
    ("rest", {"url": "https://api.example.com/v2/"}, ("orders",), ("https://api.example.com", "/v2/orders")),
]


@pytest.mark.parametrize("connector, fields, name, expected", CASES)
def test_each_engine_is_named_by_its_convention(
    connector: str, fields: dict[str, Any], name: tuple[str, ...], expected: tuple[str, str]
) -> None:
    assert CONVENTIONS[connector](SimpleNamespace(**fields), name) == expected


def test_every_specified_connector_has_a_convention() -> None:
    from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX

    assert {end for pair in DEFAULT_INTEGRATION_MATRIX.pairs for end in pair} == CONVENTIONS.keys()


class Own(Config):
    def dataset_name(self, name: tuple[str, ...]) -> tuple[str, str]:
        return "own://", "/".join(name)


def test_a_connection_may_name_its_datasets_itself() -> None:
    assert dataset_name("postgres", "x", Own(), ("a", "b")) == DatasetName("own://", "a/b")


def test_an_engine_without_a_convention_is_named_by_its_connection() -> None:
    assert dataset_name("duck", "pond", Config(), ("a", "b.c")) == DatasetName("duck://pond", 'a."b.c"')


@pytest.mark.parametrize("connector", ["postgres", "mssql", "clickhouse"])
def test_an_address_of_ipv6_is_told_from_its_port(connector: str) -> None:
    known = SimpleNamespace(host="::1", port=1, ports=(9, 1), instance=None, database="d")
    assert CONVENTIONS[connector](known, ("s", "t"))[0] == f"{connector}://[::1]:1"
