"""A stopped transaction is carried out anew, a few times, and only when the server said that it undid it."""

from __future__ import annotations

import pytest

from dpone.again import ATTEMPTS, carried_through
from dpone.errors import DponeError, RemoteError, StateError


def conflict() -> RemoteError:
    return RemoteError("stopped", code="sink.serialization", retryable=True)


def test_it_goes_on_until_one_attempt_is_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    outcomes: list[DponeError | None] = [conflict(), conflict(), None]
    checked: list[int] = []

    def attempt() -> str:
        if (error := outcomes.pop(0)) is not None:
            raise error
        return "done"

    assert carried_through(attempt, lambda: checked.append(len(outcomes))) == "done"
    assert checked == [2, 1]


def test_it_ends_with_the_last_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    tried: list[int] = []

    def attempt() -> None:
        tried.append(1)
        raise conflict()

    with pytest.raises(RemoteError) as caught:
        carried_through(attempt, lambda: None)
    assert caught.value.code == "sink.serialization"
    assert len(tried) == ATTEMPTS


@pytest.mark.parametrize(
    "error",
    [
        RemoteError("the answer is lost", code="sink.unreachable", retryable=True),
        RemoteError("stopped", code="sink.serialization"),
        StateError("somebody else", code="state.conflict"),
    ],
    ids=lambda e: e.code,
)
def test_what_may_have_been_committed_is_not_done_again(error: DponeError) -> None:
    tried: list[int] = []

    def attempt() -> None:
        tried.append(1)
        raise error

    with pytest.raises(type(error)):
        carried_through(attempt, lambda: None)
    assert len(tried) == 1
