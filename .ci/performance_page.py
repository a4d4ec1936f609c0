"""Writes docs/performance.md: what every pair costs beside its two clients joined by a pipe.

`python .ci/performance_page.py METRICS.json ...` takes what `dpone ops benchmark-run --profile pairs` wrote, and of
`--profile full` the million rows, into docs/performance.json and writes the page; pairs that are not in the files keep
their figures. Without a file the page alone is written. tests/repo/test_performance_page.py compares the two.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
from dpone_certify.guides.sections import title_of

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs/performance.json"
PAGE = ROOT / "docs/performance.md"
ROWS = 100_000
PAIRS = list(dict.fromkeys((case.source, case.sink) for case in DEFAULT_INTEGRATION_MATRIX.cases))
_COMPARISON = re.compile(rf"(\w+?)_into_(\w+)_{ROWS}")
_LONG = re.compile(r"(full_refresh|(\w+?)_to_(\w+))_1000000")  # the first is of PostgreSQL to itself
_MACHINE = ("python", "machine", "processor", "cores", "memory_gb")

HEAD = """\
# Performance

Every pair loads the same table of 100,000 rows and 13 columns (integers, texts, a decimal, two kinds of timestamps, a
date, JSON, a UUID, a boolean, a float; one value in ten NULL where it may be) to where nothing is yet, by
`full_refresh`. dpone does what it does in any run: it stages, validates, publishes, reconciles and saves its position.

Its **control** is what a person would do by hand: the vendor's own client reads, the other vendor's own client writes,
and a pipe joins them; it proves nothing, and what it left behind when it was killed would stay. A test loads both and
compares the rows. Both start as processes of their own, so that the start of Python and of its drivers counts: it is
most of what is seen where a control is `psql` or `curl`, and less the more rows there are.

A **ratio** is dpone's cost divided by the control's within one round: 2 means twice as much, below 1 dpone is cheaper.
dpone and control take turns; the figure is the median over all rounds, in brackets its 95 % bootstrap interval. CPU and
memory are those of the client's processes alone; of memory the largest round counts.

An **emulated** system is a stand-in of ours, whose speed says nothing of the vendor's: what counts there is the ratio
of CPU and the memory, and of the time no more than that both sides waited for the same.
"""

FOOT = """\
## Measured again

Half an hour on a quiet machine:

```
for source in postgres mssql clickhouse rest kafka; do
  dpone ops benchmark-run --profile pairs --pair "$source:*" --output-dir "test_artifacts/benchmarks/pairs/$source"
done
python .ci/performance_page.py test_artifacts/benchmarks/pairs/*/benchmark_metrics.json
python .ci/readme_tables.py
```

Pairs that are not in the files keep their figures, so one can be measured alone: `--pair postgres:clickhouse`. A
million rows, start-up and an empty run: `dpone ops benchmark-run --profile full`, which holds them to
[limits](testing/benchmark-baseline.md); the page takes its `benchmark_metrics.json` as well.
"""


def condensed(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the page needs of each pair in a benchmark's document."""
    for comparison in document["comparisons"]:
        found = _COMPARISON.fullmatch(comparison["name"])
        if found is None:
            continue
        ours, control = (comparison["contestants"][who] for who in ("dpone", "control"))
        yield (
            ":".join(found.groups()),
            {
                "rounds": document["rounds"],
                "by": comparison["control"],
                "emulated": list(comparison["emulated"]),
                "dpone": _costs(ours),
                "control": _costs(control),
                "wall_ratio": _interval(ours["wall_ratio"]),
                "cpu_ratio": _interval(ours["cpu_ratio"]),
                "load": document["environment"]["load_average"][0],
                "measured": document["created_at"][:10],
            },
        )


def long_copies(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same of a million rows: by a process, and by one that has started before."""
    for comparison in document["comparisons"]:
        found = _LONG.fullmatch(comparison["name"])
        if found is not None:
            cold, warm, control = (comparison["contestants"][who] for who in ("dpone", "in_process", "control"))
            yield (
                ":".join(found.groups()[1:]) if found[2] else "postgres:postgres",
                {
                    "rounds": document["rounds"],
                    "by": comparison["control"],
                    "dpone": _costs(cold),
                    "control": _costs(control),
                    "wall_ratio": _interval(cold["wall_ratio"]),
                    "warm_ratio": _interval(warm["wall_ratio"]),
                },
            )


def _costs(contestant: Mapping[str, Any]) -> list[float]:
    return [contestant["wall_seconds"], contestant["cpu_seconds"], contestant["memory_mb"]]


def _interval(ratio: Mapping[str, float]) -> list[float]:
    return [ratio["median"], ratio["low"], ratio["high"]]


def taken(figures: dict[str, Any], documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures with those of the documents in place of the ones that they measure again."""
    for document in documents:
        figures.setdefault("pairs", {}).update(condensed(document))
        figures.setdefault("long", {}).update(long_copies(document))
        environment = document["environment"]
        figures["machine"] = {name: environment[name] for name in _MACHINE}
        engine = document["engine"]
        first = f"{engine['product']} {engine['version']} ({engine['provider']})"
        for told in (first, *engine.get("beside", "").split("), ")):
            text = re.sub(r" cluster \w+", "", told.removesuffix(")") + ")") if told else ""
            figures.setdefault("engines", {}).update({text.partition(" ")[0]: text} if text else {})
    return figures


def page_of(figures: Mapping[str, Any]) -> str:
    """The page, of these figures and nothing else."""
    machine, pairs = figures["machine"], figures["pairs"]
    days = sorted({one["measured"] for one in pairs.values()})
    about = (
        f"Measured {' to '.join(dict.fromkeys((days[0], days[-1])))} with {machine['python']} on {machine['cores']} "
        f"cores ({machine['processor']}, {machine['machine']}), {machine['memory_gb']:.0f} GB; "
        f"{', '.join(sorted(figures['engines'].values()))}."
    )
    busiest = max(one["load"] for one in pairs.values())
    if busiest > 2 * machine["cores"]:
        about += (
            f" **The machine was busy with other work, its load average up to {busiest:.0f}**: the ratios of such "
            "figures are rough, and the seconds say nothing."
        )
    return "\n".join([HEAD, about, "", *_square(pairs), "", *_long(figures), "", *_all(pairs), "", FOOT])


def _square(pairs: Mapping[str, Any]) -> Iterator[str]:
    """Sources and sinks, crossed."""
    sources, sinks = (list(dict.fromkeys(pair[at] for pair in PAIRS)) for at in (0, 1))
    yield "## Wall time beside the control"
    yield ""
    yield f"| from \\ to | {' | '.join(map(title_of, sinks))} |"
    yield f"|---|{'--:|' * len(sinks)}"
    for source in sources:
        yield f"| {title_of(source)} | {' | '.join(_ratio_of(pairs, source, sink) for sink in sinks)} |"
    yield ""
    yield "*Slanted* where one end is emulated."


def _ratio_of(pairs: Mapping[str, Any], source: str, sink: str) -> str:
    found = pairs.get(f"{source}:{sink}")
    if found is None:
        return "not measured"
    ratio = f"{found['wall_ratio'][0]:.2f}"
    return f"*{ratio}*" if found["emulated"] else ratio


def _long(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "## A million rows"
    yield ""
    yield "Onto a table that is there, whose readers see the old rows until they see the new ones. The warm ratio is"
    yield "that of a process that has started before, as a worker of a scheduler has."
    yield ""
    yield "| pair | by hand | by hand, s | dpone, s | × control | warm | peak MB | rounds |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for source, sink in PAIRS:
        found = figures.get("long", {}).get(f"{source}:{sink}")
        if found is None:
            continue
        pair = f"{title_of(source)} → {title_of(sink)}"
        by = found["by"].replace("|", "\\|")
        (wall, _, memory), (their_wall, *_) = found["dpone"], found["control"]
        yield (
            f"| **{pair}** | `{by}` | {their_wall:.2f} | {wall:.2f} | {_told(found['wall_ratio'])} "
            f"| {_told(found['warm_ratio'])} | {memory:.0f} | {found['rounds']} |"
        )


def _all(pairs: Mapping[str, Any]) -> Iterator[str]:
    yield "## All figures"
    yield ""
    yield "Of each pair the first line is dpone's, the second the control's."
    yield ""
    yield "| pair | wall s | × control | CPU s | × control | peak MB | rounds | emulated |"
    yield "|---|--:|--:|--:|--:|--:|--:|---|"
    for source, sink in PAIRS:
        found = pairs.get(f"{source}:{sink}")
        pair = f"{title_of(source)} → {title_of(sink)}"
        if found is None:
            yield f"| **{pair}** | not measured | | | | | | |"
            continue
        (wall, cpu, memory), (their_wall, their_cpu, their_memory) = found["dpone"], found["control"]
        emulated = ", ".join(title_of(name) for name in found["emulated"])
        yield (
            f"| **{pair}** | {wall:.2f} | {_told(found['wall_ratio'])} | {cpu:.2f} | {_told(found['cpu_ratio'])} "
            f"| {memory:.0f} | {found['rounds']} | {emulated} |"
        )
        by = found["by"].replace("|", "\\|")
        yield f"| `{by}` | {their_wall:.2f} | | {their_cpu:.2f} | | {their_memory:.0f} | | |"


def _told(interval: Sequence[float]) -> str:
    middle, low, high = interval
    return f"{middle:.2f} ({low:.2f} – {high:.2f})"


def main(*files: str) -> None:
    figures = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    if files:
        figures = taken(figures, [json.loads(Path(file).read_text("utf-8")) for file in files])
        FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page_of(figures), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
