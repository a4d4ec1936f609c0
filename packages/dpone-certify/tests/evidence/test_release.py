"""The whole way of a release: suites, chains, and the one verdict over them."""

from __future__ import annotations

import json
import shutil

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
from dpone.testing.shop import Dpone
from evidence.conftest import CHAINS, World, chain_commands, run, summary, verify


def test_a_release_is_green_under_its_key(world: World, call: Dpone) -> None:
    answer = call(*summary("--public-key", str(world.public)))
    assert answer.code == 0, answer.out
    found = json.loads(answer.out)
    assert [(i["name"], i["passed"]) for i in found["items"]] == [
        ("replay_evidence_chain", True),
        ("matrix_certification_suite", True),
        ("matrix_evidence_chain", True),
        ("connector_certification_suite", True),
        ("connector_evidence_chain", True),
    ]
    assert {p["fidelity"]: p["cases"] for p in found["proven"]}["real"] == 200
    ends = {(e["connector"], e["fidelity"], e["provider"]): e["cases"] for e in found["ends"]}
    cases = DEFAULT_INTEGRATION_MATRIX.cases
    assert ends == {
        (name, "real", "embedded"): sum(name in {case.source, case.sink} for case in cases)
        for name in {end for case in cases for end in (case.source, case.sink)}
    }
    first = (world / "test_artifacts/release/release_summary.md").read_text().splitlines()[0]
    assert first.startswith("# Release v1: passed. Signatures verified")
    statement = json.loads((world / "test_artifacts/release/release_summary.vsa.json").read_text())
    assert statement["predicateType"] == "https://slsa.dev/verification_summary/v1"
    assert statement["predicate"]["verificationResult"] == "PASSED"


def test_without_a_key_it_is_red_unless_that_is_said_on_the_first_line(world: World, call: Dpone) -> None:
    answer = call(*summary())
    assert answer.code == 1
    assert [b["code"] for b in json.loads(answer.out)["blockers"]] == ["release_summary.unsigned"]
    answer = call(*summary("--allow-unsigned", "--format", "text"))
    assert answer.code == 0
    assert answer.out.splitlines()[0].startswith("UNSIGNED")
    first = (world / "test_artifacts/release/release_summary.md").read_text().splitlines()[0]
    assert "UNSIGNED" in first


def test_what_is_not_given_is_red_by_name(world: World, call: Dpone) -> None:
    answer = call("ops", "release-summary", "--release-id", "v1", "--allow-unsigned", "--format", "json")
    assert answer.code == 1
    assert [b["code"] for b in json.loads(answer.out)["blockers"]] == [
        "replay_evidence_chain.not_verified",
        "matrix_certification_suite.missing",
        "matrix_evidence_chain.not_verified",
        "connector_certification_suite.missing",
        "connector_evidence_chain.not_verified",
    ]


def test_a_moved_folder_still_verifies(world: World, call: Dpone) -> None:
    moved = world.folder.parent / "somewhere" / "else"
    moved.parent.mkdir()
    shutil.move(world / "test_artifacts", moved)
    key = str(world.public)
    for kind in CHAINS:
        folder = CHAINS[kind].replace("test_artifacts", str(moved))
        answer = call("ops", "evidence-chain-verify", "--chain-dir", folder, "--public-key", key)
        assert answer.code == 0, answer.out
    arguments = [a.replace("test_artifacts", str(moved)) for a in summary("--public-key", key)]
    # the baseline in the strategy bundle, the runs and all else are found from where they are now
    assert call(*arguments).code == 0


def test_a_chain_goes_on_and_knows_its_releases(world: World, call: Dpone) -> None:
    head = json.loads(call(*verify()).out)["head"]
    for command in chain_commands("matrix", "v2", ("--signing-key", str(world.private))):
        assert run(*command) == 0
    answer = call(*verify("matrix", "--public-key", str(world.public)))
    found = json.loads(answer.out)
    assert (answer.code, found["releases"]) == (0, ["v1", "v2"])
    assert found["head"] != head
    assert call(*verify("matrix", "--expected-head", head)).code == 1
    assert call(*verify("matrix", "--expected-head", found["head"])).code == 0


def test_a_release_is_in_a_chain_once(world: World, call: Dpone) -> None:
    kept = {p.name: p.read_bytes() for p in (world / CHAINS["matrix"]).iterdir() if p.is_file()}
    answer = call(*chain_commands("matrix")[1])
    assert answer.code == 1
    assert "evidence.id_used" in answer.err
    assert {p.name: p.read_bytes() for p in (world / CHAINS["matrix"]).iterdir() if p.is_file()} == kept


def test_a_broken_chain_is_not_continued(world: World, call: Dpone) -> None:
    (world / CHAINS["matrix"] / "v1__evidence_chain.json").unlink()
    index, entry = chain_commands("matrix", "v2")
    assert run(*index) == 0
    answer = call(*entry, "--format", "json")
    assert answer.code == 1
    assert "evidence_chain.entry_missing:v1" in answer.out
    assert not (world / CHAINS["matrix"] / "v2__evidence_chain.json").exists()


def test_no_key_is_in_any_artifact(world: World) -> None:
    secret = world.private.read_text().splitlines()[1]
    for path in world.folder.rglob("*"):
        if path.is_file() and path != world.private:
            assert secret.encode() not in path.read_bytes(), path
