"""The first format that both ends speak and that is safe for every column, and why each better one was not taken."""

from __future__ import annotations

import pytest

from dpone.batch import ARROW, CH_NATIVE, PG_BINARY, PG_TEXT, Choice, Refusal, Wire, negotiate
from dpone.errors import PlanError
from dpone.schema import BINARY, INT64, Field, Kind, Landing

COLUMNS = [(Field("id", INT64), Landing("bigint")), (Field("b", BINARY), Landing("bytea"))]


def _no_binary(field: Field, _landing: Landing) -> str | None:
    return "bytes are spelled differently" if field.type.kind is Kind.BINARY else None


def test_the_sources_best_format_wins() -> None:
    choice = negotiate([Wire(PG_BINARY), Wire(ARROW)], [Wire(ARROW), Wire(PG_BINARY)], COLUMNS)
    assert choice == Choice(PG_BINARY)


def test_each_better_format_says_why_it_was_refused() -> None:
    emits = [Wire(CH_NATIVE), Wire(PG_TEXT), Wire(PG_BINARY, _no_binary), Wire(ARROW)]
    accepts = [Wire(PG_TEXT, _no_binary), Wire(PG_BINARY), Wire(ARROW)]
    assert negotiate(emits, accepts, COLUMNS) == Choice(
        ARROW,
        (
            Refusal(CH_NATIVE, "the sink does not read it"),
            Refusal(PG_TEXT, "column b: bytes are spelled differently"),
            Refusal(PG_BINARY, "column b: bytes are spelled differently"),
        ),
    )


def test_rows_that_pass_through_core_travel_as_arrow() -> None:
    wires = [Wire(PG_BINARY), Wire(ARROW)]
    choice = negotiate(wires, wires, COLUMNS, in_core="column b is masked")
    assert choice == Choice(ARROW, (Refusal(PG_BINARY, "column b is masked"),))


def test_without_a_safe_format_the_plan_is_refused_with_every_reason() -> None:
    with pytest.raises(PlanError) as caught:
        negotiate([Wire(PG_BINARY), Wire(ARROW, _no_binary)], [Wire(ARROW)], COLUMNS)
    assert caught.value.code == "plan.no_wire_format"
    assert "pg_binary: the sink does not read it; arrow: column b: bytes are spelled differently" in str(caught.value)
