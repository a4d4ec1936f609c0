"""Readings by a cursor, narrowed or not; inferred columns, drift and flattening; filters."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from dpone.connector import Column, Cursor, Late, Position
from dpone.errors import DponeError
from dpone.strategies import Read
from dpone.testing.suite.refusals import code_of
from dpone.where import Compare, Condition
from dpone_rest.mock.faults import Wrong

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def row(number: int, at: datetime | None = None, **more: Any) -> str:
    return json.dumps({"id": number, "at": (at or NOON + timedelta(hours=number)).isoformat(), **more})


NARROWED: dict[str, Any] = {
    "path": "offset/orders",
    "records": "data",
    "pagination": {"type": "offset", "size": 10, "total": "total"},
    "columns": {
        "id": {"type": "int64", "nullable": False},
        "at": {"type": "timestamptz(6)", "nullable": False},
    },
    "params": {"by": "at"},
    "since": {"params": {"since": "{since}", "until": "{until}"}},
}
WHOLE = {**{k: v for k, v in NARROWED.items() if k != "since"}, "params": {}}


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(r["id"] for r in rows)


def asked(one: Any, name: str) -> set[str | None]:
    return {query.get(name) for query in one.api.pages()}


# --------------------------------------------------------------------------- windows


@pytest.mark.parametrize("options", [NARROWED, WHOLE], ids=["narrowed", "whole"])
def test_only_what_is_new_or_within_the_lag_is_read(serve: Any, reader: Any, options: dict[str, Any]) -> None:
    one = reader(serve(*(row(n) for n in range(25))), options)
    cursor = Cursor("at", lag=timedelta(hours=2))
    rows, upto = one.since(cursor)
    assert ids(rows) == list(range(25))
    assert upto == Position(
        Read.SINCE, {"column": "at", "type": "timestamptz(6)", "value": "2026-06-02 12:00:00.000000Z"}
    )
    one.api.tables.put("orders", [*(row(n) for n in range(27)), row(90, NOON + timedelta(hours=22, minutes=30))])
    one.api.asked.clear()
    rows, later = one.since(cursor, upto)
    assert ids(rows) == [22, 23, 24, 25, 26, 90]
    assert later is not None
    assert later.token["value"] == "2026-06-02 14:00:00.000000Z"
    wanted = "2026-06-02T10:00:00Z" if options is NARROWED else None
    assert wanted in asked(one, "since")
    rows, still = one.since(cursor, later)
    assert still == later


def test_the_first_load_asks_for_everything(serve: Any, reader: Any) -> None:
    one = reader(serve(*(row(n) for n in range(5))), NARROWED)
    one.since(Cursor("at"))
    assert asked(one, "since") == {None}
    assert asked(one, "until") == {None}


def test_an_api_that_leaves_the_value_itself_out_is_asked_for_one_step_more(serve: Any, reader: Any) -> None:
    options = {**NARROWED, "since": {"params": {"after": "{since}"}}}
    api = serve(row(1, NOON), row(2, NOON + timedelta(microseconds=1)))
    lost = reader(api, options)
    _, upto = lost.since(Cursor("at"))
    api.tables.put("orders", [row(1, NOON), *(row(n, NOON + timedelta(microseconds=1)) for n in (2, 3))])
    assert ids(lost.since(Cursor("at"), upto)[0]) == []  # an equal cursor, lost by what the manifest says
    kept = reader(api, {**options, "since": {**options["since"], "exclusive": True}})
    assert ids(kept.since(Cursor("at"), upto)[0]) == [2, 3]


@pytest.mark.parametrize(
    "how, sent",
    [
        ("iso", "2026-06-01T11:59:59.500001Z"),
        ("unix", "1780315199"),
        ("unix_ms", "1780315199500"),
        ("plain", "2026-06-01 11:59:59.500001Z"),
    ],
)
def test_the_value_is_written_as_the_api_wants_it_and_never_later(serve: Any, reader: Any, how: str, sent: str) -> None:
    since = {"params": {"q": "updated:>={since}", "since": "{since}"}, "format": how}
    one = reader(serve(row(1, NOON + timedelta(microseconds=500_001))), {**NARROWED, "since": since})
    _, upto = one.since(Cursor("at"))
    one.api.tables.put("orders", [])
    one.api.asked.clear()
    one.since(Cursor("at", lag=timedelta(seconds=1)), upto)
    assert f"updated:>={sent}" in asked(one, "q")


@pytest.mark.parametrize("spelled, values", [("int64", [1, 5, 9]), ("decimal(9,2)", [1, Decimal("5.25"), 9])])
def test_numbers_are_cursors_too(serve: Any, reader: Any, spelled: str, values: list[Any]) -> None:
    options = {**NARROWED, "columns": {"id": {"type": spelled, "nullable": False}}, "params": {"by": "id"}}
    one = reader(serve(*(f'{{"id":{v}}}' for v in values)), options)
    rows, upto = one.since(Cursor("id", lag=4))
    assert ids(rows) == values
    assert ids(one.since(Cursor("id", lag=4), upto)[0]) == values[1:]
    rows, upto = one.since(Cursor("id", Late.HOLD_BACK, 4))
    assert ids(rows) == values[:2]
    assert ids(one.since(Cursor("id", Late.HOLD_BACK, 0), upto)[0]) == values[2:]


def test_a_record_at_the_very_bound_is_held_back_and_read_once(serve: Any, reader: Any) -> None:
    options = {**NARROWED, "columns": {"id": {"type": "int64", "nullable": False}}, "params": {"by": "id"}}
    one = reader(serve(*(f'{{"id":{v}}}' for v in (1, 6, 9))), options)
    rows, upto = one.since(Cursor("id", Late.HOLD_BACK, 4))
    assert ids(rows) == [1]
    assert ids(one.since(Cursor("id", Late.HOLD_BACK, 0), upto)[0]) == [6, 9]


def test_young_records_are_held_back_by_the_clock_of_the_server(serve: Any, reader: Any) -> None:
    now = datetime.now(UTC)
    api = serve(row(1, now - timedelta(hours=3)), row(2, now - timedelta(minutes=30)), row(3, now + timedelta(hours=1)))
    one = reader(api, NARROWED)
    rows, upto = one.since(Cursor("at", Late.HOLD_BACK, timedelta(hours=1)))
    assert ids(rows) == [1]
    assert None not in {q.get("until") for q in api.pages()[1:]}
    rows, _ = one.since(Cursor("at", Late.HOLD_BACK, timedelta(minutes=1)), upto)
    assert ids(rows) == [2]


def test_a_server_whose_clock_is_late_is_believed(serve: Any, reader: Any) -> None:
    now = datetime.now(UTC)
    api = serve(row(1, now - timedelta(hours=3)), row(2, now - timedelta(minutes=30)))
    api.behind = 7200.0  # it may still write rows of an hour ago
    rows, upto = reader(api, NARROWED).since(Cursor("at", Late.HOLD_BACK, timedelta(minutes=1)))
    assert ids(rows) == [1]
    api.behind = 0.0
    assert ids(reader(api, NARROWED).since(Cursor("at", Late.HOLD_BACK, timedelta(minutes=1)), upto)[0]) == [2]


def test_another_connection_reads_the_same_window(serve: Any, reader: Any) -> None:
    one = reader(serve(*(row(n) for n in range(25))), NARROWED)
    request = one.request(Read.SINCE, cursor=Cursor("at"))
    opener, worker = one.source(), one.source()
    with opener.open(request) as reading:
        one.api.tables.put("orders", [row(n) for n in range(40)])  # of what came since nothing is read
        plain = replace(reading.splits[0], payload=json.loads(json.dumps(reading.splits[0].payload)))
        found = [r["id"] for batch in worker.read(request, plain) for r in batch.data.to_pylist()]
    assert sorted(found) == list(range(25))


@pytest.mark.parametrize("late", list(Late))
def test_a_cursor_that_may_be_null_is_not_left_to_an_api(serve: Any, reader: Any, late: Late) -> None:
    columns = {"id": "int64", "at": "timestamptz(6)"}
    one = reader(serve(row(1)), {**NARROWED, "columns": columns})
    assert code_of(lambda: one.since(Cursor("at", late))) == "rest.unseen_nulls"
    assert ids(one.since(Cursor("at", late, skip_nulls=True))[0]) == [1]


@pytest.mark.parametrize("late", list(Late))
def test_a_record_without_a_cursor_is_refused_or_left_out_as_declared(serve: Any, reader: Any, late: Late) -> None:
    options = {**WHOLE, "columns": {"id": "int64", "at": "timestamptz(6)"}}
    one = reader(serve(row(1), '{"id":2,"at":null}', '{"id":3}'), options)
    assert code_of(lambda: one.since(Cursor("at", late))) == "source.null_cursor"
    assert ids(one.since(Cursor("at", late, skip_nulls=True))[0]) == [1]


def test_a_cursor_that_was_declared_as_never_missing_is_not_missing(serve: Any, reader: Any) -> None:
    missing = reader(serve('{"id":1}'), NARROWED)
    assert code_of(lambda: missing.since(Cursor("at"))) == "rest.missing_field"


@pytest.mark.parametrize(
    "cursor, code",
    [
        (Cursor("absent"), "plan.cursor_missing"),
        (None, "plan.cursor_missing"),
        (Cursor("name"), "source.unordered_cursor"),
        (Cursor("at", lag=5), "plan.wrong_lag"),
        (Cursor("id", lag=timedelta(1)), "plan.wrong_lag"),
    ],
)
def test_a_wrong_cursor_is_named(serve: Any, reader: Any, cursor: Any, code: str) -> None:
    one = reader(serve(row(1, name="x")), {**WHOLE, "columns": {"id": "int64", "at": "timestamptz", "name": "string"}})
    assert code_of(lambda: one.since(cursor)) == code


def test_a_position_of_another_cursor_is_refused(serve: Any, reader: Any) -> None:
    one = reader(serve(row(1)), WHOLE)
    _, upto = one.since(Cursor("at"))
    assert code_of(lambda: one.since(Cursor("id"), upto)) == "source.cursor_changed"
    wrong = Position(Read.SINCE, {"column": "id", "value": "x"})
    assert code_of(lambda: one.since(Cursor("id"), wrong)) == "source.other_position"


def test_a_wall_clock_needs_a_zone_to_be_held_back(serve: Any, reader: Any) -> None:
    options = {**WHOLE, "columns": {"id": "int64", "at": "timestamp(6)"}}
    one = reader(serve('{"id":1,"at":"2026-01-01T00:00:00"}'), options)
    assert code_of(lambda: one.since(Cursor("at", Late.HOLD_BACK))) == "source.cursor_without_zone"
    zoned = reader(one.api, {**options, "timezone": "Europe/Berlin"})
    assert ids(zoned.since(Cursor("at", Late.HOLD_BACK))[0]) == [1]


def test_a_range_narrows_the_request_and_is_filtered_here(serve: Any, reader: Any) -> None:
    options = {**NARROWED, "since": {**NARROWED["since"], "column": "id"}, "params": {"by": "id"}}
    one = reader(serve(*(row(n) for n in range(25))), options)
    where = (Condition("id", Compare.GE, 5), Condition("id", Compare.LT, 8), Condition("id", Compare.NE, 6))
    assert ids(one.rows(one.request(where=where))) == [5, 7]
    assert asked(one, "since") >= {"5"}
    assert asked(one, "until") >= {"8"}


def test_a_filter_on_numbers_that_travel_as_text_compares_numbers(serve: Any, reader: Any) -> None:
    one = reader(serve('{"id":9}', '{"id":10}', '{"id":1.0}'), {"path": "tables/orders", "columns": {"id": "decimal"}})
    found = one.rows(one.request(where=(Condition("id", Compare.LT, Decimal(10)),)))
    assert sorted(r["id"] for r in found) == ["1.0", "9"]


# -------------------------------------------------------------------- inferred columns

INFERRED: dict[str, Any] = {"path": "tables/orders"}


def types(one: Any) -> dict[str, str]:
    return {f.name: str(f.type) for f in one.source().describe(one.dataset)}


def test_types_are_the_narrowest_that_all_values_have(serve: Any, reader: Any) -> None:
    first: dict[str, Any] = {
        "i": 1,
        "n": 1,
        "big": 2**63,
        "b": True,
        "s": "x",
        "d": "2026-01-31",
        "t": "2026-01-31T12:00:00Z",
    }
    second: dict[str, Any] = {
        "i": None,
        "n": 1.5,
        "big": 1,
        "b": False,
        "s": "2026-01-31",
        "d": None,
        "t": "2026-01-31T12:00:00+02:00",
    }
    first |= {"w": "2026-01-31T12:00:00", "ns": "2026-01-31T12:00:00.123456789Z", "o": {}, "a": [1], "m": 1, "z": None}
    second |= {"w": None, "ns": "2026-01-31T12:00:00Z", "o": None, "a": [], "m": "x", "z": None, "only": 1}
    one = reader(serve(json.dumps(first), json.dumps(second)), INFERRED)
    assert types(one) == {
        "i": "int64",
        "n": "float64",
        "big": "decimal",
        "b": "bool",
        "s": "string",
        "d": "date",
        "t": "timestamptz(6)",
        "w": "timestamp(6)",
        "ns": "timestamptz(9)",
        "o": "json",
        "a": "json",
        "m": "json",
        "z": "json",
        "only": "int64",
    }
    assert len(one.rows()) == 2


@pytest.mark.parametrize(
    "late, code",
    [
        ('{"id":"x"}', "rest.drift"),
        ('{"id":1.5}', "rest.drift"),
        ('{"id":18446744073709551616}', "rest.drift"),
        ('{"id":7,"new":1}', "rest.drift"),
    ],
)
def test_a_record_that_does_not_fit_the_sample_is_refused(serve: Any, reader: Any, late: str, code: str) -> None:
    one = reader(serve('{"id":1}', '{"id":2}', late), {**INFERRED, "sample": 2})
    assert code_of(one.rows) == code


def test_what_is_found_in_all_records_evolves(serve: Any, reader: Any) -> None:
    one = reader(serve('{"id":1}', '{"id":2.5,"new":"x"}'), {**INFERRED, "sample": 1, "drift": "evolve"})
    assert types(one) == {"id": "float64", "new": "string"}
    assert one.rows() == [{"id": 1.0, "new": None}, {"id": 2.5, "new": "x"}]


def test_a_sample_holds_for_the_run(serve: Any, reader: Any) -> None:
    """What was described is what is read, though the API says other things meanwhile."""
    one = reader(serve('{"id":1}'), INFERRED)
    source = one.source()
    assert source.describe(one.dataset).names == ("id",)
    one.api.tables.put("orders", ['{"id":"x"}'])
    request = one.request()
    request = replace(request, columns=(Column("id", "id"),))
    with pytest.raises(DponeError) as caught, source.open(request) as reading:
        list(source.read(request, reading.splits[0]))
    assert caught.value.code == "rest.drift"


def test_nothing_can_be_inferred_from_nothing(serve: Any, reader: Any) -> None:
    assert code_of(reader(serve(), INFERRED).request) == "rest.nothing_to_infer"


def test_the_sample_is_read_page_by_page_and_no_further(serve: Any, reader: Any) -> None:
    paged = {"path": "offset/orders", "records": "data", "pagination": {"type": "offset", "size": 10}, "sample": 15}
    one = reader(serve(*(row(n) for n in range(95))), paged)
    types(one)
    assert len(one.api.asked) == 2


def test_objects_are_kept_or_flattened(serve: Any, reader: Any) -> None:
    rows = ['{"id":1,"to":{"city":"Rom","geo":{"lat":41.90}},"tags":[{"a":1.10}]}', '{"id":2,"to":null,"tags":[]}']
    kept = reader(serve(*rows), INFERRED)
    assert kept.rows()[0] == {"id": 1, "to": '{"city":"Rom","geo":{"lat":41.90}}', "tags": '[{"a":1.10}]'}
    flat = reader(serve(*rows), {**INFERRED, "nested": "flatten", "separator": "."})
    assert types(flat) == {
        "id": "int64", "to.city": "string", "to.geo.lat": "float64", "tags": "json", "to": "json",
    }  # fmt: skip
    assert flat.rows()[0] == {"id": 1, "to.city": "Rom", "to.geo.lat": 41.9, "tags": '[{"a":1.10}]', "to": None}
    declared = {"id": "int64", "to_geo_lat": "decimal(9,6)"}
    some = reader(serve(*rows), {**INFERRED, "nested": "flatten", "columns": declared})
    assert some.rows() == [{"id": 1, "to_geo_lat": Decimal("41.900000")}, {"id": 2, "to_geo_lat": None}]


def test_two_fields_of_one_name_are_refused(serve: Any, reader: Any) -> None:
    one = reader(serve('{"a":{"b":1},"a_b":2}'), {**INFERRED, "nested": "flatten"})
    assert code_of(one.request) == "rest.ambiguous_field"


def test_a_key_is_never_missing(serve: Any, reader: Any) -> None:
    declared = {**INFERRED, "columns": {"id": "int64", "name": "string"}, "key": ("id",)}
    one = reader(serve('{"id":1}', '{"name":"x"}'), declared)
    assert not one.source().describe(one.dataset)["id"].nullable
    assert code_of(one.rows) == "rest.missing_field"


def test_declared_columns_are_a_choice(serve: Any, reader: Any) -> None:
    one = reader(serve('{"id":1,"name":"x","more":true}', '{"name":"y"}'), {**INFERRED, "columns": {"name": "string"}})
    assert one.rows() == [{"name": "x"}, {"name": "y"}]
    assert one.source().describe(one.dataset).names == ("name",)


def test_digits_survive(serve: Any, reader: Any) -> None:
    exact = "0.1234567890123456789012345678901234567890"
    columns = {"a": "decimal", "b": "decimal(38,2)", "c": "uint64", "d": "json"}
    text = f'{{"a":{exact},"b":0.10,"c":18446744073709551615,"d":{{"x":{exact},"y":12345678901234567890123}}}}'
    (found,) = reader(serve(text), {**INFERRED, "columns": columns}).rows()
    assert found["a"] == exact
    assert found["b"] == Decimal("0.10")
    assert found["c"] == 2**64 - 1
    assert found["d"] == f'{{"x":{exact},"y":12345678901234567890123}}'


@pytest.mark.parametrize("spelled", ["int64", "float64", "decimal(18,4)", "decimal", "int256"])
@pytest.mark.parametrize("number", ["1e999999999999999999999", "1e-999999999999999999999", "1e999999"])
def test_a_number_that_nobody_can_hold_is_refused(serve: Any, reader: Any, spelled: str, number: str) -> None:
    one = reader(serve(f'{{"id":{number}}}'), {**INFERRED, "columns": {"id": spelled}})
    assert code_of(one.rows) == "source.value_unfit"


def test_a_path_may_compute_with_numbers(serve: Any, reader: Any) -> None:
    api = serve('{"id":1,"x":0.5}', '{"id":2,"x":10.25}', '{"id":3,"x":9.75}')
    options = {"path": "tables/orders", "columns": {"id": "int64", "x": "decimal(9,4)"}}
    found = reader(api, {**options, "records": "[?x > `9.5`]"}).rows()
    assert [(r["id"], r["x"]) for r in found] == [(2, Decimal("10.2500")), (3, Decimal("9.7500"))]
    ordered = reader(api, {**options, "records": "reverse(sort_by(@, &id))"}).rows()
    assert [r["id"] for r in ordered] == [3, 2, 1]
    assert code_of(reader(api, {**options, "records": "sort_by(@, &x)"}).rows) == "rest.invalid_path"


def test_it_examines_itself(serve: Any, reader: Any) -> None:
    one = reader(serve(), INFERRED)
    found = {f.name: f for f in one.source().diagnose()}
    assert all(f.ok for f in found.values())
    assert "127.0.0.1" in found["address"].found
    one.api.fail(Wrong.STATUS, status=401, times=9)
    assert not {f.name: f for f in one.source().diagnose()}["answer"].ok
