"""Which cases of a matrix a run takes: comma lists, `*` for all, and one part of several."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from dpone.errors import UsageError
from dpone.integration_matrix import Case, IntegrationMatrix
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
    part, parts = shard_of(selection.shard)
    return tuple(cases[part - 1 :: parts])


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


def shard_of(text: str) -> tuple[int, int]:
    """`2/3` as the second of three parts."""
    found = re.fullmatch(r"([1-9][0-9]*)/([1-9][0-9]*)", text)
    part, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= part <= parts:
        raise UsageError(
            f"not a part of the matrix: {text!r}",
            code="certification.invalid_shard",
            hint="write --shard 1/4, --shard 2/4, ... for each part of four",
        )
    return part, parts


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
