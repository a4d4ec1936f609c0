"""Writes the tables of README.md that are results: what is certified, and what some pairs cost.

`python .ci/readme_tables.py REPORT` takes a certification_report.json into docs/certified.json, of each pair how many
cases passed and on what, and writes the tables; without a file the tables alone are written. What pairs cost is in
docs/performance.json, see .ci/performance_page.py. tests/repo/test_performance_page.py compares them with README.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dpone.testing.services.endpoint import Fidelity
from dpone_certify.guides.sections import title_of

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CERTIFIED = ROOT / "docs/certified.json"
FIGURES = ROOT / "docs/performance.json"
COMPARED = ("postgres:postgres", "postgres:clickhouse", "clickhouse:clickhouse", "rest:postgres", "postgres:kafka")


def condensed(report: Mapping[str, Any]) -> dict[str, Any]:
    """Of each pair: how many cases there are, how many passed, and the least of their fidelities."""
    pairs: dict[str, dict[str, Any]] = {}
    for result in report["results"]:
        pair = pairs.setdefault(f"{result['source']}:{result['sink']}", {"cases": 0, "passed": 0, "fidelity": []})
        pair["cases"] += 1
        pair["passed"] += result["state"] == "passed"
        pair["fidelity"].append(min(Fidelity(found) for found in result["fidelity"].values()))
    for pair in pairs.values():
        pair["fidelity"] = min(pair["fidelity"]).value
    about = {name: report[name] for name in ("profile", "created_at", "case_count", "executed_count")}
    return {**about, "commit": report["subject"]["commit"], "rows": report["volume"]["row_count"], "pairs": pairs}


def certified_table(found: Mapping[str, Any]) -> list[str]:
    """Sources and sinks, crossed."""
    sources, sinks = (list(dict.fromkeys(pair.split(":")[at] for pair in found["pairs"])) for at in (0, 1))
    lines = [f"| from \\ to | {' | '.join(map(title_of, sinks))} |", "|---" * (len(sinks) + 1) + "|"]
    for source in sources:
        cells = [_certified(found["pairs"].get(f"{source}:{sink}")) for sink in sinks]
        lines.append(f"| **{title_of(source)}** | {' | '.join(cells)} |")
    passed = sum(pair["passed"] for pair in found["pairs"].values())
    told = (
        f"{passed} of {found['case_count']} cases passed over {found['rows']:,} rows each, {found['executed_count']} "
        f"carried out by the real runner and drivers: `dpone ops certification-run --profile {found['profile']}` "
        f"of {found['created_at'][:10]}, at commit {found['commit'][:7]}."
    )
    return [*lines, "", told]


def _certified(pair: Mapping[str, Any] | None) -> str:
    return f"{pair['passed']} of {pair['cases']}, {pair['fidelity']}" if pair else ""


def compared_table(figures: Mapping[str, Any]) -> list[str]:
    """A few pairs beside what a person would do by hand."""
    lines = ["| 13 columns | by hand | 100,000 rows | a million | peak memory of dpone |", "|---|---|--:|--:|--:|"]
    for name in COMPARED:
        source, _, sink = name.partition(":")
        found = figures["pairs"][name]
        by = found["by"].replace("|", "\\|")
        long = figures["long"].get(name)
        ratios = (f"{one['wall_ratio'][0]:.1f} ×" if one else "" for one in (found, long))
        cells = (f"`{by}`", *ratios, f"{found['dpone'][2]:.0f} MB")
        ends = (f"{title_of(end)}{' (emulated)' * (end in found['emulated'])}" for end in (source, sink))
        lines.append(f"| {' → '.join(ends)} | {' | '.join(cells)} |")
    if any(figures["pairs"][name]["load"] > 2 * figures["machine"]["cores"] for name in COMPARED):
        lines += ["", "The machine was busy with other work while this was measured, so these ratios are rough."]
    return lines


def with_tables(text: str) -> str:
    """README's text with both tables as the results are now."""
    for name, lines in (
        ("certified", certified_table(json.loads(CERTIFIED.read_text("utf-8")))),
        ("compared", compared_table(json.loads(FIGURES.read_text("utf-8")))),
    ):
        text = _replaced(text, name, lines)
    return text


def _replaced(text: str, name: str, lines: Sequence[str]) -> str:
    before, begin, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    assert begin, f"README.md has no place for {name}"
    assert end, f"README.md has no end of {name}"
    return "".join([before, begin, *(f"{line}\n" for line in lines), end, after])


def main(*files: str) -> None:
    for file in files:
        found = condensed(json.loads(Path(file).read_text("utf-8")))
        CERTIFIED.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    README.write_text(with_tables(README.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
