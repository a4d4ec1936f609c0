"""What the catalogue's rows become: no column is left out because the server does not tell its type."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dpone.errors import PlanError
from dpone_mssql.catalog import find_relation, native_type
from dpone_mssql.session import Connection


class _Catalogue:
    """A connection that answers a table's columns."""

    def __init__(self, *columns: tuple[Any, ...]) -> None:
        self.columns = list(columns)
        self.asked: list[str] = []

    def row(self, text: str) -> tuple[Any, ...]:
        self.asked.append(text)
        return 7, "U "

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        self.asked.append(text)
        return self.columns if "default_object_id" in text else [("id", "PK_t")]


def _column(name: str, of: str | None) -> tuple[Any, ...]:
    return name, of, 4, 10, 0, None, 0, 0, 0, 0


def _found(*columns: tuple[Any, ...]) -> Any:
    return find_relation(cast("Connection", _Catalogue(*columns)), ("dbo", "t"))


def test_a_column_whose_type_is_not_told_is_refused_and_never_left_out() -> None:
    assert [a.field.name for a in _found(_column("id", "int"), _column("n", "bigint")).attributes] == ["id", "n"]
    with pytest.raises(PlanError) as caught:
        _found(_column("id", "int"), _column("secret", None))
    assert caught.value.code == "plan.unknown_type"
    assert "secret" in caught.value.message


def test_it_asks_for_nothing_that_a_mere_reader_may_not_see() -> None:
    """Views named dm_ want VIEW DATABASE STATE, and a reader of tables does not have it."""
    catalogue = _Catalogue(_column("id", "int"))
    found = find_relation(cast("Connection", catalogue), ("dbo", "t"))
    assert found is not None
    assert (found.key, found.key_name) == (("id",), "PK_t")
    assert not any("dm_" in text for text in catalogue.asked)
    assert not any(" JOIN sys.types" in text.replace("LEFT JOIN", "") for text in catalogue.asked)


def test_types_are_spelled_as_they_were_created() -> None:
    assert native_type("nvarchar", -1, 0, 0) == "nvarchar(max)"
    assert native_type("nchar", 20, 0, 0) == "nchar(10)"
    assert native_type("timestamp", 8, 0, 0) == "rowversion"
    assert native_type("float", 8, 53, 0) == "float(53)"
