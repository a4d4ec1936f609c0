"""Who runs when."""

from __future__ import annotations

from dpone_certify.benchmark.costs import Cost
from dpone_certify.benchmark.rounds import Contestant, Course, play


def test_contestants_alternate_and_the_first_round_does_not_count() -> None:
    events: list[str] = []
    said: list[str] = []

    def runner(name: str) -> Contestant:
        def run() -> Cost:
            events.append(name)
            return Cost(float(len(events)), 0.0, 0)

        return run

    course = Course("c", {"a": runner("a"), "b": runner("b")}, lambda name: events.append(f"before {name}"))
    costs = play(course, 2, said.append)
    warm_up, *rounds = [events[i : i + 4] for i in range(0, len(events), 4)]
    assert warm_up == ["before a", "a", "before b", "b"]
    assert rounds == [["before b", "b", "before a", "a"], ["before a", "a", "before b", "b"]]
    assert {name: [c.wall for c in found] for name, found in costs.items()} == {"a": [8.0, 10.0], "b": [6.0, 12.0]}
    assert len(said) == 6
    assert "warm-up" in said[0]
