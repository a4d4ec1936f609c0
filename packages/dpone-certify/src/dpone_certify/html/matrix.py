"""The matrix as a heat map: pairs down, strategies across, each case a tile that says its state and its fidelity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from msgspec import Struct

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
from dpone.strategies import STRATEGIES
from dpone_certify.certification.document import CertificationReport, Difference, Result, State

MARKS: dict[State, str] = {
    "passed": "✓",
    "failed": "✕",
    "error": "!",
    "skipped": "–",
    "not_run": "○",
    "unknown": "?",
    "stale": "⧗",
}
FIDELITIES = (
    ("contract", "computed three times, nothing was run"),
    ("emulated", "run against an emulator"),
    ("real", "run against the real engine"),
    ("vendor", "run against the vendor's own service"),
)
_SLOWEST = 10


class Row(Struct, frozen=True):
    """A pair; a strategy that does not work for it has no tile."""

    source: str
    sink: str
    tiles: tuple[Result | None, ...]


def heat_map(report: CertificationReport, differing: Mapping[str, Sequence[Difference]]) -> dict[str, Any]:
    """What the page needs to draw the matrix, and to show a case."""
    found = {(r.source, r.sink, r.strategy): r for r in report.results}
    pairs = list(dict.fromkeys([*DEFAULT_INTEGRATION_MATRIX.pairs, *((r.source, r.sink) for r in report.results)]))
    pairs = [pair for pair in pairs if any(key[:2] == pair for key in found)]
    strategies = [name for name in STRATEGIES if any(key[2] == name for key in found)]
    sources = list(dict.fromkeys(source for source, _ in pairs))
    rows = [
        [Row(s, t, tuple(found.get((s, t, name)) for name in strategies)) for s, t in pairs if s == source]
        for source in sources
    ]
    longest = sorted(report.results, key=lambda r: -r.duration_seconds)[:_SLOWEST]
    most = longest[0].duration_seconds if longest else 0.0
    states = [state for state in get_args(State) if any(r.state == state for r in report.results)]
    return {
        "rows": rows,
        "strategies": strategies,
        "choices": (
            ("source", sources),
            ("sink", list(dict.fromkeys(sink for _, sink in pairs))),
            ("strategy", strategies),
            ("state", states),
        ),
        "marks": MARKS,
        "fidelities": FIDELITIES,
        "slowest": [(r, r.duration_seconds / most) for r in longest] if most else [],
        "data": {
            "results": [r.model_dump(mode="json") for r in report.results],
            "differing": {
                name: [d.model_dump(mode="json") for d in rows_] for name, rows_ in differing.items() if rows_
            },
        },
    }
