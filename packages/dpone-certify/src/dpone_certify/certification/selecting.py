"""Which cases of a matrix a run takes: comma lists, `*` for all, and one part of several."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from dpone.errors import UsageError
from dpone.integration_matrix import Case, IntegrationMatrix
from dpone.shards import shard_of
from dpone_certify.certification.document import Selection


def selected(matrix: IntegrationMatrix, selection: Selection) -> tuple[Case, ...]:
    """The cases that the selection names, in the order of the matrix; names that no case has select nothing."""
    wanted = {name: _names(getattr(selection, name)) for name in ("source", "sink", "strategy", "case_id")}
    cases = [
        case
        for case in matrix.cases
        if _takes(wanted["source"], case.source)
        and _takes(wanted["sink"], case.sink)
        and _takes(wanted["strategy"], case.strategy)
        and _takes(wanted["case_id"], case.id)
    ]
    shard = shard_of(selection.shard)
    return tuple(cases[shard.part - 1 :: shard.parts])


def refuse_unknown(matrix: IntegrationMatrix, selection: Selection) -> None:
    """Raises when the selection names what the matrix does not have, or nothing is left of it."""
    known = {
        "source": {case.source for case in matrix.cases},
        "sink": {case.sink for case in matrix.cases},
        "strategy": {case.strategy for case in matrix.cases},
        "case_id": {case.id for case in matrix.cases},
    }
    for option, there in known.items():
        for name in _names(getattr(selection, option)) or ():
            if name not in there:
                raise _unknown(option, name, there)
    if not selected(matrix, selection):
        raise UsageError(
            "no case of the matrix is selected",
            code="certification.nothing_selected",
            hint="loosen --source, --sink, --strategy, --case-id or --shard; `*` takes everything",
        )


def _names(given: str) -> frozenset[str] | None:
    names = frozenset(filter(None, (part.strip() for part in given.split(","))))
    return None if "*" in names or not names else names


def _takes(names: frozenset[str] | None, name: str) -> bool:
    return names is None or name in names


def _unknown(option: str, name: str, there: Iterable[str]) -> UsageError:
    near = difflib.get_close_matches(name, sorted(there), n=1)
    return UsageError(
        f"--{option.replace('_', '-')}: {name!r} is in no case of the matrix"
        + (f"; did you mean {near[0]!r}?" if near else ""),
        code="certification.unknown_name",
        hint="`dpone connectors --details` shows what there is; `*` takes everything",
    )
