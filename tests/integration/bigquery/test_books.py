"""dpone's own tables beside a target: they grow with dpone, and are never mistaken for somebody else's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.cloud import bigquery

from dpone.errors import StateError
from dpone.testing.suite.rig import SinkRig, rigged
from dpone.testing.suite.shapes import MIXED, rows
from dpone.testing.suite.streams import stream
from dpone_bigquery.config import BigQueryConfig
from dpone_bigquery.naming import Name
from dpone_bigquery.state import LOADS, SHAPES, Books, ensure_books
from dpone_bigquery.warehouse import Warehouse, connected


@pytest.fixture(scope="module")
def sink() -> Iterator[SinkRig]:
    with rigged("bigquery", "emulated") as rig:
        yield SinkRig(rig.spec, rig.kit, rig.endpoint)


@pytest.fixture
def warehouse(sink: SinkRig) -> Iterator[Warehouse]:
    """A client, and a dataset of the test's own in `warehouse.config.dataset`."""
    config = sink.config
    assert isinstance(config, BigQueryConfig)
    own = config.model_copy(update={"dataset": sink.fresh("books")})
    with connected(own) as found:
        found.client.create_dataset(bigquery.DatasetReference(own.project, own.dataset or ""))
        yield found


def made(warehouse: Warehouse, number: int, description: str | None = None) -> Name:
    """The ledger in one of its shapes."""
    name = Name(warehouse.config.project, warehouse.config.dataset or "", LOADS)
    columns = [bigquery.SchemaField(c, of) for c, of in SHAPES[LOADS][min(number, len(SHAPES[LOADS])) - 1].items()]
    table = bigquery.Table(name.reference, columns)
    table.description = f"dpone, shape {number}" if description is None else description
    warehouse.make(table)
    return name


@pytest.mark.parametrize("number", range(1, len(SHAPES[LOADS]) + 1))
def test_a_ledger_of_any_earlier_shape_takes_the_last_one_and_keeps_its_rows(warehouse: Warehouse, number: int) -> None:
    name = made(warehouse, number)
    warehouse.run(f"INSERT INTO {name.sql} (target, load_id) VALUES ('t', 'old')", name)
    for _ in range(2):
        ensure_books(warehouse, Books(name.named("orders")))
    found = warehouse.find(name)
    assert found is not None
    assert found.description == f"dpone, shape {len(SHAPES[LOADS])}"
    assert {c.name for c in found.schema} == SHAPES[LOADS][-1].keys()
    assert warehouse.run(f"SELECT load_id FROM {name.sql}", name).rows == [("old",)]


@pytest.mark.parametrize(
    "number, description, code",
    [(99, None, "state.newer_version"), (1, "", "state.not_ours"), (1, "orders of 2019", "state.not_ours")],
)
def test_a_table_that_is_not_ours_or_newer_is_left_alone(
    warehouse: Warehouse, number: int, description: str | None, code: str
) -> None:
    name = made(warehouse, number, description)
    with pytest.raises(StateError) as refused:
        ensure_books(warehouse, Books(name.named("orders")))
    assert refused.value.code == code


def test_loads_of_one_dataset_share_the_tables_and_not_their_leases(sink: SinkRig) -> None:
    first, second = stream(sink, "incremental_merge", MIXED), stream(sink, "incremental_merge", MIXED)
    for s in (first, second):
        s.load(rows(1))
    with (
        sink.sink() as one,
        sink.sink() as two,
        one.lease(first.job.target, "suite"),
        two.lease(second.job.target, "suite") as lease,
    ):
        assert lease.stored is not None
