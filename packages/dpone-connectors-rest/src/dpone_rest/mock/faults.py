"""What the mock service does wrong when it is told to: each fault for so many requests, in the order of the plan."""

from __future__ import annotations

from enum import Enum
from threading import Lock

from msgspec import Struct, field


class Wrong(Enum):
    """The failures of an API."""

    STATUS = "status"  # answers with `status` and `headers`
    CUT = "cut"  # ends the body before the Content-Length that it announced
    CUT_CHUNK = "cut_chunk"  # ends the body within a chunk
    NOT_JSON = "not_json"  # half of a document, announced as whole
    NAN = "nan"  # a number that JSON does not have
    NO_LIST = "no_list"  # an object where records should be
    CLOSED = "closed"  # no answer at all
    SLOW = "slow"  # the answer after `seconds`
    TRICKLE = "trickle"  # a byte now and then
    BOMB = "bomb"  # some kilobytes that unpack to `size` bytes
    REPEAT = "repeat"  # the first page whatever is asked for
    CYCLE = "cycle"  # the second page names itself, or the first one, as the next
    ENDLESS = "endless"  # always a next page, each with other records
    FOREIGN = "foreign"  # the next page is at another host
    SHORT = "short"  # tells of more records than it gives
    OTHER_TOKEN = "other_token"  # noqa: S105 - a word: the login is refused once


class Fault(Struct, frozen=True):
    wrong: Wrong
    times: int = 1
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    size: int = 0
    skip: int = 0  # requests that pass before


class Plan:
    """Faults that wait for their requests."""

    def __init__(self) -> None:
        self._faults: list[list[object]] = []
        self._lock = Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append([fault, fault.skip, fault.times])

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self) -> Fault | None:
        """The fault of this request; None when it is to be answered well."""
        with self._lock:
            for entry in self._faults:
                fault, skip, times = entry
                assert isinstance(fault, Fault)
                assert isinstance(skip, int)
                assert isinstance(times, int)
                if skip:
                    entry[1] = skip - 1
                    return None
                if times:
                    entry[2] = times - 1
                    return fault
        return None
