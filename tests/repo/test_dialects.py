"""What every sink says of the SQL that it renders, without its driver."""

from __future__ import annotations

import pytest
from sqlglot.dialects.dialect import Dialect as Grammar

from dpone import registry
from dpone.integration_matrix import SPECIFIED
from dpone.sql.dialect import Dialect

SINKS = [c.name for c in SPECIFIED if c.ops]


@pytest.mark.parametrize("name", SINKS)
def test_a_sink_with_statements_names_its_dialect_and_a_grammar_that_reads_it(name: str) -> None:
    sink = registry.load(name).sink
    assert sink is not None
    if sink.atomic == "log":
        assert sink.dialect is None
        return
    assert sink.dialect is not None
    dialect = sink.dialect()
    assert isinstance(dialect, Dialect)
    assert dialect.name == name
    assert Grammar.get(dialect.grammar or dialect.name) is not None
