"""What a plan refuses about columns that must have an order, and which do."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpone import registry
from dpone.compile import compile_plan
from dpone.errors import PlanError
from dpone.manifest import load
from dpone.plan import Plan
from dpone.schema import Field, Schema, parse_type

ORDERED = {
    **dict.fromkeys(("int64", "uint8", "float64", "decimal(9,2)", "decimal"), "1"),
    "date": "2026-01-01",
    "time(6)": "'12:00:00'",
    "timestamp(6)": "2026-01-01T00:00:00",
    "timestamptz(6)": "2026-01-01T00:00:00Z",
}
UNORDERED = ("string", "binary", "bool", "uuid", "json", "interval", "opaque", "list<int64>", "struct<a:int64>")
PLACES = {
    "cursor": "mode: incremental_merge, key: [id], cursor: {column: c}",
    "newer": "mode: incremental_merge, key: [id], cursor: {column: id}, newer: c",
    "order": "mode: snapshot_diff, key: [id], duplicates: last, order: [c]",
    "cursor that orders": "mode: incremental_merge, key: [id], duplicates: last, cursor: {column: c}",
}


@pytest.fixture(autouse=True)
def _connectors_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPONE_TESTING", "1")


def plan(folder: Path, strategy: str, of: str, *more: str) -> Plan:
    """The plan of a stream with the columns id and c, of which c has this type."""
    path = folder / "m.yaml"
    lines = [
        "version: 1",
        "name: m",
        f"source: {{type: memory, connection: {{path: {folder}}}, table: public.a}}",
        f"sink: {{type: memory, connection: {{path: {folder}}}, table: public.b}}",
        f"strategy: {{{strategy}}}",
        *more,
    ]
    path.write_text("\n".join(lines))
    (stream,) = load(path, registry.load).streams
    return compile_plan(stream, Schema((Field("id", parse_type("int64")), Field("c", parse_type(of)))))


def refusal(folder: Path, strategy: str, of: str, *more: str) -> str:
    with pytest.raises(PlanError) as caught:
        plan(folder, strategy, of, *more)
    return caught.value.code


@pytest.mark.parametrize("of", ORDERED)
@pytest.mark.parametrize("place", PLACES)
def test_numbers_dates_and_times_have_an_order(tmp_path: Path, place: str, of: str) -> None:
    plan(tmp_path, PLACES[place], of)


@pytest.mark.parametrize("of", UNORDERED)
@pytest.mark.parametrize("place", PLACES)
def test_engines_do_not_agree_on_any_other_order(tmp_path: Path, place: str, of: str) -> None:
    assert refusal(tmp_path, PLACES[place], of) == "plan.unordered_column"


@pytest.mark.parametrize("of", ORDERED)
def test_a_filter_asks_order_of_the_same_types(tmp_path: Path, of: str) -> None:
    plan(tmp_path, "mode: replace", of, f"where: [{{column: c, op: '>=', value: {ORDERED[of]}}}]")


@pytest.mark.parametrize("of", ["string", "uuid", "json", "interval", "opaque"])
def test_a_filter_asks_no_order_of_others(tmp_path: Path, of: str) -> None:
    where = "where: [{column: c, op: '>=', value: 2026-01-01}]"
    assert refusal(tmp_path, "mode: replace", of, where) == "plan.unordered_filter"


@pytest.mark.parametrize("of", ["string", "interval", "opaque"])
@pytest.mark.parametrize("mode", ["backfill", "partition_replace"])
def test_a_range_has_an_order(tmp_path: Path, mode: str, of: str) -> None:
    bounds = "bounds: {from: 2026-01-01, to: 2026-02-01}"
    assert refusal(tmp_path, f"mode: {mode}, column: c, {bounds}", of) == "plan.unordered_column"
    plan(tmp_path, f"mode: {mode}, column: c, {bounds}", "date")
    plan(tmp_path, "mode: partition_replace, column: c", of)  # slices of equal values need none


@pytest.mark.parametrize(
    "of,lag,fits",
    [
        *((of, "5m", True) for of in ("date", "timestamp(6)", "timestamptz(6)")),
        *((of, "5", True) for of in ("int64", "decimal(9,2)")),
        *((of, "5", False) for of in ("date", "timestamptz(6)")),
        ("int64", "5m", False),
        ("time(6)", "5m", False),  # midnight would be passed
        ("time(6)", "5", False),
    ],
)
def test_a_lag_is_of_the_cursors_kind(tmp_path: Path, of: str, lag: str, fits: bool) -> None:  # noqa: FBT001 - a case
    strategy = f"mode: incremental_merge, key: [id], cursor: {{column: c, lag: {lag}}}"
    if fits:
        plan(tmp_path, strategy, of)
    else:
        assert refusal(tmp_path, strategy, of) == "plan.wrong_lag"
