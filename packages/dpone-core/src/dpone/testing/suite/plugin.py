"""The options of the conformance suite, for every pytest that has core installed; without them it collects nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("dpone", "conformance of dpone connectors")
    group.addoption(
        "--connector",
        action="append",
        default=[],
        metavar="NAME",
        help="run the conformance suite for this connector; may be repeated",
    )
    group.addoption(
        "--testkit",
        action="append",
        default=[],
        metavar="MODULE:NAME",
        help="run the conformance suite for a connector whose testkit is not registered",
    )
    group.addoption(
        "--provider",
        choices=["embedded", "docker", "given", "emulated"],
        help="how the service is had; by default the best way that this machine offers",
    )


def pytest_configure(config: pytest.Config) -> None:
    import pytest

    asked = any(str(arg).startswith("dpone.testing.suite") for arg in config.args)
    if asked and not (config.getoption("connector") or config.getoption("testkit")):
        raise pytest.UsageError("the conformance suite needs to know whom to test: --connector NAME, may be repeated")
