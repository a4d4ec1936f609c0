"""The documentation of the certification suite, carried out: green from an empty folder, and each failure for real.

`nox -s specification` runs this; it needs dbt, and a quiet quarter of an hour.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dpone.testing.services.postgres import EmbeddedPostgres
from tests.integration.certification import evidence
from tests.integration.certification.evidence import PAGE, SUITE, Place, block, instead, produce
from tests.integration.dbt.shop import execute

pytestmark = pytest.mark.timeout(3_600)  # all evidence is produced before the first test
FULL = "With all evidence"


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    dbt = os.environ.get("DPONE_DBT")
    if not dbt:
        pytest.skip("needs DPONE_DBT, the program of dbt; `nox -s specification` installs it")
    with EmbeddedPostgres() as server:
        here = Place(tmp_path_factory.mktemp("clean"), server, dbt)
        assert not list(here.folder.iterdir())
        produce(here)
        yield here


@pytest.fixture
def here(green: Place, tmp_path: Path) -> Place:
    """The folder, moved: its evidence still holds, and may be broken."""
    shutil.copytree(green.folder, tmp_path / "moved", symlinks=True)
    return green.at(tmp_path / "moved")


def test_the_quickstart_ended_green_with_numbers_that_were_typed(green: Place) -> None:
    suites = green.folder / "test_artifacts/certification/suite"
    found = json.loads((suites / "certification_suite.json").read_text())
    assert (found["suite_id"], found["passed"]) == ("manual_matrix_2026_06_05", True)
    said = {item["name"]: item["summary"] for item in found["items"]}
    assert "typed" in said["benchmark_baseline"]
    assert said["certification_report"].startswith("200 of 200 cases passed, mock_contract")
    assert {"certification_suite.md", "certification_suite_index.json"} <= {path.name for path in suites.iterdir()}


def test_the_full_profile_ends_green_over_real_runs(here: Place) -> None:
    answer = json.loads(here.typed(block(FULL)))
    assert (answer["passed"], answer["blockers"], answer["suite_id"]) == (True, [], "oss_release_candidate")
    said = {item["name"]: item["summary"] for item in answer["items"]}
    assert "measured" in said["benchmark_baseline"]
    assert said["lineage_report"].startswith("run run_01: 3 jobs")  # the run and its two streams
    assert said["dbt_lineage_report"] == "8 pass, 11 success"
    assert said["strategy_certification_bundle"] == "4 of 4 items passed"
    replays = [here.document(f"{evidence.REPLAYS}/{name}_evidence.json") for name in ("resync_01", "resume_stopped")]
    assert [(r["action"], r["passed"], r["mode"]) for r in replays] == [
        ("resync", True, "execute"),
        ("resume", True, "execute"),
    ]


def test_the_strategy_bundle_ends_green_as_it_is_written(here: Place) -> None:
    """Every connector passes the conformance suite for it, which takes most of the time of this file."""
    for name in ("replay-integration", "integration-matrix"):
        (here.folder / "docs/testing").mkdir(parents=True, exist_ok=True)
        shutil.copy(PAGE.parents[1] / f"testing/{name}.md", here.folder / "docs/testing")
    here.dpone("ops certification-run --artifact-dir test_artifacts/integration_matrix")
    here.dpone(
        f"ops benchmark-baseline --metrics-json @{evidence.METRICS} --baseline-json '{evidence.HELD}' "
        "--allowed-regression-ratio 0.9 --output-dir test_artifacts/benchmarks"
    )
    here.dpone("ops connector-certification --workers 2")
    answer = json.loads(here.typed(block("A strategy bundle")))
    assert (answer["passed"], answer["blockers"], answer["bundle_id"]) == (True, [], "oss_rc_2026_06_05")
    assert [item["kind"] for item in answer["items"]] == ["replay", "matrix", "connector", "benchmark"]
    assert all(link["present"] for link in answer["docs_links"])


# ---------------------------------------------------------------- each row of the table of failures


def red_matrix(here: Place) -> str:
    """The oracle forgets what was deleted, and the matrix finds that out."""
    here.write("broken.py", BROKEN)
    here.typed(
        "python broken.py ops certification-run --row-count 100 --workers 1 --artifact-dir red --format json", code=1
    )
    return "red/certification_report.json"


BROKEN = """\
from dpone import oracle
from dpone.cli import main

oracle._delete = lambda table, how, gone: (table, oracle.Counts())
main()
"""


def regressed(here: Place) -> str:
    """What was measured, held to what no machine reaches."""
    best = '{"ratio_to_control":{"value":0.01,"direction":"lower"}}'
    given = f"--metrics-json @{evidence.METRICS} --baseline-json '{best}' --output-dir red"
    here.dpone(f"ops benchmark-baseline {given}", code=1)
    return "red/benchmark_baseline.json"


def red_dbt(here: Place) -> str:
    """A row that dpone loads breaks a test of the dbt project."""
    execute(here.server, "update public.orders set amount = -1 where id = 42")
    try:
        here.dpone("run orders.yaml --run-id negative")
        target = here.build()
    finally:
        execute(here.server, "update public.orders set amount = 1 where id = 42")
    given = f"--manifest {target}/manifest.json --run-results {target}/run_results.json --output-dir red"
    here.dpone(f"ops dbt-lineage {given}", code=1)
    return "red/dbt_lineage.json"


def red_strategies(here: Place) -> str:
    """A replay that was planned and never carried out."""
    here.dpone("resync merged.yaml --key 7 --run-id 02 --artifact-dir red")
    given = f"--matrix-artifact {evidence.REPORT} --replay-evidence red/resync_02_evidence.json --output-dir red"
    here.dpone(f"strategy certification-bundle {given}", code=1)
    assert here.document("red/strategy_certification_bundle.json")["blockers"][0]["code"] == (
        "replay.not_passed:red/resync_02_evidence.json"
    )
    return "red/strategy_certification_bundle.json"


def red_evidence(here: Place) -> str:
    """The diff after a row of the target was lost."""
    execute(here.server, "delete from raw.orders where id = 17")
    try:
        here.dpone("diff orders.yaml --output red.json", code=1)
    finally:
        execute(here.server, "insert into raw.orders select * from public.orders where id = 17")
    given = f"--run-id run_01 --artifact run={evidence.ENTRY} --artifact diff=red.json --output-dir red"
    here.dpone(f"ops evidence-bundle {given}", code=1)
    return "red/ops_evidence_bundle.json"


Provoked = Callable[[Place], str]
ROWS: list[tuple[str, str, Provoked | None, str]] = [
    ("A case of the matrix is red", evidence.REPORT, red_matrix, "certification_report.not_passed"),
    ("The required benchmark is missing", evidence.BASELINE, None, "benchmark_baseline.missing"),
    ("A metric fell behind its baseline", evidence.BASELINE, regressed, "benchmark_baseline.not_passed"),
    ("The required lineage is missing", evidence.LINEAGE, None, "lineage_report.missing"),
    ("The dbt run is red", evidence.DBT, red_dbt, "dbt_lineage_report.not_passed"),
    ("The strategy bundle is missing", evidence.STRATEGIES, None, "strategy_certification_bundle.missing"),
    ("The strategy bundle is red", evidence.STRATEGIES, red_strategies, "strategy_certification_bundle.not_passed"),
    ("The evidence bundle is red", evidence.EVIDENCE, red_evidence, "evidence_bundle.not_passed"),
]


@pytest.mark.parametrize(
    "good, provoke, blocker", [pytest.param(*row[1:], id=row[0].replace(" ", "_")) for row in ROWS]
)
def test_a_failure_gives_its_exact_blocker_and_exit_1(
    here: Place, good: str, provoke: Provoked | None, blocker: str
) -> None:
    commands = instead(block(FULL), good, provoke(here) if provoke is not None else None)
    answer = json.loads(here.typed(commands, code=1))
    assert [b["code"] for b in answer["blockers"]] == [blocker]
    assert here.document(SUITE) == answer


def test_every_row_of_the_documentation_is_provoked_here() -> None:
    found = re.findall(r"^\| (.+?) \| `(\S+?)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found == [(condition, blocker) for condition, _, _, blocker in ROWS]
