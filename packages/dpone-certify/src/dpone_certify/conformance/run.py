"""The conformance suite of one connector, run in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dpone.errors import EvidenceError, MissingPackage
from dpone.testing.services.endpoint import Fidelity, Provider
from dpone.testing.testkit import Deviation, Testkit
from dpone_certify.certification import serving
from dpone_certify.conformance.document import ConformanceTest, ConnectorResult, TestState
from dpone_certify.conformance.recording import PARENT, VARIABLE

SUITE = ("--pyargs", "dpone.testing.suite")
_QUIET = ("-q", "--no-header", "-p", "no:cacheprovider", "-p", "dpone_certify.conformance.recording")
_SHOWN = 2_000  # characters of what pytest said when it could not begin
_NODE = re.compile(r"(?:.*/)?(?P<file>\w+)\.py::(?P<name>\w+)(?:\[(?P<parameters>.*)\])?", re.DOTALL)


def refuse_without_pytest(workers: int) -> None:
    """Raises when the suite cannot be run here at all, or not by several processes."""
    if workers > 1 and find_spec("xdist") is None:
        raise MissingPackage("several processes need pytest-xdist, which is not installed", install="pytest-xdist")
    if find_spec("pytest") is None:
        raise MissingPackage(
            "the conformance suite runs under pytest, which is not installed", install="dpone-core[testing]"
        )


def certified(
    name: str, kit: Testkit, services: str, more: Sequence[str] = (), *, workers: int = 1
) -> ConnectorResult | None:
    """What the suite says of the connector on the best service that there is; None where there is none."""
    provider = serving.provider_of(kit, "mock_local", services)
    if provider is None:
        return None
    with kit.service(provider) as endpoint:
        said, fidelity = kit.identify(endpoint), endpoint.fidelity
    if fidelity is Fidelity.VENDOR and not said.genuine:
        fidelity = Fidelity.REAL
    command = ["pytest", *SUITE, "--connector", name, "--provider", provider.value, *more]
    beside = ["-n", str(workers)] if workers > 1 else []
    tests = tuple(_tests(name, _recorded([*command, *beside]), kit.deviations, fidelity))
    states = Counter(test.state for test in tests)
    return ConnectorResult(
        connector=name,
        product=said.product,
        version=said.version,
        fidelity=fidelity.value,
        provider=Provider(provider).value,
        test_count=len(tests),
        passed_count=states["passed"],
        deviated_count=states["deviated"],
        passed=bool(states["passed"]) and not states["failed"] and not states["error"],
        repro=shlex.join(command),
        tests=tests,
    )


def _environment() -> dict[str, str]:
    """That of this process, which may be one of several that pytest started; the suite is nobody's worker."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST_")}


def _recorded(command: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """What became of each test. Without a record the suite did not even begin."""
    with tempfile.TemporaryDirectory(prefix="dpone-conformance-") as folder:
        record = Path(folder) / "record.json"
        done = subprocess.run(  # noqa: S603 - fixed arguments
            [sys.executable, "-m", command[0], *command[1:], *_QUIET],
            cwd=folder,
            env={**_environment(), VARIABLE: str(record), PARENT: str(os.getpid())},
            capture_output=True,
            text=True,
            check=False,
        )
        found: Mapping[str, Mapping[str, Any]] = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    if not found:
        raise EvidenceError(
            f"the suite ran no test: {(done.stdout + done.stderr).strip()[-_SHOWN:]}",
            code="evidence.no_conformance",
            hint=f"run it by itself: {shlex.join(command)}",
        )
    return found


def _tests(
    connector: str, found: Mapping[str, Mapping[str, Any]], deviations: Sequence[Deviation], fidelity: Fidelity
) -> Iterator[ConformanceTest]:
    for node, entry in found.items():
        name, short = _named(node, connector)
        state: TestState = entry["state"]
        declared = next((d for d in deviations if d.fidelity is fidelity and _bare(d.test) in {name, short}), None)
        yield ConformanceTest(
            name=name,
            state=state,
            reason=entry["reason"],
            link=declared.link if declared is not None and state == "deviated" else "",
            error_code=declared.code if declared is not None and state == "deviated" else "",
            duration_seconds=round(entry["seconds"], 4),
        )


def _named(node: str, connector: str) -> tuple[str, str]:
    """A test as deviations name it, with its parameters and without; the connector is none of them."""
    found = _NODE.fullmatch(node)
    if found is None:
        return node, node
    short = f"{found['file']}::{found['name']}"
    rest = "-".join(part for part in (found["parameters"] or "").split("-") if part != connector)
    return (f"{short}[{rest}]" if rest else short), short


def _bare(test: str) -> str:
    return test.replace(".py::", "::")
