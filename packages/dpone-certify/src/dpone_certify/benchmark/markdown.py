"""The metrics for a reader, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from dpone_certify.benchmark.document import BenchmarkMetrics, Comparison, Ratio, TargetResult, targets_told
from dpone_certify.benchmark.targets import CONTROL, DPONE, FIRST_LOAD, IN_PROCESS

_NAMES = {
    DPONE: "dpone, the whole process",
    FIRST_LOAD: "the same, the target not there yet",
    IN_PROCESS: "dpone in a warm process",
    CONTROL: "control",
}
_MARKS = {True: "met", False: "**missed**", None: "not measured"}


def markdown_of(metrics: BenchmarkMetrics, plot: str) -> str:
    engine, machine = metrics.engine, metrics.environment
    lines = [
        f"# Benchmark, profile {metrics.profile}: {_verdict(metrics)}",
        "",
        (
            f"{metrics.created_at.isoformat()}; {engine['product']} {engine['version']} "
            f"({engine['provider']}, {engine['fidelity']}); {machine['python']} on {machine['system']}, "
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; "
            f"load average {machine['load_average']} at the end."
        ),
        "",
        (
            f"At the largest size: {metrics.throughput_rows_per_second:,.0f} rows/s, "
            f"{metrics.ratio_to_control:.2f} × the wall time of the control."
        ),
        "",
        f"![ratios to the control]({plot})",
        "",
        (
            "Contestants take turns; a ratio is a median over rounds of the ratio within each, with a 95 % bootstrap "
            "interval. CPU and memory are those of client processes alone; of memory the largest round counts."
        ),
        "",
        "| target | at most | found | 95 % | |",
        "|---|--:|--:|--:|---|",
        *(_target(t) for t in metrics.targets),
        "",
        *(f"- `{b.code}` {b.message}; {b.action}." for b in metrics.blockers),
        "",
    ]
    for comparison in metrics.comparisons:
        lines += _comparison(comparison)
    return "\n".join(lines)


def _verdict(metrics: BenchmarkMetrics) -> str:
    measured = "passed" if metrics.passed else "not passed"
    return f"{measured}{targets_told(metrics.missed) or ', every measured target met'}"


def _target(target: TargetResult) -> str:
    found = "" if target.found is None else f"{target.found:.2f}"
    interval = "" if target.interval is None else f"{target.interval[0]:.2f} – {target.interval[1]:.2f}"
    who = "" if target.contestant == DPONE else f", {_NAMES[target.contestant]}"
    what = f"{target.comparison}{who}: {target.quantity.replace('_', ' ')}"
    return f"| {what} | {target.limit:g} | {found} | {interval} | {_MARKS[target.met]} |"


def _comparison(comparison: Comparison) -> Iterator[str]:
    rows = f", {comparison.rows:,} rows" if comparison.rows else ""
    yield f"## {comparison.name}{rows}"
    yield ""
    yield f"Control: `{comparison.control}`."
    yield ""
    yield "| | wall s | × control (95 %) | client CPU s | × control (95 %) | peak MB |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, found in comparison.contestants.items():
        cells = (
            _NAMES[name],
            f"{found.wall_seconds:.3f}",
            _ratio(found.wall_ratio),
            f"{found.cpu_seconds:.3f}",
            _ratio(found.cpu_ratio),
            f"{found.memory_mb:.0f}",
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _ratio(found: Ratio | None) -> str:
    return "1" if found is None else f"{found.median:.2f} ({found.low:.2f} – {found.high:.2f})"
