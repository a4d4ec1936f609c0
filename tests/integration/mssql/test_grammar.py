"""Every kind of statement that the dialect renders, read by sqlfluff's T-SQL grammar: a second opinion to sqlglot's.

It takes a quarter of a second for each, so it stands apart from the package's own tests.
"""

from __future__ import annotations

import pytest
from sqlfluff.core import Linter

from dpone.batch import ARROW
from dpone.connector import Fate, Layout, Role, StageSpec, SystemColumn, Target
from dpone.ops import Recreate
from dpone.schema import INT64, STRING, Field, Schema
from dpone.stage import Sealing
from dpone.testing.renderings import COLUMNS, KEY, definitions, operations, questions, sealing
from dpone_mssql.adoption import Way, creation, question, takeover
from dpone_mssql.dialect import MSSQL
from dpone_mssql.layouts import key_statement

pytestmark = pytest.mark.integration_mssql
STATEMENTS = tuple(
    dict.fromkeys(text for part in (operations, questions, sealing, definitions) for text in part(MSSQL))
)
_SPEC = StageSpec(
    Target(("raw", "the orders")),
    "l'1",
    "p",
    Layout(Schema(COLUMNS, KEY), (SystemColumn(Role.LOAD_ID, Field("_dpone_load_id", STRING), "l'1"),)),
    tuple(f.name for f in COLUMNS),
    ARROW,
    Sealing((), KEY),
    (Recreate(),),
    Fate.ADOPT,
)
ADOPTION = dict.fromkeys(
    (
        creation("[raw].[stage]", _SPEC, None, ("_dpone_split",)),
        MSSQL.drop_column("[raw].[stage]", "_dpone_split"),
        "TRUNCATE TABLE [raw].[stage]",
        str(key_statement("[raw].[stage]", Layout(Schema((Field("id", INT64, nullable=False),), ("id",))))),
        question(7, clustered=True),
        *(text for way in Way for text in takeover(way, "[raw].[stage]", ("raw", "the 'orders'"), "_dpone_old")),
    )
)


def refusals(text: str) -> list[str]:
    """What the grammar says against the text; a part that it cannot read is a violation."""
    return [violation.desc() for violation in Linter(dialect="tsql").parse_string(text).violations]


@pytest.mark.parametrize("text", [*STATEMENTS, *ADOPTION])
def test_a_second_grammar_reads_every_statement(text: str) -> None:
    assert refusals(text) == []


def test_the_grammar_refuses_what_is_no_statement() -> None:
    assert refusals("SELECT FROM WHERE [a]")
