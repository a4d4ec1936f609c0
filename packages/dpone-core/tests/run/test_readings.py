"""What every source makes of a request."""

from __future__ import annotations

import pytest

from dpone.connector import Column
from dpone.errors import UsageError
from dpone.readings import requested
from dpone.schema import INT64, STRING, Field, Schema

SCHEMA = Schema((Field("a", INT64, nullable=False), Field("b", INT64), Field("c", STRING)), key=("a", "b"))


def test_columns_come_in_the_order_and_by_the_names_that_were_asked_for() -> None:
    found = requested(SCHEMA, [Column("three", "c"), Column("one", "a")])
    assert found.fields == (Field("three", STRING), Field("one", INT64, nullable=False))


def test_a_key_is_known_by_its_new_names_where_all_of_it_is_read() -> None:
    assert requested(SCHEMA, [Column("x", "b"), Column("y", "a")]).key == ("y", "x")
    assert requested(SCHEMA, [Column("x", "b"), Column("z", "c")]).key == ()


def test_unknown_columns_are_named_beside_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no column d, e") as refused:
        requested(SCHEMA, [Column(name, name) for name in ("d", "a", "e")])
    assert (refused.value.code, refused.value.hint) == ("source.unknown_column", "it has a, b, c")
