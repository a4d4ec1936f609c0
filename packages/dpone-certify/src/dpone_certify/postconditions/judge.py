"""The postcondition of each strategy: the rows that must be there against those that are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from dpone_certify.postconditions.exchange import backfill, full_refresh, incremental_append, partition_replace, replace
from dpone_certify.postconditions.history import history_violations, scd2
from dpone_certify.postconditions.keyed import cdc, incremental_merge, snapshot_diff, xmin
from dpone_certify.postconditions.options import Options, Refused, Row, Violation
from dpone_certify.postconditions.rows import alike, key_of, unpaired

Expectation = Callable[[Sequence[Row], Sequence[Row], Sequence[Row], Options], list[Row]]
Postcondition = Callable[[Sequence[Row], Sequence[Row], Sequence[Row], Sequence[Row], Options], list[Violation]]

_EXPECTED: Mapping[str, Expectation] = {
    function.__name__: function
    for function in (
        full_refresh,
        incremental_append,
        incremental_merge,
        replace,
        partition_replace,
        snapshot_diff,
        scd2,
        backfill,
        xmin,
        cdc,
    )
}


def expected(
    strategy: str,
    source_before: Sequence[Row],
    source_after: Sequence[Row],
    target_before: Sequence[Row],
    options: Options,
) -> list[Row]:
    """The rows that the target must hold after the load; raises `Refused` when the load must not succeed."""
    return _EXPECTED[strategy](source_before, source_after, target_before, options)


def refusal(
    strategy: str,
    source_before: Sequence[Row],
    source_after: Sequence[Row],
    target_before: Sequence[Row],
    options: Options,
) -> str | None:
    """The code with which the load must be refused, or None."""
    try:
        expected(strategy, source_before, source_after, target_before, options)
    except Refused as refused:
        return refused.code
    return None


def violations(
    strategy: str,
    source_before: Sequence[Row],
    source_after: Sequence[Row],
    target_before: Sequence[Row],
    target_after: Sequence[Row],
    options: Options,
) -> list[Violation]:
    """Everything that is wrong with the target after a load that succeeded; empty when nothing is."""
    try:
        rows = expected(strategy, source_before, source_after, target_before, options)
    except Refused as refused:
        return [Violation("not_refused", f"the load had to end with {refused.code}")]
    found = list(_differences(rows, target_after, options))
    if strategy == "scd2" and not list(history_violations(target_before, target_before, options)):
        found += history_violations(target_before, target_after, options)
    return found


def _differences(rows: Sequence[Row], target: Sequence[Row], options: Options) -> list[Violation]:
    missing, unexpected = unpaired(rows, target)
    found: list[Violation] = []
    for row in missing:
        key = key_of(row, options.key)
        twin = next((r for r in unexpected if options.key and key_of(r, options.key) == key), None)
        if twin is None:
            found.append(Violation("missing", "a row is not there", key, expected=row))
        else:
            unexpected.remove(twin)
            columns = [c for c in dict.fromkeys((*row, *twin)) if not alike(row, twin, [c])]
            found.append(Violation("differs", f"a row differs in {', '.join(columns)}", key, row, twin))
    return found + [
        Violation("unexpected", "a row should not be there", key_of(row, options.key), found=row) for row in unexpected
    ]


POSTCONDITIONS: Mapping[str, Postcondition] = MappingProxyType({name: partial(violations, name) for name in _EXPECTED})
