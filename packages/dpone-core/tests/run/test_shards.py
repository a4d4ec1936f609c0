"""Parts of the streams: each stream in exactly one, whatever other streams there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.errors import UsageError
from dpone.shards import WHOLE, Shard, shard_of


@given(st.text(max_size=20), st.integers(1, 9))
def test_exactly_one_part_takes_a_name(name: str, parts: int) -> None:
    assert [Shard(n, parts).takes(name) for n in range(1, parts + 1)].count(True) == 1
    assert WHOLE.takes(name)


def test_parts_are_of_one_size_nearly() -> None:
    counts = [sum(Shard(n, 4).takes(f"shop.table_{i}") for i in range(400)) for n in range(1, 5)]
    assert sum(counts) == 400
    assert min(counts) > 60


def test_a_part_is_written_as_it_is_read() -> None:
    assert str(shard_of("2/3")) == "2/3"


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "", "1/0", "-1/2", "1/2/3", "1 / 2", "1/" + "9" * 30])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        shard_of(text)
    assert caught.value.code == "shard.malformed"
