"""`dpone ops integration-matrix-report`: parts become a whole, and a part that is missing or foreign is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from certification.reports import VOLUME, result_of
from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX as MATRIX
from dpone.integration_matrix import Case
from dpone.testing.shop import Dpone
from dpone_certify.certification.document import BehaviorArtifact
from dpone_certify.documents.document import now
from dpone_certify.documents.subject import subject

REPORT = Path("merged/certification_report.json")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of each case of the matrix."""
    folder = tmp_path_factory.mktemp("parts")
    about = subject(registry_digest=MATRIX.digest, seed=1)
    for case in MATRIX.cases:
        artifact = BehaviorArtifact(
            created_at=now(),
            producer="a test",
            subject=about,
            passed=True,
            blockers=(),
            profile="mock_contract",
            registry_digest=MATRIX.digest,
            volume=VOLUME,
            result=result_of(case),
            manifest="{}",
            program=("Upsert",),
            statements=(),
            notes=(),
            differing=(),
        )
        path(folder, case).write_text(artifact.to_json())
    return folder


def path(folder: Path, case: Case) -> Path:
    return folder / f"{case.id}__behavior.json"


@pytest.fixture
def parts(artifacts: Path, tmp_path: Path) -> list[Path]:
    """The artifacts in two folders."""
    for n, case in enumerate(MATRIX.cases):
        part = tmp_path / f"part{n % 2}"
        part.mkdir(exist_ok=True)
        shutil.copy(path(artifacts, case), part)
    return [tmp_path / "part0", tmp_path / "part1"]


def merge(call: Dpone, *folders: Path) -> tuple[int, set[str]]:
    asked = [word for folder in folders for word in ("--artifact-dir", str(folder))]
    answer = call("ops", "integration-matrix-report", *asked, "--output-dir", "merged", "--format", "json")
    found = json.loads(REPORT.read_text())
    assert json.loads(answer.out) == found
    return answer.code, {b["code"].removeprefix("certification_report.") for b in found["blockers"]}


def test_all_parts_are_the_whole(call: Dpone, parts: list[Path]) -> None:
    assert merge(call, *parts) == (0, set())
    found = json.loads(REPORT.read_text())
    assert [r["case_id"] for r in found["results"]] == [case.id for case in MATRIX.cases]
    assert all((REPORT.parent / r["artifact_path"]).is_file() for r in found["results"])


def test_a_part_too_few_names_every_case_of_it(call: Dpone, parts: list[Path]) -> None:
    code, codes = merge(call, parts[0])
    assert code == 1
    assert codes == {f"coverage_missing:{case.id}" for case in MATRIX.cases[1::2]}


def test_a_case_twice_a_foreign_one_and_a_broken_one_are_named(call: Dpone, parts: list[Path]) -> None:
    one, two, three, four = MATRIX.cases[:4]
    shutil.copy(path(parts[0], one), parts[1])
    unknown = json.loads(path(parts[1], two).read_text())
    unknown["result"]["case_id"] = "oracle_to_postgres__replace"
    path(parts[1], two).write_text(json.dumps(unknown))
    other = json.loads(path(parts[0], three).read_text())
    other["subject"]["seed"] = 2
    path(parts[0], three).write_text(json.dumps(other))
    path(parts[1], four).write_text("{}")
    code, codes = merge(call, *parts)
    assert code == 1
    assert codes >= {
        f"duplicate_case:{one.id}",
        "unknown_case:oracle_to_postgres__replace",
        f"coverage_missing:{two.id}",
        f"subject_mismatch:{three.id}",
        f"invalid:{four.id}",
        f"coverage_missing:{four.id}",
    }


def test_a_case_of_another_profile_is_named_and_an_empty_folder_too(call: Dpone, parts: list[Path]) -> None:
    last = MATRIX.cases[-1]
    other = json.loads(path(parts[1], last).read_text())
    other["profile"] = "mock_local"
    path(parts[1], last).write_text(json.dumps(other))
    code, codes = merge(call, *parts, Path("nothing"))
    assert code == 1
    assert codes == {f"profile_differs:{last.id}", "part_missing:nothing"}


def test_nothing_at_all_is_red(call: Dpone) -> None:
    code, codes = merge(call)
    assert code == 1
    assert {"empty", "part_missing:test_artifacts/integration_matrix"} <= codes
