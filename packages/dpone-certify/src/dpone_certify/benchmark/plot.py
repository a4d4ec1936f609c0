"""A plot of every round's ratio to the control, as SVG written by hand: no library is needed for dots and bars."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from msgspec import Struct

from dpone_certify.benchmark.document import BenchmarkMetrics, Comparison, Ratio
from dpone_certify.benchmark.targets import CONTROL, DPONE, FIRST_LOAD, IN_PROCESS, Quantity

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 880, 290, 30, 46, 34
_STEPS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
_MOST_TICKS = 10
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.dim{fill:#777}.grid{stroke:#e4e4e4}.one{stroke:#888}"
    ".interval{stroke:#1f6f8b;stroke-width:6;stroke-opacity:.35;stroke-linecap:round}.median{fill:#1f6f8b}"
    ".turn{fill:#1f6f8b;fill-opacity:.35}.limit{stroke:#b3261e;stroke-width:2}.back{fill:#fff}"
)


_SHORT = {DPONE: "", FIRST_LOAD: "first ", IN_PROCESS: "warm "}


class Line(Struct, frozen=True):
    """One row of the plot."""

    label: str
    ratio: Ratio
    turns: tuple[float, ...]
    limit: float | None


def lines_of(metrics: BenchmarkMetrics) -> Iterator[Line]:
    limits = {(t.comparison, t.quantity): t.limit for t in metrics.targets}
    for comparison in metrics.comparisons:
        for name, found in comparison.contestants.items():
            for quantity, ratio in (
                (Quantity.WALL_RATIO, found.wall_ratio),
                (Quantity.CPU_RATIO, found.cpu_ratio),
            ):
                if ratio is not None:
                    label = f"{comparison.name} {_SHORT[name]}{quantity.partition('_')[0]}"
                    limit = limits.get((comparison.name, quantity)) if name == DPONE else None
                    yield Line(label, ratio, _turns(comparison, name, quantity), limit)


def _turns(comparison: Comparison, name: str, quantity: Quantity) -> tuple[float, ...]:
    ours, control = comparison.contestants[name].turns, comparison.contestants[CONTROL].turns
    pairs = zip(ours, control, strict=True)
    if quantity is Quantity.WALL_RATIO:
        return tuple(a.wall_seconds / b.wall_seconds for a, b in pairs)
    return tuple(a.cpu_seconds / b.cpu_seconds for a, b in pairs)


def svg_of(metrics: BenchmarkMetrics) -> str:
    lines = tuple(lines_of(metrics))
    most = max(max(*line.turns, line.ratio.high, line.limit or 0.0) for line in lines) * 1.05
    height = _TOP + _ROW * len(lines) + 34
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
            f'viewBox="0 0 {_WIDTH} {height}" role="img">'
        ),
        f"<title>dpone beside its control, profile {escape(metrics.profile)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="back" width="{_WIDTH}" height="{height}"/>',
        (
            f'<text x="{_LEFT}" y="20">times the control (1 is equal); '
            "dots: rounds, bar: 95 % interval, red: at most</text>"
        ),
        *_axis(most, height),
    ]
    for number, line in enumerate(lines):
        parts += _drawn(line, _TOP + _ROW * number + _ROW / 2, most)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(value: float, most: float) -> float:
    return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * value / most, 1)


def _axis(most: float, height: int) -> Iterator[str]:
    step = next((s for s in _STEPS if most / s <= _MOST_TICKS), most)
    bottom = height - 28
    for number in range(int(most / step) + 1):
        x = _x(number * step, most)
        yield f'<line class="grid" x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{bottom}"/>'
        yield f'<text class="dim" x="{x}" y="{bottom + 18}" text-anchor="middle">{number * step:g}</text>'
    x = _x(1.0, most)
    yield f'<line class="one" x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{bottom}"/>'


def _drawn(line: Line, y: float, most: float) -> Iterator[str]:
    yield f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(line.label)}</text>'
    low, high, middle = (_x(v, most) for v in (line.ratio.low, line.ratio.high, line.ratio.median))
    yield f'<line class="interval" x1="{low}" y1="{y}" x2="{high}" y2="{y}"/>'
    for turn in line.turns:
        yield f'<circle class="turn" cx="{_x(turn, most)}" cy="{y}" r="3"/>'
    yield f'<circle class="median" cx="{middle}" cy="{y}" r="5"><title>{line.ratio.median:.2f}</title></circle>'
    if line.limit is not None:
        x = _x(line.limit, most)
        yield f'<line class="limit" x1="{x}" y1="{y - 12}" x2="{x}" y2="{y + 12}"/>'
