"""A connector certification is judged by its tests, whatever it says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from dpone_certify.conformance.document import ConformanceTest, ConnectorCertification, ConnectorResult
from dpone_certify.conformance.judge import EXPECTED, blockers_of
from dpone_certify.documents.document import Subject, now

AGAIN = "produce it again with `dpone ops connector-certification`; do not change it by hand"
REPRO = "dpone ops connector-certification --connector kafka"
DEVIATION = {"reason": "an engine's limit", "link": "https://x/1", "error_code": "a.b"}


def case(name: str = "test_a", state: str = "passed", **more: str) -> ConformanceTest:
    return ConformanceTest.model_validate({"name": name, "state": state, **more})


def result(*tests: ConformanceTest, **more: Any) -> ConnectorResult:
    """Its counts are those of its tests, unless something else is said."""
    found = tests or (case(),)
    values: dict[str, Any] = {
        "connector": "kafka",
        "product": "Kafka",
        "version": "4",
        "fidelity": "real",
        "provider": "java",
        "test_count": len(found),
        "passed_count": sum(t.state == "passed" for t in found),
        "deviated_count": sum(t.state == "deviated" for t in found),
        "passed": True,
        "repro": REPRO,
        "tests": found,
    }
    return ConnectorResult.model_validate({**values, **more})


def certification(*results: ConnectorResult) -> ConnectorCertification:
    return ConnectorCertification(
        created_at=now(),
        producer="a test",
        subject=Subject(distributions={}),
        passed=True,
        blockers=(),
        connectors=results,
        duration_seconds=1.0,
    )


def judged(*results: ConnectorResult, expected: tuple[str, ...] = ("kafka",)) -> list[tuple[str, str, str]]:
    """Code, message and action of each blocker."""
    return [(b.code, b.message, b.action) for b in blockers_of(certification(*results), expected)]


def failed(number: int) -> ConformanceTest:
    return case(f"test_{number}", "failed", reason="assert 1 == 2")


@pytest.mark.parametrize(
    "tests",
    [
        (case(),),
        (case(), case("test_b", "skipped", reason="no such capability")),
        (case(), case("test_b", "deviated", **DEVIATION)),
    ],
)
def test_a_connector_whose_tests_passed_or_say_why_not(tests: tuple[ConformanceTest, ...]) -> None:
    assert judged(result(*tests)) == []


@pytest.mark.parametrize(
    "found, why",
    [
        (result(case(), *map(failed, range(4))), "4 tests failed: test_0, test_1, test_2"),
        (result(case(), case("test_b", "error", reason="it broke")), "1 tests failed: test_b"),
        (result(case(state="skipped", reason="no time")), "no test passed"),
        (result(tests=(), test_count=0, passed_count=0), "no test passed"),
        (result(case(), case("test_b", "skipped")), "test_b did not pass, and does not say why"),
        (
            result(case(), case("test_b", "deviated", **{**DEVIATION, "link": ""})),
            "test_b deviates without a link and an error code",
        ),
        (
            result(case(), case("test_b", "deviated", **{**DEVIATION, "error_code": ""})),
            "test_b deviates without a link and an error code",
        ),
        (result(passed=False), "it says that it did not pass"),
        (
            result(failed(1), passed=False),
            "1 tests failed: test_1; no test passed; it says that it did not pass",
        ),
    ],
)
def test_a_connector_that_did_not_pass(found: ConnectorResult, why: str) -> None:
    assert judged(found) == [("connector_certification.connector_not_passed:kafka", f"kafka: {why}", REPRO)]


@pytest.mark.parametrize("name", ["postgres", "clickhouse"])
def test_those_that_others_are_measured_by_may_not_deviate(name: str) -> None:
    found = result(case(), case("test_b", "deviated", **DEVIATION), connector=name)
    assert judged(found, expected=(name,)) == [
        (f"connector_certification.connector_not_passed:{name}", f"{name}: it may not deviate", REPRO)
    ]
    assert judged(result(connector=name), expected=(name,)) == []


def test_without_a_command_to_repeat_it_the_whole_is_made_again() -> None:
    ((_, _, action),) = judged(result(passed=False, repro=""))
    assert action == AGAIN


def test_what_is_missing_or_there_twice() -> None:
    assert judged(result(), result(), expected=("kafka", "rest")) == [
        ("connector_certification.connector_missing:rest", "rest is not in it", "pip install dpone-connectors-rest"),
        ("connector_certification.duplicate_connector:kafka", "kafka is there 2 times", AGAIN),
    ]
    assert judged(result(connector="sqlite"), expected=()) == []


def test_a_test_that_is_there_twice() -> None:
    found = result(case(), case())
    assert judged(found, found) == [
        ("connector_certification.duplicate_connector:kafka", "kafka is there 2 times", AGAIN),
        ("connector_certification.duplicate_test:kafka", "a test is there twice", AGAIN),
    ]


@pytest.mark.parametrize("count", ["test_count", "passed_count", "deviated_count"])
def test_a_count_that_its_tests_do_not_give(count: str) -> None:
    assert judged(result(case(), case("test_b", "skipped", reason="no such capability"), **{count: 9})) == [
        ("connector_certification.count_differs:kafka", "its counts are not those of its 2 tests", AGAIN)
    ]


def test_every_specified_connector_is_expected() -> None:
    assert [b.code.rpartition(":")[2] for b in blockers_of(certification())] == list(EXPECTED)
