"""Which capture instance is read between which LSNs: no change is left out, and none is read twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.batch import ARROW
from dpone.connector import Column, Dataset, ReadRequest
from dpone.errors import DataError, PlanError
from dpone.strategies import Read
from dpone_mssql.captures import Capture, beginning, chosen, position, windows

OLD = Capture("dbo_t", 10, frozenset({"id", "a"}))
NEW = Capture("dbo_t_2", 20, frozenset({"id", "a", "b"}))


def request(*columns: str, **options: str) -> ReadRequest:
    named = tuple(Column(name, name) for name in columns)
    return ReadRequest(Dataset(("dbo", "t"), options=options), Read.CHANGES, named, ARROW)


def test_the_newest_instance_that_holds_all_columns_is_taken() -> None:
    assert chosen([NEW, OLD], request("id", "a", "b"), "dbo.t") is NEW
    assert chosen([NEW, OLD], request("id", "a"), "dbo.t") is NEW
    narrow = Capture("dbo_t_2", 20, frozenset({"id"}))
    assert chosen([narrow, OLD], request("id", "a"), "dbo.t") is OLD
    assert chosen([NEW, OLD], request("id", "a", capture_instance="dbo_t"), "dbo.t") is OLD


def test_an_instance_without_the_column_is_an_error_with_advice() -> None:
    with pytest.raises(PlanError) as caught:
        chosen([OLD], request("id", "b"), "dbo.t")
    assert caught.value.code == "source.capture_outdated"
    assert "second capture instance" in (caught.value.hint or "")
    with pytest.raises(PlanError) as named:
        chosen([NEW, OLD], request("id", "b", capture_instance="dbo_t"), "dbo.t")
    assert named.value.code == "source.capture_outdated"
    with pytest.raises(PlanError) as missing:
        chosen([], request("id"), "dbo.t")
    assert missing.value.code == "source.no_capture"


@given(
    first=st.integers(1, 30),
    gap=st.integers(0, 30),
    stored=st.integers(0, 80),
    greatest=st.integers(0, 80),
    dropped=st.booleans(),
    began=st.booleans(),
)
def test_every_change_is_read_once(
    first: int, gap: int, stored: int, greatest: int, *, dropped: bool, began: bool
) -> None:
    """Whatever was committed after the position comes from an instance that holds it, or it is an error."""
    old = Capture("a", first, frozenset())
    new = Capture("b", first + gap if began else None, frozenset())
    known = [new] if dropped else [new, old]
    oldest = new.start if dropped else first
    if stored and oldest is not None and stored + 1 < oldest:
        with pytest.raises(DataError) as caught:
            windows(known, new, position(stored, old), greatest)
        assert caught.value.code == "source.changes_lost"
        return
    parts, upto = windows(known, new, position(stored, old), greatest)
    read = [n for part in parts for n in range(part.first, part.last + 1)]
    assert all((part.capture.start or 0) <= part.first <= part.last <= greatest for part in parts)
    ended = int(str(upto.token["lsn"]), 16)
    if oldest is not None:
        assert read == list(range(max(stored + 1, oldest), ended + 1))
    again, _ = windows(known, new, upto, greatest)
    assert again == []
    if new.start is not None and ended + 1 >= new.start:
        assert windows([new], new, upto, greatest) == ([], position(ended, new))  # the first one can be dropped


def test_a_first_load_before_the_server_says_where_the_instance_begins() -> None:
    unsaid = Capture("dbo_t", None, frozenset())
    assert beginning(unsaid, 99).token["lsn"] == f"0x{0:020X}"
    assert beginning(OLD, 3).token["lsn"] == f"0x{9:020X}"
    assert beginning(OLD, 30).token["lsn"] == f"0x{30:020X}"
    parts, _ = windows([OLD], OLD, beginning(unsaid, 99), 40)
    assert [(p.first, p.last) for p in parts] == [(10, 40)]
