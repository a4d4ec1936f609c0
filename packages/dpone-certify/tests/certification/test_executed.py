"""Executed cases: through the real runner, on the memory connector here; and a service that fails to start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dpone.errors import RemoteError
from dpone.integration_matrix import Case
from dpone.testing.memory.testkit import MemoryTestkit, testkit
from dpone_certify.certification import serving
from dpone_certify.certification.executed import Group, certify_group
from dpone_certify.certification.volume import rows_expected, volume_of

VOLUME = volume_of(100)
CHECKS = {
    "first_load",
    "wide_columns",
    "second_load",
    "unchanged_rerun",
    "position",
    "empty_source",
    "added_column",
}


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[serving.Served]:
    monkeypatch.setenv("DPONE_TESTING", "1")
    with ExitStack() as stack:
        yield serving.start({"memory": testkit}, "mock_local", "auto", stack, lambda _line: None)["memory"]


@pytest.mark.parametrize("strategy", ["full_refresh", "incremental_append", "incremental_merge", "scd2", "cdc"])
def test_a_case_is_seeded_loaded_changed_loaded_again_and_compared(
    strategy: str, memory: serving.Served, tmp_path: Path
) -> None:
    case = Case("memory", "memory", strategy)
    group = Group([case], memory, {"memory": memory}, VOLUME, "t1", tmp_path, [testkit.connector])
    told: list[str] = []
    (found,) = certify_group(group, lambda _case, step: told.append(step))
    assert [(c.name, c.detail) for c in found.checks if c.state != "passed"] == []
    assert {c.name for c in found.checks} == CHECKS
    second = next(c for c in found.checks if c.name == "second_load")
    assert second.actual_row_count == rows_expected(strategy, VOLUME)
    assert second.actual_checksum == second.expected_checksum
    assert told[0] == "first_load"


def test_another_process_reaches_the_same_service(memory: serving.Served) -> None:
    again = serving.unpacked(serving.packed(memory))
    assert again.endpoint == memory.endpoint
    assert again.kit is memory.kit


def test_a_service_that_is_there_and_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(MemoryTestkit, "service", broken)
    with ExitStack() as stack, pytest.raises(RemoteError, match="does not answer") as refused:
        serving.start({"memory": testkit}, "mock_local", "auto", stack, lambda _line: None)
    assert refused.value.code == "certification.service_failed"
