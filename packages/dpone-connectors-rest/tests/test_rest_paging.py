from __future__ import annotations

from typing import Any

import pytest

from dpone.errors import DponeError
from dpone.testing.suite.refusals import code_of
from dpone_rest.mock.faults import Wrong

ROWS = [f'{{"id":{n}}}' for n in range(25)]
IDS = list(range(25))
COLUMNS = {"id": "int64"}
PAGING: dict[str, dict[str, Any]] = {
    "page": {"pagination": {"type": "page", "size_param": "per_page", "size": 10}},
    "page_total": {"pagination": {"type": "page", "size_param": "per_page", "size": 10, "total": "pages"}},
    "offset": {"pagination": {"type": "offset", "size": 10}},
    "offset_total": {"pagination": {"type": "offset", "size": 10, "total": "total"}},
    "cursor": {"pagination": {"type": "cursor", "path": "next", "size_param": "limit", "size": 10}},
    "link": {"pagination": {"type": "link", "path": "links.next"}, "params": {"limit": 10}},
    "header": {"pagination": {"type": "header"}, "params": {"limit": 10}, "records": None},
}


def options(name: str, **more: Any) -> dict[str, Any]:
    return {"path": name.partition("_")[0] + "/orders", "records": "data", "columns": COLUMNS, **PAGING[name], **more}


def test_a_collection_of_one_page_is_read(serve: Any, reader: Any) -> None:
    one = reader(serve(*ROWS), {"path": "tables/orders", "columns": COLUMNS})
    assert [row["id"] for row in one.rows()] == IDS


@pytest.mark.parametrize("name", PAGING)
@pytest.mark.parametrize("count", [0, 1, 10, 20, 25])
def test_every_way_of_paging_gives_every_record_once(serve: Any, reader: Any, name: str, count: int) -> None:
    one = reader(serve(*ROWS[:count]), options(name))
    assert [row["id"] for row in one.rows()] == IDS[:count]


@pytest.mark.parametrize(
    "name, requests", [("page", 4), ("page_total", 3), ("offset", 4), ("offset_total", 3), ("cursor", 3), ("link", 3)]
)
def test_no_page_is_asked_for_that_need_not_be(serve: Any, reader: Any, name: str, requests: int) -> None:
    one = reader(serve(*ROWS), options(name))
    request = one.request()
    one.api.asked.clear()
    one.rows(request)
    assert len(one.api.asked) == requests


def test_a_page_that_is_not_full_is_no_end(serve: Any, reader: Any) -> None:
    """An API that never gives more than ten, whatever it is asked for."""
    api = serve(*ROWS)
    one = reader(api, options("offset", pagination={"type": "offset", "size": 500, "size_param": "wanted"}))
    one.options["params"] = {"limit": 10}
    assert [row["id"] for row in one.rows()] == IDS


@pytest.mark.parametrize("name", ["page", "offset", "cursor", "link", "header"])
def test_a_page_that_comes_again_is_an_error(serve: Any, reader: Any, name: str) -> None:
    one = reader(serve(*ROWS), options(name))
    request = one.request()
    one.api.fail(Wrong.REPEAT, times=100)
    assert code_of(lambda: one.rows(request)) == "rest.page_repeated"


@pytest.mark.parametrize("name", ["page", "offset"])
def test_an_api_that_does_not_know_our_parameters_is_found_out(serve: Any, reader: Any, name: str) -> None:
    wrong = {"page": {"param": "p"}, "offset": {"param": "o"}}[name]
    one = reader(serve(*ROWS), options(name, pagination={**PAGING[name]["pagination"], **wrong}))
    assert code_of(one.rows) == "rest.page_repeated"


@pytest.mark.parametrize("name", ["cursor", "link", "header"])
def test_a_cycle_is_an_error(serve: Any, reader: Any, name: str) -> None:
    one = reader(serve(*ROWS), options(name))
    request = one.request()
    one.api.fail(Wrong.CYCLE, times=100, skip=1)
    assert code_of(lambda: one.rows(request)) == "rest.cursor_cycle"


@pytest.mark.parametrize("name", ["page", "offset", "cursor", "link", "header"])
def test_a_page_limit_is_an_error_and_no_end(serve: Any, reader: Any, name: str) -> None:
    one = reader(serve(*ROWS), options(name, max_pages=7))
    request = one.request()
    one.api.fail(Wrong.ENDLESS, times=100)
    one.api.asked.clear()
    assert code_of(lambda: one.rows(request)) == "rest.page_limit"
    assert len(one.api.asked) == 7
    enough = reader(serve(*ROWS), options(name, max_pages=4))
    assert len(enough.rows()) == 25


@pytest.mark.parametrize("name", ["link", "header"])
def test_the_next_page_is_at_the_same_host(serve: Any, reader: Any, name: str) -> None:
    one = reader(serve(*ROWS), options(name))
    request = one.request()
    one.api.fail(Wrong.FOREIGN)
    one.api.asked.clear()
    assert code_of(lambda: one.rows(request)) == "rest.foreign_link"
    assert len(one.api.asked) == 1


@pytest.mark.parametrize(
    "name, more",
    [("offset_total", {}), ("link", {"count": "total"}), ("page", {"count": "total"}), ("offset", {"count": "total"})],
)
def test_records_that_are_missing_are_missed(serve: Any, reader: Any, name: str, more: dict[str, Any]) -> None:
    one = reader(serve(*ROWS), options(name, **more))
    assert len(one.rows()) == 25
    request = one.request()
    one.api.fail(Wrong.SHORT, times=100)
    assert code_of(lambda: one.rows(request)) == "rest.records_missing"


@pytest.mark.parametrize(
    "wrong, code",
    [
        ({"records": "nothing.here"}, "rest.no_records"),
        ({"records": "total"}, "rest.no_records"),
        ({"records": "data[*].id"}, "rest.no_records"),
        ({"records": "data["}, "rest.invalid_path"),
        ({"records": None}, "rest.no_records"),
        ({"count": "data"}, "rest.invalid_total"),
        ({"pagination": {"type": "offset", "total": "totl"}}, "rest.invalid_total"),
        ({"pagination": {"type": "cursor", "path": "data"}}, "rest.invalid_next"),
        ({"path": "offset/absent"}, "source.table_missing"),
    ],
)
def test_a_wrong_manifest_is_named(serve: Any, reader: Any, wrong: dict[str, Any], code: str) -> None:
    one = reader(serve(*ROWS), options("offset", **wrong))
    assert code_of(one.rows) == code


def test_a_next_link_keeps_the_key_out_of_errors_and_in_requests(serve: Any, reader: Any) -> None:
    from dpone_rest.mock.guard import Credentials

    api = serve(*ROWS, credentials=Credentials("api_key_query", secret="cAnArY-9", key_name="key"))
    login = {"api_key": "cAnArY-9", "api_key_in": "query", "api_key_name": "key"}
    one = reader(api, options("link"), login)
    assert len(one.rows()) == 25
    assert all(asked.query["key"] == "cAnArY-9" for asked in api.asked)
    api.fail(Wrong.NOT_JSON, skip=2)
    with pytest.raises(DponeError) as caught:
        one.rows()
    assert "cAnArY" not in str(caught.value) + repr(caught.value.context) + str(caught.value.hint)
