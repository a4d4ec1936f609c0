"""Which columns a manifest takes of a source that has these."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dpone.errors import PlanError
from dpone.manifest.columns import Projection
from dpone.manifest.models import Settings
from dpone.schema import decimal

AVAILABLE = ("id", "email", "amount", "notes")


def chosen(**settings: Any) -> list[str]:
    columns = Projection.model_validate(settings).choose(AVAILABLE)
    return [c.name if c.target == c.name else f"{c.name} as {c.target}" for c in columns]


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, ["id", "email", "amount", "notes"]),
        ({"columns": ["amount", "id"]}, ["amount", "id"]),
        ({"exclude": ["notes"]}, ["id", "email", "amount"]),
        ({"columns": ["email", "*"]}, ["email", "id", "amount", "notes"]),
        ({"columns": ["*", {"name": "id", "as": "key"}], "exclude": ["notes"]}, ["email", "amount", "id as key"]),
        ({"columns": [{"name": "id", "as": "email"}, {"name": "email", "as": "id"}]}, ["id as email", "email as id"]),
    ],
)
def test_the_columns_taken(settings: dict[str, Any], expected: list[str]) -> None:
    assert chosen(**settings) == expected


@pytest.mark.parametrize("settings", [{"columns": ["emial"]}, {"exclude": ["emial"]}])
def test_an_unknown_column_is_a_suggestion(settings: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match='no column "emial"; did you mean "email"') as raised:
        chosen(**settings)
    assert raised.value.code == "manifest.unknown_column"
    assert raised.value.exit_code == 2


def test_the_star_is_not_a_column_that_can_be_changed() -> None:
    with pytest.raises(ValidationError, match="many columns"):
        chosen(columns=[{"name": "*", "mask": "x"}])


def test_a_cast_is_a_type() -> None:
    (column,) = Projection.model_validate({"columns": [{"name": "amount", "cast": "decimal( 18, 2)"}]}).columns
    assert (column.cast, column.cast_type) == ("decimal(18,2)", decimal(18, 2))


@pytest.mark.parametrize(
    "declared, expected", [("refuse", False), ("allow", True), (["a"], True), (["b"], False)], ids=str
)
def test_a_loss_is_declared_for_all_or_by_name(declared: object, *, expected: bool) -> None:
    assert Settings.model_validate({"on_type_loss": declared}).loses("a") is expected


@pytest.mark.parametrize("name", ["new\nline", "", "x" * 256])
def test_a_column_that_no_manifest_can_name_is_refused_where_it_would_be_taken(name: str) -> None:
    available = ("id", name)
    with pytest.raises(PlanError) as refused:
        Projection().choose(available)
    assert (refused.value.code, repr(name) in refused.value.message) == ("source.column_name", True)
    assert [c.name for c in Projection.model_validate({"columns": ["id"]}).choose(available)] == ["id"]
