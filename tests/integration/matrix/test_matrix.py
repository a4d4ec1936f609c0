"""Every case of the matrix that the DPONE_MATRIX_* variables ask for, one test each, in the run mode that they name.

With DPONE_MATRIX_ARTIFACT_DIR each case writes its artifact there, which `dpone ops integration-matrix-report` merges.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

import pytest

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX, Case
from dpone_certify.certification.document import Profile, Result, Selection
from dpone_certify.certification.run import Order, carry_out
from dpone_certify.certification.selecting import selected
from dpone_certify.certification.volume import CHANGED, DELETED, ROWS, volume_of

NEEDED = ("DPONE_RUN_INTEGRATION", "DPONE_RUN_INTEGRATION_MATRIX")
pytestmark = [
    pytest.mark.integration_matrix,
    pytest.mark.timeout(3_600),
    pytest.mark.skipif(
        any(os.environ.get(name) != "1" for name in NEEDED), reason=f"needs {' and '.join(f'{n}=1' for n in NEEDED)}"
    ),
]


def asked(name: str, default: str) -> str:
    return os.environ.get(f"DPONE_MATRIX_{name}", "").strip() or default


SELECTION = Selection(**{name: asked(name.upper(), "*") for name in ("source", "sink", "strategy", "case_id")})
CASES = selected(DEFAULT_INTEGRATION_MATRIX, SELECTION)


def order_of(selection: Selection, folder: Path) -> Order:
    mode = asked("RUN_MODE", "mock_contract")
    assert mode in get_args(Profile), f"DPONE_MATRIX_RUN_MODE is one of {', '.join(get_args(Profile))}"
    volume = volume_of(
        int(asked("ROW_COUNT", str(ROWS))),
        float(asked("CHANGE_RATIO", str(CHANGED))),
        float(asked("DELETE_RATIO", str(DELETED))),
    )
    return Order(mode, selection, volume, folder)  # type: ignore[arg-type]  # asserted above


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = asked("ARTIFACT_DIR", "")
    return Path(chosen).absolute() if chosen else tmp_path_factory.mktemp("integration_matrix")


@pytest.fixture(scope="session")
def results(folder: Path) -> Callable[[Case], Result]:
    """The result of a case. Without services each is carried out by itself; with them all share the services."""
    shared: dict[str, Result] = {}

    def carried_out(selection: Selection) -> Mapping[str, Result]:
        order = order_of(selection, folder)
        return {r.case_id: r for r in carry_out(order, lambda _line: None, lambda _case, _step: None).results}

    def result(case: Case) -> Result:
        if order_of(SELECTION, folder).profile == "mock_contract":
            return carried_out(Selection(case_id=case.id))[case.id]
        if not shared:
            shared.update(carried_out(SELECTION))
        return shared[case.id]

    return result


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case, results: Callable[[Case], Result], folder: Path) -> None:
    result = results(case)
    assert result.passed, f"{result.blockers[0].message}; again: {result.repro}"
    assert (folder / str(result.artifact_path)).is_file()


def test_the_variables_select_a_case() -> None:
    assert CASES, f"{SELECTION} selects no case of the matrix"
