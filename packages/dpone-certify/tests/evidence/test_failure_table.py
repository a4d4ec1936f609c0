"""Each row of the failure table in docs/how-to/certification-suite.md, provoked: exactly its blocker, and exit 1."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dpone.testing.shop import Dpone
from dpone_certify.signing.envelope import write_signed
from evidence import made
from evidence.conftest import (
    ARTIFACTS,
    BASELINE,
    CURRENT,
    DBT,
    ENTRY,
    EVIDENCE,
    LINEAGE,
    METRICS,
    REPORT,
    STRATEGY,
    SUITE,
    World,
    full,
    run,
)

PAGE = Path(__file__).parents[4] / "docs/how-to/certification-suite.md"


def red_matrix(world: World) -> None:
    """One case failed, and report and artifact say so. The strategy bundle is over another report."""
    found = list(made.results())
    blocker = made.blocked(found[3].case_id)
    found[3] = found[3].model_copy(
        update={"state": "failed", "passed": False, "actual_row_count": 9_999, "blockers": (blocker,)}
    )
    report = made.report(tuple(found), passed=False, blockers=(blocker,))
    shutil.copytree(world / CURRENT, world / "test_artifacts/red")
    write_signed(world / "test_artifacts/red/certification_report.json", report.to_json(), None)
    artifact = world / f"test_artifacts/red/{found[3].case_id}__behavior.json"
    write_signed(artifact, made.behavior(found[3]).to_json(), None)


def regressed(world: World) -> None:
    asked = '{"throughput_rows_per_second": {"value": 900000, "direction": "higher"}}'
    code = run(
        *("ops", "benchmark-baseline", "--metrics-json", f"@{METRICS}", "--baseline-json", asked),
        *("--output-dir", "test_artifacts/red"),
    )
    assert code == 1


def red_dbt(world: World) -> None:
    shutil.copytree(ARTIFACTS / "v12_red", world / "red")
    code = run(
        *("ops", "dbt-lineage", "--manifest", "red/manifest.json", "--run-results", "red/run_results.json"),
        *("--output-dir", "test_artifacts/red"),
    )
    assert code == 1


def red_strategies(world: World) -> None:
    code = run(
        *("strategy", "certification-bundle", "--output-dir", "test_artifacts/red"),
        *("--matrix-artifact", REPORT, "--replay-evidence", "nowhere/resync_01_evidence.json"),
    )
    assert code == 1


def red_evidence(world: World) -> None:
    code = run(
        *("ops", "evidence-bundle", "--output-dir", "test_artifacts/red", "--artifact", f"run={ENTRY}"),
        *("--artifact", "diff=nowhere/diff.json", "--require", "diff"),
    )
    assert code == 1


def nothing(_: World) -> None:
    pass


# The row's condition, what provokes it, what is given in place of the good file (None: nothing), and the blocker.
ROWS: list[tuple[str, Callable[[World], None], str, str | None, str]] = [
    ("A case of the matrix is red", red_matrix, REPORT, "certification_report.json", "certification_report.not_passed"),
    ("The required benchmark is missing", nothing, BASELINE, None, "benchmark_baseline.missing"),
    (
        "A metric fell behind its baseline",
        regressed,
        BASELINE,
        "benchmark_baseline.json",
        "benchmark_baseline.not_passed",
    ),
    ("The required lineage is missing", nothing, LINEAGE, None, "lineage_report.missing"),
    ("The dbt run is red", red_dbt, DBT, "dbt_lineage.json", "dbt_lineage_report.not_passed"),
    ("The strategy bundle is missing", nothing, STRATEGY, None, "strategy_certification_bundle.missing"),
    (
        *("The strategy bundle is red", red_strategies, STRATEGY, "strategy_certification_bundle.json"),
        "strategy_certification_bundle.not_passed",
    ),
    ("The evidence bundle is red", red_evidence, EVIDENCE, "ops_evidence_bundle.json", "evidence_bundle.not_passed"),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in ROWS])
@pytest.mark.parametrize("way", ["absent", "not given"])
def test_a_row_gives_its_exact_blocker(
    world: World, call: Dpone, row: tuple[str, Callable[[World], None], str, str | None, str], way: str
) -> None:
    _, provoke, good, bad, blocker = row
    provoke(world)
    words = list(full())
    at = words.index(good)
    if bad is not None:
        words[at] = f"test_artifacts/red/{bad}"
    elif way == "absent":
        words[at] = "nowhere.json"
    else:
        del words[at - 1 : at + 1]
    answer = call(*words)
    assert answer.code == 1
    document = json.loads((world / SUITE).read_text())
    assert [b["code"] for b in document["blockers"]] == [blocker]
    item = next(i for i in document["items"] if i["name"] == blocker.partition(".")[0])
    assert (item["passed"], item["missing"]) == (False, bad is None)
    assert blocker in (world / SUITE).with_suffix(".sarif").read_text()


def test_the_table_in_the_documentation_is_this_one() -> None:
    rows = re.findall(r"^\| (.+?) \| `(\S+?)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(condition, blocker) for condition, _, _, _, blocker in ROWS]


def commands(heading: str) -> list[list[str]]:
    """The commands of the first block below a heading."""
    block = (
        PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("```bash\n")[2].partition("```")[0]
    )
    return [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]


def test_the_quickstart_works_as_it_is_written(world: World, call: Dpone) -> None:
    certify, *rest = commands("In three commands")
    assert certify[:3] == ["dpone", "ops", "certification-run"]  # its own tests run it; its report is there
    for words in rest:
        answer = call(*words[1:])
        assert answer.code == 0, answer.out
    found = json.loads((world / "test_artifacts/certification/suite/certification_suite.json").read_text())
    assert (found["suite_id"], found["passed"]) == ("manual_matrix_2026_06_05", True)
    assert "typed" in next(i["summary"] for i in found["items"] if i["name"] == "benchmark_baseline")


def test_the_full_profile_works_as_it_is_written(world: World, call: Dpone) -> None:
    ((*words,),) = commands("With all evidence")
    answer = call(*words[1:])
    assert answer.code == 0, answer.out


@pytest.mark.parametrize("heading", ["A strategy bundle", "A release", "Everything at once"])
def test_every_other_command_of_the_page_exists_with_its_options(heading: str, call: Dpone) -> None:
    for words in commands(heading):
        answer = call(*words[1:3], "--help")
        assert answer.code == 0
        options = {word for word in words if word.startswith("--")}
        assert all(option in answer.out for option in options), (words, options)
