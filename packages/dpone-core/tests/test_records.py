"""`dpone.records`: what the standard library's frozen slotted dataclasses do, ours do as well."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field, fields, replace
from typing import Any, ClassVar, NamedTuple

import pytest

from dpone import records

NAN = float("nan")


class Declared(NamedTuple):
    """The same classes, declared by one of the two decorators."""

    point: Any
    named: Any
    guarded: Any
    counted: Any
    empty: Any


def declare(dataclass: Callable[..., Any]) -> Declared:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: float
        y: float = 2.0
        tags: list[str] = field(default_factory=list, compare=False)
        secret: str = field(default="", repr=False)
        kind: ClassVar[str] = "point"

    @dataclass(frozen=True, slots=True)
    class Named(Point):
        name: str = "?"

        def __repr__(self) -> str:
            return f"<{self.name}>"

    @dataclass(frozen=True, slots=True)
    class Guarded:
        share: float

        def __post_init__(self) -> None:
            if self.share > 1:
                raise ValueError(self.share)

    @dataclass(frozen=True, slots=True)
    class Counted:
        n: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Counted) and self.n % 2 == other.n % 2

        def __hash__(self) -> int:
            return self.n % 2

    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    return Declared(Point, Named, Guarded, Counted, Empty)


OURS, THEIRS = declare(records.dataclass), declare(dataclasses.dataclass)


@pytest.fixture(params=[OURS, THEIRS], ids=["ours", "theirs"])
def they(request: pytest.FixtureRequest) -> Declared:
    found: Declared = request.param
    return found


def test_values_are_taken_by_place_and_by_name(they: Declared) -> None:
    point = they.point(1, tags=["a"])
    assert (point.x, point.y, point.tags, point.secret, point.kind) == (1, 2.0, ["a"], "", "point")
    assert they.point(1).tags is not they.point(1).tags
    assert they.named(1, 2, [], "", "n").name == "n"
    assert they.point(1) in {they.point(1.0): True}


def test_what_is_wrong_with_a_call_is_said(they: Declared) -> None:
    with pytest.raises(TypeError, match=r"Point\.__init__\(\) missing 1 required positional argument: 'x'"):
        they.point()
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        they.point(1, z=1)


def test_equal_values_are_equal_and_have_one_hash(they: Declared) -> None:
    assert they.point(1, tags=["a"]) == they.point(1.0)
    assert hash(they.point(1, secret="s")) == hash(they.point(1.0, secret="s"))
    assert they.point(1) != they.point(2)
    assert they.point(1) != they.named(1)
    assert they.point(1) != (1, 2.0, [], "")
    assert they.point(NAN) == they.point(NAN)  # the same object, as in a tuple
    assert they.guarded(NAN) == they.guarded(NAN)
    assert they.empty() == they.empty()
    assert they.counted(1) == they.counted(3)
    assert hash(they.counted(1)) == 1


def test_a_repr_leaves_out_what_is_told_to_be(they: Declared) -> None:
    assert repr(they.point(1, secret="s")).endswith("Point(x=1, y=2.0, tags=[])")
    assert repr(they.named(1)) == "<?>"
    assert repr(they.empty()).endswith("Empty()")


def test_nothing_changes(they: Declared) -> None:
    point = they.point(1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x
    with pytest.raises((FrozenInstanceError, TypeError, AttributeError)):
        point.other = 1
    assert not hasattr(point, "__dict__")


def test_what_is_checked_after_a_start_is(they: Declared) -> None:
    assert they.guarded(0.5).share == 0.5
    with pytest.raises(ValueError, match="2"):
        they.guarded(2)


def test_the_librarys_functions_know_them(they: Declared) -> None:
    point = they.named(1, tags=["a"], name="n")
    assert [f.name for f in fields(point)] == ["x", "y", "tags", "secret", "name"]
    assert replace(point, x=3).x == 3
    assert dataclasses.asdict(point) == {"x": 1, "y": 2.0, "tags": ["a"], "secret": "", "name": "n"}
    assert copy.deepcopy(point) == point
    match point:
        case they.named(1, y, [tag]):
            assert (y, tag) == (2.0, "a")
        case _:
            pytest.fail("it matches")


@records.dataclass(frozen=True, slots=True)
class Kept:
    """One that can be found by its name."""

    x: int
    y: tuple[int, ...] = ()


def test_one_goes_through_a_pickle() -> None:
    assert pickle.loads(pickle.dumps(Kept(1, (2, 3)))) == Kept(1, (2, 3))  # noqa: S301 -- our own, made here


def test_other_dataclasses_are_the_librarys() -> None:
    @records.dataclass(slots=True)
    class Open:
        n: int = 0

    opened = Open()
    opened.n = 2
    assert opened == Open(2)


def test_a_field_that_cannot_be_given_is_refused() -> None:
    with pytest.raises(TypeError, match="is not given by place"):

        @records.dataclass(frozen=True, slots=True)
        class Late:
            n: int = field(init=False)


@pytest.mark.parametrize("dataclass", [records.dataclass, dataclasses.dataclass], ids=["ours", "theirs"])
def test_a_default_that_can_change_is_refused(dataclass: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="use default_factory"):

        @dataclass(frozen=True, slots=True)
        class Shared:
            names: list[str] = []  # noqa: RUF012 -- it is what is refused
