"""`release_summary.html`: a release for people, its chains as pictures."""

from __future__ import annotations

from msgspec import Struct

from dpone_certify.chain.verify import Chain
from dpone_certify.html.matrix import heat_map
from dpone_certify.html.page import page
from dpone_certify.release.document import ReleaseSummary
from dpone_certify.release.evaluate import Release, report_of

_SHOWN = 8


class Box(Struct, frozen=True):
    """An entry of a chain."""

    number: int
    release: str
    files: int
    digest: str


class Picture(Struct, frozen=True):
    name: str
    intact: bool
    said: str
    boxes: tuple[Box, ...]


def html_of(summary: ReleaseSummary, release: Release) -> str:
    """The summary as one file."""
    report = report_of(release)
    map_ = heat_map(report, {}) if report is not None else {"data": {"results": [], "differing": {}}}
    data = map_.pop("data")
    return page(
        f"Release {summary.release_id}",
        passed=summary.passed,
        data=data,
        trust=summary.trust,
        signed=summary.public_key is not None,
        subtitle=f"{summary.created_at:%Y-%m-%d %H:%M} UTC, {summary.producer}.",
        figures=[
            (f"{sum(i.passed for i in summary.items)} of {len(summary.items)}", "gates passed"),
            *((p.cases, f"cases on {p.fidelity} ends") for p in summary.proven),
        ],
        blockers=summary.blockers,
        items=summary.items,
        ends=summary.ends,
        chains=[_picture(name, chain) for name, chain in release.chains.items() if chain is not None],
        **map_,
    )


def _picture(name: str, chain: Chain) -> Picture:
    links = chain.index.entries if chain.index is not None else ()
    by_id = {entry.release_id: entry for entry in chain.entries}
    boxes = tuple(
        Box(
            link.number,
            link.release_id,
            sum(len(root.files) for root in by_id[link.release_id].roots) if link.release_id in by_id else 0,
            f"{link.digest[:16]}…",
        )
        for link in links[-_SHOWN:]
    )
    told = "; ".join(f"{b.number}: {b.release}, {b.files} artifacts, {b.digest}" for b in boxes) or "no entry"
    return Picture(name.replace("_", " "), chain.is_intact, f"{name}: {told}", boxes)
