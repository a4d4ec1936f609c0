"""Every source → sink pair and every strategy that works for it, derived from what the two ends declare.

A strategy works for a pair exactly when the source can be read as it asks and the sink carries out all that it emits.
No list of cases is kept: `DEFAULT_INTEGRATION_MATRIX` is derived from the capabilities of the specified connectors,
which core keeps so that the matrix is the same whatever is installed (a test compares them with each connector's own
declaration), and `derive()` gives the matrix of any other set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from dpone.ops import OPS, Op, ReplaceSlice, Version
from dpone.strategies import STRATEGIES, Read

if TYPE_CHECKING:
    from dpone.connector import Connector


class Capabilities(Struct, frozen=True):
    """What the matrix needs to know of a connector; an end that it does not have is empty."""

    name: str
    reads: frozenset[Read] = frozenset()
    ops: frozenset[type[Op]] = frozenset()


class Case(Struct, frozen=True):
    source: str
    sink: str
    strategy: str

    @property
    def id(self) -> str:
        return f"{self.source}_to_{self.sink}__{self.strategy}"


class IntegrationMatrix(Struct, frozen=True, dict=True):
    """The pairs and cases of a set of connectors, in the order of the set and of the strategies."""

    connectors: tuple[Capabilities, ...]

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple((s.name, t.name) for s in self.connectors if s.reads for t in self.connectors if t.ops)

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        known = {c.name: c for c in self.connectors}
        return tuple(
            Case(source, sink, strategy.name)
            for source, sink in self.pairs
            for strategy in STRATEGIES.values()
            if strategy.read in known[source].reads and strategy.emits <= known[sink].ops
        )

    @cached_property
    def digest(self) -> str:
        """One hash over all case ids: two reports with the same digest speak of the same matrix."""
        return hashlib.sha256("\n".join(case.id for case in self.cases).encode()).hexdigest()


def capabilities(connector: Connector[Any]) -> Capabilities:
    """What a declared connector can do."""
    return Capabilities(
        connector.name,
        connector.source.reads if connector.source else frozenset(),
        connector.sink.ops if connector.sink else frozenset(),
    )


def derive(connectors: Iterable[Connector[Any] | Capabilities]) -> IntegrationMatrix:
    """The matrix of any set of connectors, third-party ones included."""
    return IntegrationMatrix(tuple(c if isinstance(c, Capabilities) else capabilities(c) for c in connectors))


_SCAN = frozenset({Read.SCAN, Read.SINCE})
_TABLE = frozenset(OPS)
_LOG = _TABLE - {ReplaceSlice, Version}  # a topic has neither ranges to exchange nor rows to close

SPECIFIED = (
    Capabilities("postgres", _SCAN | {Read.XMIN, Read.CHANGES}, _TABLE),
    Capabilities("mssql", _SCAN | {Read.CHANGES}, _TABLE),
    Capabilities("clickhouse", _SCAN, _TABLE),
    Capabilities("rest", _SCAN),
    Capabilities("kafka", _SCAN, _LOG),
    Capabilities("bigquery", frozenset(), _TABLE),
)

DEFAULT_INTEGRATION_MATRIX = derive(SPECIFIED)
