"""The store in memory beyond what the suite asks of any connector: its files, its encoding, its two ways of being
had.
"""

# ruff: noqa: DTZ001 - wall clocks are among the values

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dpone.connector import Layout
from dpone.errors import RemoteError, StateError, UsageError
from dpone.manifest.urls import fields_of_url
from dpone.schema import INT64, Field, Schema, decimal, parse_type
from dpone.stage import canonical
from dpone.testing.memory import connector, publish_connector
from dpone.testing.memory.cell import Cell, Leftover, Table
from dpone.testing.memory.config import MemoryConfig
from dpone.testing.memory.encoding import decode, encode
from dpone.testing.memory.measures import measure
from dpone.testing.memory.publishing import STEPS
from dpone.testing.memory.store import Store, forget_store, open_store
from dpone.testing.memory.typemap import TYPES, unfit
from dpone.testing.typemaps import EXAMPLES, fields, overclaim

NAME = ("public", "t")
SCHEMA = Schema((Field("id", INT64),))

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals().filter(lambda number: not number.is_snan())
    | st.text()
    | st.binary()
    | st.dates()
    | st.times()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(VALUES)
@settings(max_examples=300)
def test_values_are_kept_exactly(value: object) -> None:
    found = decode(json.loads(json.dumps(encode(value))))
    assert canonical(found) == canonical(value)
    assert type(found) is type(value) or isinstance(value, Decimal)


def test_an_instant_is_kept_as_one_of_utc() -> None:
    there = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    assert decode(encode(there)) == there


@given(fields())
@settings(max_examples=EXAMPLES)
def test_the_type_map_promises_what_it_keeps(field: Field) -> None:
    assert overclaim(TYPES, field) is None


@pytest.mark.parametrize(
    "kind, fits, refuses",
    [
        ("int8", [-128, 127], [128, -129, True, 1.0, "1"]),
        ("uint8", [0, 255], [-1, 256]),
        ("decimal(3,1)", [Decimal("99.9"), Decimal("0.0"), Decimal("1E1")], [Decimal(100), Decimal("0.01"), 1.5]),
        ("decimal(38,9)", [Decimal("9" * 29 + ".123456789")], [Decimal("9" * 30), Decimal("NaN")]),
        ("decimal", [Decimal("NaN"), Decimal("1E-400")], [1]),
        ("string(3)", ["", "größ"[:3]], ["abcd", b"a"]),
        ("binary", [b""], ["a"]),
        ("date", [date(1, 1, 1)], [datetime(2026, 1, 1), "2026-01-01"]),
        ("time(6)", [time(1)], [1]),
        ("timestamp(6)", [datetime(2026, 1, 1)], [datetime(2026, 1, 1, tzinfo=UTC)]),
        ("timestamptz(6)", [datetime(2026, 1, 1, tzinfo=UTC)], [datetime(2026, 1, 1)]),
        ("timestamptz(9)", [1], [datetime(2026, 1, 1, tzinfo=UTC)]),
    ],
)
def test_a_type_holds_its_own_values(kind: str, fits: list[object], refuses: list[object]) -> None:
    of = parse_type(kind)
    assert [unfit(value, of) for value in [None, *fits]] == [None] * (len(fits) + 1)
    assert all(unfit(value, of) for value in refuses)


def test_sums_do_not_round() -> None:
    from dpone.probes import Total

    rows = [{"n": Decimal("9" * 38)}, {"n": Decimal("0.000000001")}]
    assert measure(rows, (Total("n"),)) == {Total("n"): Decimal("9" * 38 + ".000000001")}
    assert str(decimal(38, 9)) in TYPES.natives


# ------------------------------------------------------------------------------ stores


def _filled(store: Store, *numbers: int) -> Table:
    table = Table(Layout(SCHEMA), tuple((1, {"id": n}) for n in numbers))
    store.transact(NAME, lambda cell: replace(cell, table=table))
    return table


def test_a_store_is_one_for_its_name() -> None:
    config = MemoryConfig(name="one")
    _filled(open_store(config), 1)
    assert open_store(config).current(NAME).table is not None
    assert open_store(MemoryConfig(name="two")).current(NAME).table is None
    forget_store(config)
    assert open_store(config).current(NAME).table is None


def test_a_store_of_a_folder_outlives_its_process(tmp_path: Path) -> None:
    config = MemoryConfig(path=tmp_path)
    table = _filled(open_store(config), 1, 2)
    forget_store(config)
    again = open_store(config).current(NAME).table
    assert again is not table
    assert again is not None
    assert again.content == table.content


def test_a_store_sees_what_another_process_committed(tmp_path: Path) -> None:
    mine = open_store(MemoryConfig(path=tmp_path))
    _filled(mine, 1)
    other = Store(tmp_path)
    _filled(other, 1, 2, 3)
    found = mine.current(NAME).table
    assert found is not None
    assert len(found.rows) == 3
    assert other.system == mine.system


def test_a_folder_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(RemoteError) as caught:
        open_store(MemoryConfig(path=tmp_path / "absent"))
    assert caught.value.code == "memory.unreachable"


def test_a_change_that_raises_commits_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _filled(store, 1)

    def fail(_cell: Cell) -> Cell:
        raise UsageError("no", code="no")

    with pytest.raises(UsageError):
        store.transact(NAME, fail)
    found = store.current(NAME).table
    assert found is not None
    assert len(found.rows) == 1


def test_a_commit_writes_the_tables_that_changed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    table = _filled(store, 1)
    files = set(tmp_path.glob("table-*"))
    store.transact(NAME, lambda cell: cell.noting(Leftover("stage-1", "stage", datetime(2026, 1, 1, tzinfo=UTC))))
    assert set(tmp_path.glob("table-*")) == files
    assert store.current(NAME).table is table


def test_a_snapshot_is_read_by_another_process(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _filled(store, 1)
    with store.snapshot(NAME) as (kept, _):
        _filled(store, 1, 2)
        seen = Store(tmp_path).seen(kept).table
        assert seen is not None
        assert len(seen.rows) == 1
    with pytest.raises(StateError):
        Store(tmp_path).seen(kept)


def test_a_lease_holds_against_other_processes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    script = (
        "import sys; from pathlib import Path; from dpone.testing.memory.store import Store\n"
        "from dpone.errors import StateError\n"
        "try:\n    with Store(Path(sys.argv[1])).lease(('public', 't')): print('had')\n"
        "except StateError as error: print(error.code)"
    )

    def other() -> str:
        return subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
        ).stdout

    with store.lease(NAME):
        assert other().strip() == "state.leased"
    assert other().strip() == "had"


def test_half_a_commit_is_no_commit(tmp_path: Path) -> None:
    """Files that a killed process wrote before its rename are nobody's."""
    store = Store(tmp_path)
    _filled(store, 1)
    (tmp_path / "cell-half.json.0123").write_text("{", "utf-8")
    again = Store(tmp_path)
    assert again.names() == [NAME]
    assert again.current(NAME).table is not None


# --------------------------------------------------------------------------- declaration


@pytest.mark.parametrize(
    "url, expected",
    [
        ("memory://shop", MemoryConfig(name="shop")),
        ("memory://?path=/var/store", MemoryConfig(path=Path("/var/store"))),
        ("memory://", MemoryConfig()),
    ],
)
def test_urls_of_stores(url: str, expected: MemoryConfig) -> None:
    assert MemoryConfig.model_validate(fields_of_url(url, connector)) == expected
    other = url.replace("memory", "memory-publish")
    assert MemoryConfig.model_validate(fields_of_url(other, publish_connector)) == expected


def test_each_step_of_a_publish_is_a_failpoint_of_its_own() -> None:
    assert len(set(STEPS)) == 6
    assert all(step.startswith("publish.") for step in STEPS)


def test_a_declaration_needs_no_pyarrow() -> None:
    script = "import sys, dpone.testing.memory; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
