"""Which cases a run takes."""

from __future__ import annotations

import pytest

from dpone.errors import UsageError
from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX as MATRIX
from dpone_certify.certification.document import Selection
from dpone_certify.certification.selecting import refuse_unknown, selected


@pytest.mark.parametrize(
    "selection, many",
    [
        (Selection(), 200),
        (Selection(source="*", sink="*"), 200),
        (Selection(source="postgres,mssql", sink="mssql,clickhouse"), 38),
        (Selection(strategy="incremental_merge, replace"), 50),
        (Selection(case_id="postgres_to_mssql__incremental_merge"), 1),
        (Selection(source="rest", strategy="cdc"), 0),
    ],
)
def test_lists_and_stars(selection: Selection, many: int) -> None:
    assert len(selected(MATRIX, selection)) == many


def test_parts_are_the_whole_and_do_not_meet() -> None:
    parts = [selected(MATRIX, Selection(shard=f"{n}/3")) for n in (1, 2, 3)]
    assert {case for part in parts for case in part} == set(MATRIX.cases)
    assert sum(map(len, parts)) == len(MATRIX.cases)


def test_a_name_that_no_case_has_is_refused_with_its_neighbour() -> None:
    with pytest.raises(UsageError, match="did you mean 'postgres'"):
        refuse_unknown(MATRIX, Selection(source="postgre"))
    with pytest.raises(UsageError, match="no case"):
        refuse_unknown(MATRIX, Selection(source="rest", strategy="cdc"))
