"""Endpoint documents of shields.io: one for each pair, naming the fidelity that all its cases reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dpone_certify.certification.document import FIDELITIES, CertificationReport, Fidelity, Result

COLOURS: Mapping[Fidelity, str] = {
    "contract": "lightgrey",
    "emulated": "yellow",
    "real": "brightgreen",
    "vendor": "blue",
}


def badges(report: CertificationReport, *, holds: bool) -> dict[str, dict[str, Any]]:
    """By file name; `holds` is whether the report as a whole can be believed, without which no badge is green."""
    pairs: dict[tuple[str, str], list[Result]] = {}
    for result in report.results:
        pairs.setdefault((result.source, result.sink), []).append(result)
    return {
        f"{source}_to_{sink}.json": _badge(source, sink, results, holds=holds)
        for (source, sink), results in pairs.items()
    }


def _badge(source: str, sink: str, results: list[Result], *, holds: bool) -> dict[str, Any]:
    passed = sum(r.passed and r.state == "passed" for r in results)
    label = f"{source} → {sink}"
    if not holds:
        return _endpoint(label, "not certified", "red")
    if passed < len(results):
        return _endpoint(label, f"{passed} of {len(results)} strategies", "red")
    least = min((r.lower_fidelity for r in results), key=FIDELITIES.index)
    return _endpoint(label, f"{passed} strategies, {least}", COLOURS[least])


def _endpoint(label: str, message: str, colour: str) -> dict[str, Any]:
    return {"schemaVersion": 1, "label": label, "message": message, "color": colour, "isError": colour == "red"}
