"""What a connector certification says, recomputed from its tests: no count and no verdict in it is believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from dpone.integration_matrix import SPECIFIED
from dpone_certify.conformance.document import NAME, ConnectorCertification, ConnectorResult
from dpone_certify.documents.document import Blocker

EXPECTED = tuple(connector.name for connector in SPECIFIED)
WITHOUT_DEVIATIONS = frozenset({"postgres", "clickhouse"})
_AGAIN = "produce it again with `dpone ops connector-certification`; do not change it by hand"


def blockers_of(certification: ConnectorCertification, expected: Collection[str] = EXPECTED) -> tuple[Blocker, ...]:
    """Everything that keeps it from passing, the verdict that it carries left aside."""
    times = Counter(result.connector for result in certification.connectors)
    found = [
        _blocker(f"connector_missing:{name}", f"{name} is not in it", f"pip install dpone-connectors-{name}")
        for name in expected
        if name not in times
    ]
    found += [
        _blocker(f"duplicate_connector:{name}", f"{name} is there {many} times", _AGAIN)
        for name, many in times.items()
        if many > 1
    ]
    for result in certification.connectors:
        found += _of_connector(result)
    return tuple(dict.fromkeys(found))


def _of_connector(result: ConnectorResult) -> Iterator[Blocker]:
    states = Counter(test.state for test in result.tests)
    red = [test.name for test in result.tests if test.state in {"failed", "error"}]
    mute = [t.name for t in result.tests if t.state != "passed" and not t.reason]
    bare = [t.name for t in result.tests if t.state == "deviated" and not (t.link and t.error_code)]
    counted = (len(result.tests), states["passed"], states["deviated"])
    reasons = [
        f"{len(red)} tests failed: {', '.join(red[:3])}" if red else "",
        "no test passed" if not states["passed"] else "",
        f"{mute[0]} did not pass, and does not say why" if mute else "",
        f"{bare[0]} deviates without a link and an error code" if bare else "",
        "it may not deviate" if states["deviated"] and result.connector in WITHOUT_DEVIATIONS else "",
        "it says that it did not pass" if not result.passed else "",
    ]
    if any(reasons):
        why = "; ".join(filter(None, reasons))
        yield _blocker(f"connector_not_passed:{result.connector}", f"{result.connector}: {why}", result.repro or _AGAIN)
    if counted != (result.test_count, result.passed_count, result.deviated_count):
        yield _blocker(
            f"count_differs:{result.connector}", f"its counts are not those of its {counted[0]} tests", _AGAIN
        )
    names = [test.name for test in result.tests]
    if len(names) != len(set(names)):
        yield _blocker(f"duplicate_test:{result.connector}", "a test is there twice", _AGAIN)


def _blocker(code: str, message: str, action: str) -> Blocker:
    return Blocker(code=f"{NAME}.{code}", message=message, action=action)
