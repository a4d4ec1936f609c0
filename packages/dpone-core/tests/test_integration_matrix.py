"""The matrix is derived from declarations; the golden file makes any change of it a reviewed diff."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX, SPECIFIED, Capabilities, IntegrationMatrix, derive
from dpone.ops import OPS, Append
from dpone.strategies import STRATEGIES, Read

GOLDEN = Path(__file__).with_name("integration_matrix.txt")


def test_the_cases_are_those_of_the_golden_file() -> None:
    assert [case.id for case in DEFAULT_INTEGRATION_MATRIX.cases] == GOLDEN.read_text().split()


def test_twenty_five_pairs_and_two_hundred_cases() -> None:
    assert (len(DEFAULT_INTEGRATION_MATRIX.pairs), len(DEFAULT_INTEGRATION_MATRIX.cases)) == (25, 200)
    assert Counter(case.strategy for case in DEFAULT_INTEGRATION_MATRIX.cases) == {
        "full_refresh": 25,
        "incremental_append": 25,
        "incremental_merge": 25,
        "replace": 25,
        "partition_replace": 20,
        "snapshot_diff": 25,
        "scd2": 20,
        "backfill": 20,
        "xmin": 5,
        "cdc": 10,
    }


def test_the_printed_line_needs_no_connector() -> None:
    code = (
        "import sys\n"
        "from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX as m; print(len(m.pairs), len(m.cases))\n"
        "assert not [n for n in sys.modules if n.startswith('dpone_') or n in ('pyarrow', 'pydantic')], sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "25 200\n"


def test_no_two_cases_share_an_id_and_every_end_is_specified() -> None:
    ids = [case.id for case in DEFAULT_INTEGRATION_MATRIX.cases]
    assert len(set(ids)) == len(ids)
    names = {c.name for c in SPECIFIED}
    assert {end for case in DEFAULT_INTEGRATION_MATRIX.cases for end in (case.source, case.sink)} == names


def test_a_case_exists_exactly_when_both_ends_can() -> None:
    can = {c.name: c for c in SPECIFIED}
    for source, sink in DEFAULT_INTEGRATION_MATRIX.pairs:
        for strategy in STRATEGIES.values():
            exists = any(
                (c.source, c.sink, c.strategy) == (source, sink, strategy.name)
                for c in DEFAULT_INTEGRATION_MATRIX.cases
            )
            assert exists is (strategy.read in can[source].reads and strategy.emits <= can[sink].ops)


def test_a_third_party_connector_makes_a_matrix_of_its_own() -> None:
    matrix = derive([Capabilities("mine", frozenset({Read.SINCE}), frozenset({Append}))])
    assert [case.id for case in matrix.cases] == ["mine_to_mine__incremental_append"]
    assert derive([]).cases == ()
    only_sink = derive([*SPECIFIED, Capabilities("lake", ops=frozenset(OPS))])
    assert len(only_sink.pairs) == 30


def test_the_digest_names_the_set_of_cases() -> None:
    assert DEFAULT_INTEGRATION_MATRIX.digest == derive(SPECIFIED).digest
    assert DEFAULT_INTEGRATION_MATRIX.digest != IntegrationMatrix(SPECIFIED[:-1]).digest
