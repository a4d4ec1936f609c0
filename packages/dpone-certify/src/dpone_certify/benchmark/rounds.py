"""Rounds in which contestants take turns, so that what the machine does meanwhile touches all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from dpone_certify.benchmark.costs import Cost

Contestant = Callable[[], Cost]
Costs = Mapping[str, Sequence[Cost]]


class Course(Struct, frozen=True):
    """What is compared under one name: contestants in order, and what precedes each turn without being measured."""

    name: str
    contestants: Mapping[str, Contestant]
    before: Callable[[str], None] = lambda _: None


def play(course: Course, rounds: int, say: Callable[[str], None]) -> Costs:
    """The cost of each contestant in each round, after one round that does not count: caches are warm, targets exist.

    Every second round goes in the opposite order, since who runs after whom matters.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in course.contestants}
    for number in range(rounds + 1):
        order = list(course.contestants)
        if number % 2:
            order.reverse()
        for name in order:
            course.before(name)
            cost = course.contestants[name]()
            if number:
                costs[name].append(cost)
            label = f"round {number} of {rounds}" if number else "warm-up"
            say(f"{course.name}, {label}: {name} {cost.wall:.2f} s, {cost.cpu:.2f} s CPU, {cost.memory / 1e6:.0f} MB")
    return costs
