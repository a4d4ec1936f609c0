"""Names of tables are read as people write them, and printed so that they are read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.errors import UsageError
from dpone.names import parse_name, print_name


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4).map(tuple))
def test_a_printed_name_is_read_back(parts: tuple[str, ...]) -> None:
    assert parse_name(print_name(parts)) == parts


@pytest.mark.parametrize(
    "text,parts",
    [
        ("orders", ("orders",)),
        ("raw.orders", ("raw", "orders")),
        ('raw."or.ders"', ("raw", "or.ders")),
        ('"a ""b"""."c"', ('a "b"', "c")),
        ("naïve ☂.x", ("naïve ☂", "x")),
    ],
)
def test_a_name_is_split_at_its_dots(text: str, parts: tuple[str, ...]) -> None:
    assert parse_name(text) == parts


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", '"a', 'a"b', '"a"b', '""', '"a".', '"a""'])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_name(text)
    assert caught.value.code == "manifest.invalid_name"
