"""Which tests run: a marker names what a test needs, and variables say that it may have it."""

from __future__ import annotations

import os

import pytest

INTEGRATION = "DPONE_RUN_INTEGRATION"
NEEDS = {
    "integration_postgres": (INTEGRATION,),
    "integration_mssql": (INTEGRATION,),
    "integration_clickhouse": (INTEGRATION,),
    "integration_kafka": (INTEGRATION,),
    "integration_replay": ("DPONE_RUN_INTEGRATION_REPLAY",),
    "integration_matrix": (INTEGRATION, "DPONE_RUN_INTEGRATION_MATRIX"),
    "integration_live": (INTEGRATION, "DPONE_RUN_INTEGRATION_LIVE"),
}


def missing(marker: str) -> list[str]:
    """The variables that a test with this marker still needs."""
    return [f"{variable}=1" for variable in NEEDS[marker] if os.environ.get(variable) != "1"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        markers = {mark.name for mark in item.iter_markers()}
        if {"integration_matrix", "integration_matrix_mock"} <= markers:
            message = f"{item.nodeid} has both matrix markers: it would run twice, once without being asked for"
            raise pytest.UsageError(message)
        for marker in sorted(markers & NEEDS.keys()):
            if variables := missing(marker):
                item.add_marker(pytest.mark.skip(reason=f"{marker} needs {' '.join(variables)}"))
