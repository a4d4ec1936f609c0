"""`dpone ops connector-certification`: the suite itself is run, and what it says becomes evidence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from dpone.testing.memory.testkit import testkit
from dpone.testing.shop import Dpone
from dpone_certify.conformance.document import ConnectorCertification
from dpone_certify.conformance.judge import blockers_of
from dpone_certify.conformance.report import certification_of, markdown_of
from dpone_certify.conformance.run import certified
from dpone_certify.documents.canonical import parse

JSON = Path("test_artifacts/connectors/connector_certification.json")


@pytest.fixture(autouse=True)
def _testing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPONE_TESTING", "1")


def test_tests_that_pass_or_are_skipped_are_told_apart() -> None:
    result = certified("memory", testkit, "auto", ["-k", "test_declaration and (capabilities or contract)"])
    assert result is not None
    states = {test.name.rpartition("::")[2]: test.state for test in result.tests}
    assert states == {
        "test_the_contract_is_the_current_one": "passed",
        "test_capabilities_are_those_that_core_specifies": "skipped",
    }
    found = certification_of([result], ["memory"], 1.0)
    assert found.passed
    assert "memory is not among the specified connectors" in markdown_of(found)
    assert "--connector memory" in result.repro


def test_a_test_that_fails_makes_the_connector_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tmp_path / "test_wrong.py"
    wrong.write_text("def test_right():\n    pass\n\ndef test_wrong():\n    assert 1 == 2\n")
    monkeypatch.setattr("dpone_certify.conformance.run.SUITE", (str(wrong),))
    result = certified("memory", testkit, "auto")
    assert result is not None
    assert not result.passed
    assert {test.name: (test.state, test.reason) for test in result.tests} == {
        "test_wrong::test_right": ("passed", ""),
        "test_wrong::test_wrong": ("failed", "assert 1 == 2"),
    }
    found = certification_of([result], ["memory"], 1.0)
    assert [b.code for b in found.blockers] == ["connector_certification.connector_not_passed:memory"]


def test_the_command_writes_what_was_found(call: Dpone, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = ("--pyargs", "dpone.testing.suite.test_declaration")
    monkeypatch.setattr("dpone_certify.conformance.run.SUITE", suite)
    answer = call("ops", "connector-certification", "--connector", "memory", "--format", "json")
    assert answer.code == 0, answer.err
    found = ConnectorCertification.model_validate(parse(JSON.read_bytes()))
    assert json.loads(answer.out) == json.loads(JSON.read_text())
    assert blockers_of(found, ["memory"]) == ()
    assert next(c.code for c in blockers_of(found)) == "connector_certification.connector_missing:postgres"


def test_a_connector_that_nobody_has_is_refused(call: Dpone) -> None:
    answer = call("ops", "connector-certification", "--connector", "oracle")
    assert answer.code == 2
    assert "no testkit is registered for oracle" in answer.err


LONG = """\
import itertools, pathlib, time

def test_long():
    for beat in itertools.count():
        pathlib.Path(__file__).with_name("beat").write_text(str(beat))
        time.sleep(0.1)
"""


def test_the_suite_does_not_outlive_who_runs_it(tmp_path: Path) -> None:
    (tmp_path / "test_long.py").write_text(LONG)
    program = (
        "from dpone_certify.conformance import run; from dpone.testing.memory.testkit import testkit\n"
        f"run.SUITE = ({str(tmp_path / 'test_long.py')!r},)\n"
        "run.certified('memory', testkit, 'auto')"
    )
    beat = tmp_path / "beat"
    with subprocess.Popen([sys.executable, "-c", program]) as runner:
        assert before_long(beat.exists)
        runner.kill()

    def is_quiet() -> bool:
        heard = beat.read_text()
        sleep(2)
        return beat.read_text() == heard

    assert before_long(is_quiet)


def before_long(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    until = monotonic() + seconds
    while not holds():
        if monotonic() > until:
            return False
        sleep(0.1)
    return True
