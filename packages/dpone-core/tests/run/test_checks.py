from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dpone.checks import AcceptedValues, Check, Checksum, Freshness, NotNull, RowCount, Unique, probe_of, run_checks
from dpone.errors import DataError
from dpone.probes import Duplicates, Greatest, Measurement, Nulls, Outside, Probe, Rows, Total

NOW = datetime(2026, 6, 5, 12, tzinfo=UTC)
GOOD: Measurement = {
    Rows(): 3, Nulls("a"): 0, Duplicates(("a",)): 0, Outside("a", (1,)): 0, Greatest("at"): NOW - timedelta(minutes=1),
    Total("n"): Decimal("1.50"),
}  # fmt: skip
CASES: list[tuple[Check, Measurement]] = [
    (RowCount(1, 3), {Rows(): 4}),
    (RowCount(4, None), {Rows(): 3}),
    (NotNull(("a",)), {Nulls("a"): 1}),
    (Unique(("a",)), {Duplicates(("a",)): 1}),
    (AcceptedValues("a", (1,)), {Outside("a", (1,)): 1}),
    (Freshness("at", timedelta(minutes=5)), {Greatest("at"): NOW - timedelta(minutes=6)}),
    (Freshness("at", timedelta(minutes=5)), {Greatest("at"): None}),
]


@pytest.mark.parametrize("check, bad", CASES)
def test_a_broken_promise_stops_the_load_by_its_own_code(check: Check, bad: Measurement) -> None:
    def good(probe: Probe) -> Measurement:
        return {m: GOOD[m] for m in probe}

    def broken(probe: Probe) -> Measurement:
        return {m: bad.get(m, GOOD.get(m)) for m in probe}

    fits = RowCount(1, 3) if isinstance(check, RowCount) else check
    assert len(run_checks([fits], good, good, NOW)) == 1
    with pytest.raises(DataError) as caught:
        run_checks([check], broken, broken, NOW)
    assert caught.value.code.startswith("check.")


def test_sums_are_compared_exactly_with_those_of_the_source() -> None:
    check = Checksum(("n",))

    def stage(probe: Probe) -> Measurement:
        return {m: GOOD[m] for m in probe}

    assert run_checks([check], stage, stage, NOW) == [("checksum(n)", "the sums agree")]
    off_by_a_cent: Measurement = {Rows(): 3, Total("n"): Decimal("1.51")}
    with pytest.raises(DataError) as caught:
        run_checks([check], stage, lambda _: off_by_a_cent, NOW)
    assert caught.value.code == "check.checksum"


def test_all_checks_are_asked_in_one_probe() -> None:
    asked: list[Probe] = []

    def measure(probe: Probe) -> Measurement:
        asked.append(probe)
        return {m: GOOD[m] for m in probe}

    checks: list[Check] = [NotNull(("a",)), Unique(("a",)), RowCount(1, 9)]
    run_checks(checks, measure, measure, NOW)
    assert asked == [tuple(m for c in checks for m in probe_of(c))]
