"""A reading that is cut off at any page goes on after it, where that is the same reading of the same collection."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from msgspec.structs import replace

from dpone.connector import Cursor, Late, Position, ReadRequest
from dpone.errors import DponeError
from dpone.failpoints import arm
from dpone.strategies import Read
from dpone_rest import checkpoint
from dpone_rest.mock.faults import Wrong

PAGES = 7
SIZE = 5
COLUMNS = {"id": {"type": "int64", "nullable": False}, "at": "timestamptz(6)"}
PAGING: dict[str, dict[str, Any]] = {
    "page": {"pagination": {"type": "page", "size_param": "per_page", "size": SIZE}},
    "offset": {"pagination": {"type": "offset", "size": SIZE, "total": "total"}},
    "cursor": {"pagination": {"type": "cursor", "path": "next", "size_param": "limit", "size": SIZE}},
    "link": {"pagination": {"type": "link", "path": "links.next"}, "params": {"limit": SIZE}},
    "header": {"pagination": {"type": "header"}, "params": {"limit": SIZE}, "records": None},
}


class CutOff(BaseException):
    """The process ends here, as by a signal."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def record(number: int, minute: int | None = None) -> str:
    at = number if minute is None else minute
    return f'{{"id":{number},"at":"2026-01-01T{at // 60:02}:{at % 60:02}:00Z"}}'


def records(count: int = PAGES * SIZE) -> list[str]:
    return [record(n) for n in range(count)]


def options(name: str, **more: Any) -> dict[str, Any]:
    return {"path": f"{name}/orders", "records": "data", "columns": COLUMNS, **PAGING[name], **more}


def request_of(one: Any, read: Read = Read.SCAN, **more: Any) -> ReadRequest:
    found: ReadRequest = replace(one.request(read, **more), pipeline="orders", batch_bytes=1)
    return found


@contextmanager
def cut_after(pages: int) -> Iterator[None]:
    """The process ends when so many pages are safe."""
    left = [pages]

    def pass_by() -> None:
        left[0] -= 1
        if not left[0]:
            raise CutOff

    with arm("rest.page", pass_by), suppress(CutOff):
        yield


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["id"] for row in rows)


def asked(api: Any) -> int:
    """How many pages were asked for; one that was on its way when a reading was cut off is asked for again."""
    return len({tuple(sorted(query.items())) for query in api.pages()})


def kept() -> list[Path]:
    return sorted(Path(".dpone/pages").glob("*"))


@pytest.mark.parametrize("name", PAGING)
@pytest.mark.parametrize("pages", range(1, PAGES + 1))
def test_a_reading_that_is_cut_off_at_any_page_goes_on_after_it(serve: Any, reader: Any, name: str, pages: int) -> None:
    api = serve(*records())
    one = reader(api, options(name))
    request = request_of(one)
    with cut_after(pages):
        one.rows(request)
    (file,) = kept()
    assert file.stat().st_mode & 0o777 == 0o600
    api.asked.clear()
    assert ids(one.rows(request)) == list(range(PAGES * SIZE))
    again = 1 if pages == 1 else 2  # the first page and the last one
    ends_empty = 1 if name == "page" else 0
    assert asked(api) == again + PAGES - pages + ends_empty
    assert kept() == []


def test_a_reading_says_that_it_goes_on(serve: Any, reader: Any) -> None:
    one = reader(serve(*records()), options("cursor"))
    request = request_of(one)
    before = datetime.now(UTC)
    with cut_after(3):
        one.rows(request)
    source = one.source()
    with source.open(request) as reading:
        assert reading.continued.parts == 3
        assert before <= reading.continued.begun <= datetime.now(UTC)
    with source.open(request) as reading:
        assert reading.continued is None


def moved_before(rows: list[str]) -> list[str]:
    return rows[1:]


def moved_behind(rows: list[str]) -> list[str]:
    return [record(99), *rows]


def changed_first(rows: list[str]) -> list[str]:
    return [record(0, 700), *rows[1:]]


@pytest.mark.parametrize("name", PAGING)
@pytest.mark.parametrize("change", [moved_before, moved_behind, changed_first])
def test_pages_of_a_collection_that_moved_are_not_gone_on_with(serve: Any, reader: Any, name: str, change: Any) -> None:
    api = serve(*records())
    one = reader(api, options(name))
    request = request_of(one)
    with cut_after(4):
        one.rows(request)
    api.tables.put("orders", change(records()))
    after = reader(api, options(name)).rows(replace(request, pipeline="another"))
    assert one.rows(request) == after
    assert kept() == []


def test_a_place_that_is_no_more_is_no_end(serve: Any, reader: Any) -> None:
    """A token that ended with its session."""
    api = serve(*records())
    one = reader(api, options("cursor"))
    request = request_of(one)
    with cut_after(4):
        one.rows(request)
    sleep(0.2)  # a page may still be on its way
    api.fail(Wrong.STATUS, status=400, skip=1)
    assert ids(one.rows(request)) == list(range(PAGES * SIZE))


def test_an_api_that_is_away_costs_no_page(serve: Any, reader: Any) -> None:
    api = serve(*records())
    one = reader(api, options("cursor"), {"retries": 0})
    request = request_of(one)
    with cut_after(4):
        one.rows(request)
    api.fail(Wrong.STATUS, status=503, times=99)
    for _ in range(2):
        with pytest.raises(DponeError) as found:
            one.rows(request)
        assert found.value.code == "rest.server_failed"
    api.plan.clear()
    api.asked.clear()
    assert ids(one.rows(request)) == list(range(PAGES * SIZE))
    assert asked(api) == 2 + PAGES - 4


def test_an_api_that_fails_is_gone_on_with_and_data_that_does_not_fit_is_not(serve: Any, reader: Any) -> None:
    api = serve(*records())
    one = reader(api, options("cursor"), {"retries": 0})
    request = request_of(one)
    api.fail(Wrong.CUT, skip=4)
    with pytest.raises(DponeError):
        one.rows(request)
    assert len(kept()) == 1
    rows = [*records(30), '{"id":"none"}']
    api.tables.put("orders", rows)
    with pytest.raises(DponeError):
        one.rows(request)
    assert kept() == []


@pytest.mark.parametrize(
    "other",
    [
        {"pipeline": "others"},
        {"since": Position(Read.SINCE, {"column": "at", "type": "timestamptz(6)", "value": "2025-01-01 00:00:00Z"})},
        {"columns": 1},
    ],
)
def test_another_reading_does_not_go_on(serve: Any, reader: Any, other: dict[str, Any]) -> None:
    one = reader(serve(*records()), options("cursor"))
    request = request_of(one, Read.SINCE, cursor=Cursor("at", Late.OVERLAP, timedelta(hours=1)))
    with cut_after(4):
        one.rows(request)
    more = {"columns": request.columns[:1]} if "columns" in other else other
    one.api.asked.clear()
    one.rows(replace(request, **more))
    assert asked(one.api) == PAGES


def test_what_was_declared_so_is_not_gone_on_with(serve: Any, reader: Any) -> None:
    api = serve(*records())
    for given in ({"checkpoint": False}, {"checkpoint": "30s"}):
        one = reader(api, options("cursor", **given))
        request = request_of(one)
        with cut_after(4):
            one.rows(request)
        for file in kept():
            os.utime(file, (datetime.now(UTC).timestamp() - 60,) * 2)
        api.asked.clear()
        assert ids(one.rows(request)) == list(range(PAGES * SIZE))
        assert asked(api) == PAGES


@pytest.mark.parametrize("value", ["2 days", "0s", True])
def test_a_checkpoint_is_a_short_time_or_none(serve: Any, reader: Any, value: Any) -> None:
    with pytest.raises(ValueError, match="checkpoint"):
        _ = reader(serve(), options("cursor", checkpoint=value)).dataset


@pytest.mark.parametrize("lost", [1, 7, 40])
def test_a_page_that_is_half_written_is_read_again(serve: Any, reader: Any, lost: int) -> None:
    api = serve(*records())
    one = reader(api, options("cursor"))
    request = request_of(one)
    with cut_after(4):
        one.rows(request)
    (file,) = kept()
    os.truncate(file, file.stat().st_size - lost)
    api.asked.clear()
    assert ids(one.rows(request)) == list(range(PAGES * SIZE))
    assert asked(api) == 2 + PAGES - 3


def test_two_readings_at_once_do_not_share_pages(serve: Any, reader: Any) -> None:
    one = reader(serve(*records()), options("cursor"))
    request = request_of(one)
    with cut_after(4):
        one.rows(request)
    first = one.source()
    with first.open(request) as reading:
        assert reading.continued is not None
        assert ids(one.rows(request)) == list(range(PAGES * SIZE))


def test_a_folder_that_cannot_be_written_ends_nothing(serve: Any, reader: Any) -> None:
    Path(".dpone").write_text("a file")
    one = reader(serve(*records()), options("cursor"))
    assert ids(one.rows(request_of(one))) == list(range(PAGES * SIZE))


def test_a_collection_that_is_too_large_is_read_without_being_kept(
    serve: Any, reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "MOST_BYTES", 900)
    one = reader(serve(*records()), options("cursor"))
    with cut_after(6):
        one.rows(request_of(one))
    assert kept() == []
    assert ids(one.rows(request_of(one))) == list(range(PAGES * SIZE))


def test_files_that_nobody_came_back_for_are_gone(serve: Any, reader: Any) -> None:
    folder = Path(".dpone/pages")
    folder.mkdir(parents=True)
    old = folder / "old.pages"
    old.write_bytes(b"")
    os.utime(old, (1.0, 1.0))
    one = reader(serve(*records()), options("cursor"))
    one.rows(request_of(one))
    assert kept() == []


# ------------------------------------------------------------------ by a cursor


def soon(number: int) -> str:
    """A record that changes a moment after the first page was read."""
    return f'{{"id":{number},"at":"{(datetime.now(UTC) + timedelta(seconds=2)).isoformat()}"}}'


@pytest.mark.parametrize("late", [Late.OVERLAP, Late.HOLD_BACK])
def test_a_window_ends_where_the_first_process_began(serve: Any, reader: Any, late: Late) -> None:
    """A record on a page that was read changes, and a later one on a page that was not: the position must not pass."""
    api = serve(*records())
    one = reader(api, options("cursor"))
    request = request_of(one, Read.SINCE, cursor=Cursor("at", late))
    begun = datetime.now(UTC)
    with cut_after(3):
        one.rows(request)
    rows = records()
    rows[8], rows[30] = soon(8), soon(30)  # neither on the first page nor on the last one that was read
    api.tables.put("orders", rows)
    found, upto = one.reading(request)
    assert upto is not None
    assert datetime.fromisoformat(str(upto.token["value"])) <= begun + timedelta(seconds=1)
    assert ids(found) == [n for n in range(PAGES * SIZE) if n != 30]
    nextly, _ = one.reading(replace(request, since=upto, cursor=Cursor("at", Late.OVERLAP)))
    assert {8, 30} <= set(ids(nextly))


def test_a_cursor_that_is_no_clock_is_read_from_the_first_page_on(serve: Any, reader: Any) -> None:
    one = reader(serve(*records()), options("cursor"))
    request = request_of(one, Read.SINCE, cursor=Cursor("id", Late.OVERLAP))
    with cut_after(4):
        one.rows(request)
    assert kept() == []
