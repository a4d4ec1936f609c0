"""Every kind of statement that the dialect renders, read by sqlfluff's T-SQL grammar: a second opinion to sqlglot's.

It takes a quarter of a second for each, so it stands apart from the package's own tests.
"""

from __future__ import annotations

import pytest
from sqlfluff.core import Linter

from dpone.testing.renderings import definitions, operations, questions, sealing
from dpone_mssql.dialect import MSSQL

pytestmark = pytest.mark.integration_mssql
STATEMENTS = tuple(
    dict.fromkeys(text for part in (operations, questions, sealing, definitions) for text in part(MSSQL))
)


def refusals(text: str) -> list[str]:
    """What the grammar says against the text; a part that it cannot read is a violation."""
    return [violation.desc() for violation in Linter(dialect="tsql").parse_string(text).violations]


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_second_grammar_reads_every_statement(text: str) -> None:
    assert refusals(text) == []


def test_the_grammar_refuses_what_is_no_statement() -> None:
    assert refusals("SELECT FROM WHERE [a]")
