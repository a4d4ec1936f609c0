"""Testkits of a store in memory with deviations, declared rightly and wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from dpone.connector import Connector
from dpone.errors import RemoteError
from dpone.testing.memory import connector, sink
from dpone.testing.memory.testkit import MemoryTestkit
from dpone.testing.services.endpoint import Fidelity, Provider
from dpone.testing.testkit import Deviation, Lacking

GENERATIONS = Deviation(
    "test_state::test_each_commit_raises_the_generation_by_one",
    Fidelity.CONTRACT,
    reason="planted",
    link="https://example.org/1",
    code="planted.refused",
)


class _Refusing(sink.MemorySink):
    """A sink that commits once, and then refuses."""

    code = "planted.refused"
    before = 1

    @contextmanager
    def publication(self, spec: Any, load: Any) -> Iterator[Any]:
        cell = self.store.current(spec.target.name)
        if max((s.generation for s in cell.stored.values()), default=0) >= self.before:
            raise RemoteError("no more", code=self.code)
        with super().publication(spec, load) as publication:
            yield publication


class _RefusingOtherwise(_Refusing):
    code = "planted.otherwise"


class _RefusingAtOnce(_Refusing):
    before = 0


class _Doubling(sink.MemorySink):
    """A sink that remembers each commit as two."""

    @contextmanager
    def lease(self, target: Any, pipeline: str) -> Iterator[Any]:
        with super().lease(target, pipeline) as lease:
            stored = lease.stored
            lease.stored = stored and replace(stored, generation=stored.generation * 2)
            yield lease


def _kit(kind: type[sink.MemorySink], *deviations: Deviation) -> MemoryTestkit:
    @contextmanager
    def connect(config: Any) -> Iterator[Any]:
        with sink.connect(config) as connected:
            yield kind(connected.store)

    assert connector.sink is not None
    deviating: Connector[Any] = replace(connector, sink=replace(connector.sink, open=connect))
    return MemoryTestkit(deviating, deviations)


as_declared = _kit(_Refusing, GENERATIONS)
no_longer = _kit(sink.MemorySink, GENERATIONS)
by_another_code = _kit(_RefusingOtherwise, GENERATIONS)
by_wrong_rows = _kit(_Doubling, GENERATIONS)
of_another_fidelity = _kit(_Refusing, replace(GENERATIONS, fidelity=Fidelity.REAL))
of_no_test = _kit(sink.MemorySink, replace(GENERATIONS, test="test_state::test_that_is_not_there"))


class _Picky(sink.MemorySink):
    """A sink that refuses empty tokens of positions since a cursor."""

    @contextmanager
    def publication(self, spec: Any, load: Any) -> Iterator[Any]:
        with super().publication(spec, load) as publication:
            real = publication.save_position

            def save_position(commit: Any) -> None:
                position = commit.new.position
                if position is not None and position.kind.value == "since" and not position.token:
                    raise RemoteError("an empty token", code="planted.refused")
                real(commit)

            publication.save_position = save_position  # type: ignore[method-assign]  # a bug is planted
            yield publication


of_one_case = _kit(
    _Picky, replace(GENERATIONS, test="test_state::test_a_position_is_found_as_it_was_saved[Read.SINCE-empty]")
)


class _LackingKit(MemoryTestkit, frozen=True):
    """A testkit whose server, given by somebody, says that it cannot show rows; others have no such excuse."""

    def rows(self, endpoint: Any, target: Any) -> Any:
        raise Lacking("rows cannot be shown")


class _GivenKit(_LackingKit, frozen=True):
    @contextmanager
    def service(self, provider: Any) -> Iterator[Any]:
        with super().service(provider) as endpoint:
            yield replace(endpoint, provider=Provider.GIVEN)


lacking_here = _LackingKit(connector, ())
lacking_there = _GivenKit(connector, ())
