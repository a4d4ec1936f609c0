"""All pages of a collection, one after another: an end that the API declares, or an error. Never a silent stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, Protocol

from msgspec import Struct
from requests.utils import parse_header_links

from dpone_rest import faults
from dpone_rest.ahead import Ahead
from dpone_rest.answers import Place, Record, document_of, kind_of, number_at, place_at, records_of
from dpone_rest.client import Answer, Client, joined
from dpone_rest.options import LinkHeader, NextCursor, NextLink, Offset, PageNumber, RestSource


class Ask(Struct, frozen=True):
    """The next request; `token` names the place in the collection, so that none is visited twice."""

    url: str
    params: Mapping[str, str]
    token: str


class Page(Struct, frozen=True):
    answer: Answer
    document: Any
    records: list[Record]
    number: int  # of pages so far, from one on
    before: int  # records of earlier pages


# What follows a page; None at the end that the API declares.
Following = Callable[[Ask, Page], Ask | None]


def value_text(value: str | float | bool) -> str:  # noqa: FBT001 - a value of a manifest
    """A parameter's value as it stands in a URL."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def pages(
    client: Client, options: RestSource, narrowing: Mapping[str, str], *, within: float | None = None
) -> Iterator[Page]:
    """Every page of the collection, the empty ones too. None is asked for before it is wanted."""
    return _pages(client, options, narrowing, lambda ask: lambda: client.get(ask.url, ask.params, within=within))


class Keeper(Protocol):
    """What has answers of pages from before, and keeps those that come; pages are numbered from zero on."""

    def known(self, number: int, ask: Ask) -> Answer | None: ...
    def keep(self, number: int, ask: Ask, answer: Answer) -> None: ...


def pages_ahead(
    client: Client,
    options: RestSource,
    narrowing: Mapping[str, str],
    *,
    within: float | None = None,
    keeper: Keeper | None = None,
) -> Iterator[Page]:
    """Every page of the collection, of which the next one is on its way while one is looked at."""
    ahead: Ahead[Answer] = Ahead()
    numbers = count()

    def begin(ask: Ask) -> Callable[[], Answer]:
        found = None if keeper is None else keeper.known(next(numbers), ask)
        if found is not None:
            return lambda: found
        return ahead.begin(lambda: client.get(ask.url, ask.params, within=within))

    try:
        yield from _pages(client, options, narrowing, begin, keeper)
    finally:
        ahead.close()


def _pages(
    client: Client,
    options: RestSource,
    narrowing: Mapping[str, str],
    begin: Callable[[Ask], Callable[[], Answer]],
    keeper: Keeper | None = None,
) -> Iterator[Page]:
    params = {name: value_text(value) for name, value in options.params.items()} | dict(narrowing)
    url = client.address(options.path)
    records, counted = place_at("records", options.records), place_at("count", options.count)
    ask, following = _begin(client, options, url, params)
    tokens, bodies = {ask.token}, set[int]()
    number = seen = 0
    previous: list[Record] = []
    told: int | None = None
    follower: Ask | None = ask
    wait = begin(ask)
    while follower is not None:
        ask, answer = follower, wait()
        document = document_of(answer, records)
        page = Page(answer, document, records_of(answer, document, records), number := number + 1, seen)
        body = hash(answer.body)  # 64 bits, ten times as fast as a digest; nobody gains by a collision
        if page.records and (body in bodies or page.records == previous):
            raise faults.page_repeated(url, number)
        bodies.add(body)
        previous = page.records
        seen += len(page.records)
        told = told if counted is None else number_at(answer, document, counted)
        if (follower := following(ask, page)) is not None:
            if follower.token in tokens:
                raise faults.cycle(url, number)
            if number >= options.max_pages:
                raise faults.too_many_pages(url, options.max_pages)
            tokens.add(follower.token)
            wait = begin(follower)
        elif told is not None and told != seen:
            raise faults.records_differ(url, told, seen)
        if keeper is not None:
            keeper.keep(number - 1, ask, answer)
        yield page


def first_request(client: Client, options: RestSource) -> tuple[str, Mapping[str, str]]:
    """URL and parameters of the first page."""
    params = {name: value_text(value) for name, value in options.params.items()}
    ask, _ = _begin(client, options, client.address(options.path), params)
    return ask.url, ask.params


def _begin(client: Client, options: RestSource, url: str, params: Mapping[str, str]) -> tuple[Ask, Following]:
    match options.pagination:
        case PageNumber() as how:
            return _numbered(how, url, params)
        case Offset() as how:
            return _offset(how, url, params)
        case NextCursor() as how:
            return _cursor(how, url, params)
        case NextLink(path=path):
            place = Place("pagination.path", path)
            return Ask(url, params, ""), lambda _, page: _linked(client, page, _next_value(page, place))
        case LinkHeader(rel=rel):
            return Ask(url, params, ""), lambda _, page: _linked(client, page, _header_link(page.answer, rel))
        case None:
            return Ask(url, params, ""), lambda *_: None


def _numbered(how: PageNumber, url: str, params: Mapping[str, str]) -> tuple[Ask, Following]:
    size = {} if how.size_param is None else {how.size_param: str(how.size)}
    total = place_at("pagination.total", how.total)

    def ask(number: int) -> Ask:
        return Ask(url, {**params, **size, how.param: str(number)}, str(number))

    def following(_: Ask, page: Page) -> Ask | None:
        last = None if total is None else number_at(page.answer, page.document, total)
        if last is not None and page.number >= last:
            return None
        if not page.records:
            if last is not None:
                raise faults.records_differ(url, last, page.number - 1, "pages")
            return None
        return ask(how.first + page.number)

    return ask(how.first), following


def _offset(how: Offset, url: str, params: Mapping[str, str]) -> tuple[Ask, Following]:
    total = place_at("pagination.total", how.total)

    def ask(skipped: int) -> Ask:
        return Ask(url, {**params, how.size_param: str(how.size), how.param: str(skipped)}, str(skipped))

    def following(_: Ask, page: Page) -> Ask | None:
        seen = page.before + len(page.records)
        told = None if total is None else number_at(page.answer, page.document, total)
        if told is not None and seen >= told:
            return None
        if not page.records:
            if told is not None:
                raise faults.records_differ(url, told, seen)
            return None
        return ask(seen)

    return ask(0), following


def _cursor(how: NextCursor, url: str, params: Mapping[str, str]) -> tuple[Ask, Following]:
    place = Place("pagination.path", how.path)
    sized = dict(params) if how.size_param is None else {**params, how.size_param: str(how.size)}

    def following(_: Ask, page: Page) -> Ask | None:
        token = _next_value(page, place)
        return None if token is None else Ask(url, {**sized, how.param: token}, "=" + token)

    return Ask(url, sized, ""), following


def _next_value(page: Page, place: Place) -> str | None:
    """The token or the address of the next page; None where the answer has none."""
    found = place.find(page.document)
    if found is None or found is False or found == "":
        return None
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise faults.bad_next(page.answer.url, kind_of(found))
    return str(found)


def _linked(client: Client, page: Page, link: str | None) -> Ask | None:
    if link is None:
        return None
    target = joined(page.answer.url, link)
    if target is None or not client.is_ours(target):
        raise faults.foreign_link(page.answer.url)
    return Ask(target, {}, target)


def _header_link(answer: Answer, rel: str) -> str | None:
    """The address that the header Link names for this relation."""
    for link in parse_header_links(answer.headers.get("Link", "")):
        if rel.lower() in str(link.get("rel", "")).lower().split():
            return str(link["url"])
    return None
