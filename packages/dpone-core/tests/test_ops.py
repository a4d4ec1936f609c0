"""Operations are plain data, and a program's domain is the union of what its operations demand."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

import pytest

from dpone.errors import UsageError
from dpone.ops import (
    OPS,
    Append,
    DeleteAbsent,
    DeleteKeys,
    Domain,
    Op,
    Program,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
    domain,
)
from dpone.where import Compare, Condition

AT = datetime(2024, 1, 1, tzinfo=UTC)
A, B = Condition("a", Compare.EQ, 1), Condition("b", Compare.IS_NULL)
EACH: tuple[Op, ...] = (
    Recreate(),
    ReplaceAll((A,)),
    Append("x", ("id",)),
    Upsert(("id",), "t", "gone"),
    DeleteKeys(("id",)),
    DeleteAbsent(("id",), within=(A,)),
    ReplaceSlice("day", bounds=(1, 2)),
    Version(("id",), AT, ("v",)),
)


def test_there_are_eight_operations() -> None:
    assert get_args(Op) == OPS
    assert len(OPS) == 8
    assert tuple(map(type, EACH)) == OPS


@pytest.mark.parametrize("op", EACH, ids=lambda op: type(op).__name__)
def test_an_operation_is_compared_printed_and_carried_to_another_process(op: Op) -> None:
    assert pickle.loads(pickle.dumps(op)) == op  # noqa: S301 - our own bytes
    assert hash(op) == hash(pickle.loads(pickle.dumps(op)))  # noqa: S301 - our own bytes
    assert repr(op).startswith(type(op).__name__)


def test_a_range_does_not_end_at_nan() -> None:
    for bounds in ((float("nan"), 1.0), (1.0, float("nan")), (Decimal("NaN"), Decimal(1))):
        with pytest.raises(UsageError, match="v: ") as caught:
            ReplaceSlice("v", bounds=bounds)
        assert caught.value.code == "manifest.invalid_value"


@pytest.mark.parametrize(
    "program,expected",
    [
        ((Recreate(),), Domain()),
        ((Append("x"),), Domain()),
        ((Append("x", ("id",)),), Domain(("id",))),
        ((Version(("id",), AT, ()),), Domain(("id",))),
        ((ReplaceAll((A, B)),), Domain(where=(A, B))),
        ((ReplaceSlice("day"),), Domain(("day",))),
        ((ReplaceSlice("day", bounds=(1, 2)),), Domain(("day",), bounds=("day", 1, 2))),
        ((DeleteAbsent(("id",), within=(A,)), Upsert(("id", "sub"))), Domain(("id", "sub"), (A,))),
        ((ReplaceAll((A,)), DeleteAbsent(("id",), within=(A, B))), Domain(("id",), (A, B))),
    ],
    ids=str,
)
def test_the_domain_of_a_program(program: Program, expected: Domain) -> None:
    assert domain(program) == expected
