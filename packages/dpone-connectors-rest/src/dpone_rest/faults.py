"""What can go wrong between an API and us, by name; no query, no header and no body of an answer is ever quoted."""

from __future__ import annotations

from urllib.parse import urlsplit

from dpone.errors import DataError, DponeError, PlanError, RemoteError, StateError
from dpone.tls import not_trusted

_AGAIN = "run again; nothing of this load was published"


def place_of(url: str) -> str:
    """A URL as it may be shown: without user, query and fragment, where secrets are."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "an address that is none"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"


# ------------------------------------------------------------------------- the way


def refuse_elsewhere(origin: str) -> DponeError:
    return RemoteError(
        f"a request would leave {origin}, the one host that this connection names",
        code="rest.other_host",
        hint="name the host that answers as the connection's `url`",
    )


def redirected(url: str, *, known: bool) -> DponeError:
    return RemoteError(
        f"{place_of(url)} redirects " + ("to another host" if known else "to an address that is none"),
        code="rest.redirect_refused",
        hint="other hosts are never followed, since our login would go there: name the right one as `url`",
    )


def redirected_in_circles(url: str, limit: int) -> DponeError:
    return RemoteError(
        f"{place_of(url)} redirects more than {limit} times",
        code="rest.redirect_loop",
        hint="name the address that answers as the connection's `url`",
    )


def unreachable(url: str, kind: str) -> DponeError:
    return RemoteError(
        f"{place_of(url)} does not answer ({kind})",
        code="source.unreachable",
        hint="check the address and that the API is up, and " + _AGAIN,
        retryable=True,
    )


def untrusted(url: str) -> DponeError:
    hint = "name the authority as `ca_file`; `tls: require` goes without, and then anybody on the way can read"
    return not_trusted("source", place_of(url), "it has no certificate that we trust for this host", hint)


def unsendable(url: str) -> DponeError:
    return PlanError(
        f"a request to {place_of(url)} cannot be written: its address or a header of it is none of HTTP",
        code="rest.invalid_request",
        hint="check `url`, `path` and the connection's secrets for control characters and line ends",
    )


def timed_out(url: str, seconds: float) -> DponeError:
    return RemoteError(
        f"{place_of(url)} did not answer within {seconds:g} s",
        code="source.timeout",
        hint="raise the connection's `timeout`, or ask for smaller pages; " + _AGAIN,
        retryable=True,
    )


def truncated(url: str) -> DponeError:
    return RemoteError(
        f"the answer of {place_of(url)} ended before its end",
        code="rest.body_truncated",
        hint=_AGAIN,
        retryable=True,
    )


def too_large(url: str, limit: int) -> DponeError:
    return RemoteError(
        f"an answer of {place_of(url)} is larger than {limit} bytes",
        code="rest.body_too_large",
        hint="ask for smaller pages, or raise the connection's `max_response_bytes`",
    )


# ---------------------------------------------------------------------- the answer


def failed(url: str, status: int) -> DponeError:
    """What a status says that is neither success nor redirection."""
    place = place_of(url)
    match status:
        case 401 | 403:
            return RemoteError(
                f"{place} refuses our login ({status})",
                code="source.not_allowed",
                hint="check the secrets of the connection and what they may read",
                status=status,
            )
        case 404 | 410:
            return PlanError(
                f"there is nothing at {place} ({status})",
                code="source.table_missing",
                hint="check the connection's `url` and the source's `path`",
                status=status,
            )
        case 429:
            return RemoteError(
                f"{place} asks us to wait, again and again (429)",
                code="rest.rate_limited",
                hint="lower the connection's `rate_limit`, or raise `retries`; " + _AGAIN,
                retryable=True,
                status=status,
            )
        case 408 | 425:
            return _broken(place, status)
        case _ if status >= 500:  # noqa: PLR2004 - as HTTP has it
            return _broken(place, status)
        case _:
            return PlanError(
                f"{place} refuses the request ({status})",
                code="rest.request_refused",
                hint="check the source's `params`, `pagination` and `since` against the API's manual",
                status=status,
            )


def _broken(place: str, status: int) -> DponeError:
    return RemoteError(
        f"{place} fails ({status})",
        code="rest.server_failed",
        hint=_AGAIN,
        retryable=status not in {501, 505},
        status=status,
    )


def wait_too_long(url: str, seconds: float, limit: int) -> DponeError:
    return RemoteError(
        f"{place_of(url)} asks us to wait {seconds:.0f} s, and we wait {limit} s at most",
        code="rest.rate_limited",
        hint="run again later, or raise the connection's `max_wait`",
        retryable=True,
    )


def token_refused(url: str, why: str) -> DponeError:
    return RemoteError(
        f"{place_of(url)} gives no token: {why}",
        code="rest.token_refused",
        hint="check `client_id`, `client_secret`, `scope` and `client_secret_in` of the connection",
    )


def not_json(url: str) -> DponeError:
    return RemoteError(
        f"the answer of {place_of(url)} is not JSON",
        code="rest.invalid_json",
        hint="check that the path is that of the API; NaN and Infinity are no numbers of JSON",
    )


def no_records(url: str, expression: str | None, found: str) -> DponeError:
    where = f"`records: {expression}`" if expression else "the answer"
    return DataError(
        f"{where} of {place_of(url)} is {found}, expected a list of objects",
        code="rest.no_records",
        hint="say where the records are: `records: data.items`, as JMESPath",
    )


def bad_expression(name: str, expression: str) -> DponeError:
    return PlanError(
        f"`{name}: {expression}` is not JMESPath",
        code="rest.invalid_path",
        hint="write names with dots between them: meta.next; others in quotes",
    )


def inapplicable(name: str, expression: str) -> DponeError:
    return PlanError(
        f"`{name}: {expression}` cannot be carried out on what the answer holds",
        code="rest.invalid_path",
        hint="functions of JMESPath know no exact fractions: compare with them, and sort by other fields",
    )


# ----------------------------------------------------------------------- the pages


def page_repeated(url: str, page: int) -> DponeError:
    return DataError(
        f"page {page} of {place_of(url)} holds the same records as an earlier one",
        code="rest.page_repeated",
        hint="the API does not understand how we ask for pages: check `pagination`",
    )


def cycle(url: str, page: int) -> DponeError:
    return DataError(
        f"page {page} of {place_of(url)} leads back to one that was read",
        code="rest.cursor_cycle",
        hint="the API would be read for ever: check `pagination`, and report it to the API's owner",
    )


def too_many_pages(url: str, limit: int) -> DponeError:
    return DataError(
        f"{place_of(url)} has more than {limit} pages",
        code="rest.page_limit",
        hint="ask for larger pages, narrow the request by `since`, or raise `max_pages`",
    )


def foreign_link(url: str) -> DponeError:
    return RemoteError(
        f"the next page of {place_of(url)} is said to be at another host",
        code="rest.foreign_link",
        hint="other hosts are never followed, since our login would go there",
    )


def bad_next(url: str, found: str) -> DponeError:
    return DataError(
        f"{place_of(url)} names its next page by {found}, expected a text or a number",
        code="rest.invalid_next",
        hint="check `pagination: {path: ...}`",
    )


def bad_total(url: str, expression: str, found: str) -> DponeError:
    return DataError(
        f"`{expression}` of {place_of(url)} is {found}, expected a whole number",
        code="rest.invalid_total",
        hint="check `total` and `count`, or leave them out",
    )


def records_differ(url: str, told: int, found: int, what: str = "records") -> DponeError:
    return DataError(
        f"{place_of(url)} says that it has {told} {what}, and {found} came",
        code="rest.records_missing",
        hint="records may have been added or removed meanwhile: run again; nothing of this load was published",
    )


# --------------------------------------------------------------------- the records


def drifted(what: str, hint: str) -> DponeError:
    return DataError(what, code="rest.drift", hint=hint)


def unfit(name: str, spelled: str, found: str, *, inferred: bool) -> DponeError:
    if inferred:
        return drifted(
            f"column {name}: {found} came, and the sample has {spelled}",
            "declare the column's type under `columns:`, raise `sample`, or say `drift: evolve`",
        )
    return DataError(
        f"column {name}: {found} came, which does not fit {spelled}",
        code="source.value_unfit",
        hint="declare a wider type under `columns:`, or leave the column out",
    )


def field_missing(name: str) -> DponeError:
    return DataError(
        f"a record has no {name}, which is declared as never missing",
        code="rest.missing_field",
        hint="declare the column nullable, or have the API always send it",
    )


def flattened_twice(name: str) -> DponeError:
    return DataError(
        f"a record has two fields that would both be the column {name}",
        code="rest.ambiguous_field",
        hint="choose another `separator`, or `nested: json`",
    )


def other_position(name: str, spelled: str) -> DponeError:
    return StateError(
        f"the stored position is no value of {name}, which is {spelled} now",
        code="source.other_position",
        hint="run `dpone state reset` and let the next run read everything",
    )


def unseen_nulls(name: str) -> DponeError:
    return PlanError(
        f"an API that is asked for records since a {name} hides those without one, and nobody would see it",
        code="rest.unseen_nulls",
        hint=f"declare that there are none: `columns: {{{name}: {{type: ..., nullable: false}}}}`, or that they may be "
        "left out: `cursor: {nulls: ignore}`",
    )


def nothing_to_infer(url: str) -> DponeError:
    return DataError(
        f"{place_of(url)} has no records to infer columns from",
        code="rest.nothing_to_infer",
        hint="declare the columns: `columns: {id: int64, ...}`",
    )
