"""Each planted bug turns its case red: a selection in memory always, all of them on an embedded PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

import pytest

from dpone.strategies import STRATEGIES
from dpone_certify.certification import serving
from dpone_certify.certification.document import Volume
from dpone_certify.certification.serving import Served
from dpone_certify.certification.volume import volume_of
from dpone_certify.mutation.bugs import BUGS
from dpone_certify.mutation.document import Mutant, Seam
from dpone_certify.mutation.judge import LEAST_BUGS, blockers_of, score_of
from dpone_certify.mutation.run import ROWS, WIDE, is_equivalent, markdown_of, mutants_of, plant, refuse_red, report_of
from dpone_certify.mutation.tampering import Bug

VOLUME: Volume = volume_of(ROWS).model_copy(update={"wide_columns": WIDE})
MUTANTS = [(bug, strategy) for bug, strategy in mutants_of() if not is_equivalent(bug, strategy, VOLUME)]
QUICK = [
    next(found for found in MUTANTS if found[0].seam == seam and found[1] == strategy)
    for seam, strategy in zip(
        get_args(Seam),
        ("incremental_merge", "full_refresh", "partition_replace", "snapshot_diff", "cdc", "scd2"),
        strict=True,
    )
]
on_postgres = [
    pytest.mark.integration_postgres,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.environ.get("DPONE_RUN_INTEGRATION") != "1", reason="needs DPONE_RUN_INTEGRATION=1"),
]


def name_of(value: object) -> str:
    return value.name if isinstance(value, Bug) else str(value)


@pytest.fixture(scope="module")
def served() -> Iterator[dict[str, Served]]:
    """Services, started when they are first asked for."""
    with ExitStack() as stack:

        class Started(dict[str, Served]):
            def __missing__(self, name: str) -> Served:
                kits = {name: serving.load(serving.testkits()[name])}
                self.update(serving.start(kits, "mock_local", "auto", stack, lambda _line: None))
                return self[name]

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DPONE_TESTING", "1")
            yield Started()


@pytest.mark.parametrize("bug, strategy", QUICK, ids=name_of)
def test_a_bug_in_memory_is_noticed(bug: Bug, strategy: str, served: dict[str, Served], tmp_path: Path) -> None:
    memory = served["memory"]
    assert refuse_red([strategy], memory, memory, VOLUME, tmp_path) == []
    assert noticed(plant(bug, strategy, memory, memory, VOLUME, tmp_path))


@pytest.mark.parametrize("strategy", [pytest.param(s, marks=on_postgres) for s in STRATEGIES])
def test_without_a_bug_every_case_is_green(strategy: str, served: dict[str, Served], tmp_path: Path) -> None:
    postgres = served["postgres"]
    assert refuse_red([strategy], postgres, postgres, VOLUME, tmp_path) == []


@pytest.mark.parametrize("bug, strategy", [pytest.param(*m, marks=on_postgres) for m in MUTANTS], ids=name_of)
def test_a_bug_on_postgres_is_noticed(bug: Bug, strategy: str, served: dict[str, Served], tmp_path: Path) -> None:
    postgres = served["postgres"]
    assert noticed(plant(bug, strategy, postgres, postgres, VOLUME, tmp_path))


def noticed(mutant: Mutant) -> bool:
    return mutant.state == "killed" and bool(mutant.noticed_by) and "internal error" not in mutant.detail


def test_every_seam_is_broken_under_every_strategy_by_enough_bugs() -> None:
    planted = {(bug.seam, strategy) for bug, strategy in MUTANTS}
    assert planted == {(seam, strategy) for seam in get_args(Seam) for strategy in STRATEGIES}
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= LEAST_BUGS
    assert {bug.name for bug, _ in MUTANTS} == {bug.name for bug in BUGS}, "a bug that changes nothing anywhere"


def test_the_oracle_names_what_is_equivalent() -> None:
    skips = next(bug for bug in BUGS if bug.name == "operation_skips_deletes")
    assert is_equivalent(skips, "incremental_merge", VOLUME), "reading by a cursor names no deleted key"
    assert not is_equivalent(skips, "snapshot_diff", VOLUME)


def test_a_survivor_is_red_and_an_equivalent_one_is_not_counted() -> None:
    killed = [
        Mutant(name=bug.name, seam=bug.seam, strategy=s, state="killed", noticed_by="a check") for bug, s in MUTANTS
    ]
    same = Mutant(name="same", seam="operation", strategy="cdc", state="equivalent")
    good = report_of([*killed, same], 1, {}, 1.0)
    assert good.passed
    assert good.score == score_of(killed) == 1.0
    survivor = Mutant(name="lives", seam="reader", strategy="cdc", state="survived")
    bad = report_of([*killed, survivor], 1, {}, 1.0)
    assert not bad.passed
    assert [b.code for b in blockers_of(bad)] == ["certification_mutation.survived:lives:cdc"]
    assert markdown_of(bad).index("lives") < markdown_of(bad).index("killed")
