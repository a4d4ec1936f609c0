"""The document `benchmark_metrics.json`: each turn's cost, the ratios that follow from it, which targets held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Literal

from dpone_certify.benchmark.bench import Benchmark, Measured
from dpone_certify.benchmark.costs import Cost
from dpone_certify.benchmark.intervals import Interval, ratio
from dpone_certify.benchmark.targets import CONTROL, DPONE, EMPTY_RUN, START_UP, TARGETS, Quantity, Target
from dpone_certify.documents.document import Blocker, Document, Part, Subject, now, verdict

_MB = 1_000_000
_DIGITS = 4


class Turn(Part):
    wall_seconds: float
    cpu_seconds: float
    memory_mb: float


class Ratio(Part):
    """A median of ratios round by round, and its 95 % bootstrap interval."""

    median: float
    low: float
    high: float


class Contestant(Part):
    """One side of a comparison; it has no ratios when it is the control itself."""

    wall_seconds: float  # the median, as the next
    cpu_seconds: float
    memory_mb: float  # the largest
    wall_ratio: Ratio | None = None
    cpu_ratio: Ratio | None = None
    turns: tuple[Turn, ...]


class Comparison(Part):
    name: str
    control: str
    rows: int | None
    contestants: Mapping[str, Contestant]
    emulated: tuple[str, ...] = ()  # the engines of it that are stand-ins of ours


class TargetResult(Part):
    """A target beside what was found of its contestant; `found` is null where the profile did not measure it."""

    name: str
    comparison: str
    contestant: str = DPONE
    quantity: Quantity
    limit: float
    found: float | None
    interval: tuple[float, float] | None = None
    met: bool | None


class BenchmarkMetrics(Document):
    """The top-level numbers are dpone's as a whole process, at the largest size that was measured.

    It passes when it was measured fairly: a missed target is told by name, and is red only where targets were required.
    Whether dpone became slower is for a baseline to say.
    """

    schema_version: Literal["dpone.benchmark_metrics.v1"] = "dpone.benchmark_metrics.v1"
    profile: str
    rounds: int
    engine: Mapping[str, str]
    environment: Mapping[str, Any]
    throughput_rows_per_second: float
    ratio_to_control: float
    cpu_ratio_to_control: float
    peak_memory_mb: float
    empty_run_ratio: float
    start_up_ratio: float
    comparisons: tuple[Comparison, ...]
    targets: tuple[TargetResult, ...]
    targets_required: bool = False

    @property
    def missed(self) -> tuple[str, ...]:
        """The names of the targets that were measured and not met."""
        return tuple(t.name for t in self.targets if t.met is False)


def targets_told(names: Sequence[str]) -> str:
    """Missed targets as a part of a summary; nothing when there are none."""
    return f", targets missed: {', '.join(names)}" if names else ""


def document_of(
    benchmark: Benchmark, environment: Mapping[str, Any], subject: Subject, *, targets_required: bool = False
) -> BenchmarkMetrics:
    """What was measured, with everything that follows from it computed here."""
    comparisons = {m.name: comparison_of(m) for m in benchmark.measured}
    targets = tuple(judge(target, comparisons) for target in TARGETS)
    largest = max((c for c in comparisons.values() if c.rows), key=lambda c: c.rows or 0)
    copying = largest.contestants[DPONE]
    blockers = (
        *(unequal(m) for m in benchmark.measured if m.missing),
        *(blocker_of(t) for t in targets if targets_required and t.met is False),
    )
    return BenchmarkMetrics(
        created_at=now(),
        producer="dpone ops benchmark-run",
        profile=benchmark.profile,
        rounds=benchmark.rounds,
        engine={
            "product": benchmark.identity.product,
            "version": benchmark.identity.version,
            **benchmark.endpoint,
        },
        environment=environment,
        subject=subject,
        throughput_rows_per_second=round((largest.rows or 0) / copying.wall_seconds),
        ratio_to_control=_wall_ratio(largest),
        cpu_ratio_to_control=copying.cpu_ratio.median if copying.cpu_ratio else 0.0,
        peak_memory_mb=max(c.contestants[DPONE].memory_mb for c in comparisons.values()),
        empty_run_ratio=_wall_ratio(comparisons[EMPTY_RUN]),
        start_up_ratio=_wall_ratio(comparisons[START_UP]),
        comparisons=tuple(comparisons.values()),
        targets=targets,
        targets_required=targets_required,
        **verdict(blockers),
    )


def _wall_ratio(comparison: Comparison) -> float:
    found = comparison.contestants[DPONE].wall_ratio
    assert found is not None  # only the control has none
    return found.median


def comparison_of(measured: Measured) -> Comparison:
    control = measured.costs[CONTROL]
    contestants = {
        name: contestant_of(costs, None if name == CONTROL else control) for name, costs in measured.costs.items()
    }
    return Comparison(
        name=measured.name,
        control=measured.control,
        rows=measured.rows,
        contestants=contestants,
        emulated=measured.emulated,
    )


def contestant_of(costs: Sequence[Cost], control: Sequence[Cost] | None) -> Contestant:
    walls, cpus = [c.wall for c in costs], [c.cpu for c in costs]
    wall_ratio = cpu_ratio = None
    if control is not None:
        wall_ratio = _rounded(ratio(walls, [c.wall for c in control]))
        cpu_ratio = _rounded(ratio(cpus, [c.cpu for c in control]))
    return Contestant(
        wall_seconds=round(median(walls), _DIGITS),
        cpu_seconds=round(median(cpus), _DIGITS),
        memory_mb=round(max(c.memory for c in costs) / _MB, 1),
        wall_ratio=wall_ratio,
        cpu_ratio=cpu_ratio,
        turns=tuple(
            Turn(
                wall_seconds=round(c.wall, _DIGITS),
                cpu_seconds=round(c.cpu, _DIGITS),
                memory_mb=round(c.memory / _MB, 1),
            )
            for c in costs
        ),
    )


def _rounded(found: Interval) -> Ratio:
    return Ratio(median=round(found.median, _DIGITS), low=round(found.low, _DIGITS), high=round(found.high, _DIGITS))


def judge(target: Target, comparisons: Mapping[str, Comparison]) -> TargetResult:
    """The target beside its contestant; the median decides, and the interval says how sure that is."""
    comparison = comparisons.get(target.comparison)
    ours = None if comparison is None else comparison.contestants.get(target.contestant)
    found: float | None = None
    interval: tuple[float, float] | None = None
    if ours is not None:
        match target.quantity:
            case Quantity.MEMORY_MB:
                found = ours.memory_mb
            case Quantity.WALL_RATIO:
                found, interval = _parts(ours.wall_ratio)
            case Quantity.CPU_RATIO:
                found, interval = _parts(ours.cpu_ratio)
    return TargetResult(
        name=target.name,
        comparison=target.comparison,
        contestant=target.contestant,
        quantity=target.quantity,
        limit=target.limit,
        found=found,
        interval=interval,
        met=None if found is None else found <= target.limit,
    )


def _parts(found: Ratio | None) -> tuple[float, tuple[float, float]]:
    assert found is not None  # only the control has none
    return found.median, (found.low, found.high)


def blocker_of(target: TargetResult) -> Blocker:
    return Blocker(
        code=f"benchmark.target_missed:{target.name}",
        message=f"{target.comparison}: {target.quantity} is {target.found}, at most {target.limit} is promised",
        action="measure again on a quiet machine; if it stays, profile the run and make it cheaper",
    )


def unequal(measured: Measured) -> Blocker:
    """The target of dpone lacks what the control built, so that its ratio flatters."""
    return Blocker(
        code=f"benchmark.unequal_target:{measured.name}",
        message=f"{measured.name}: the target of dpone lacks {', '.join(measured.missing)}, which the control built",
        action="make the load keep it; until then the ratio compares less work with more",
    )
