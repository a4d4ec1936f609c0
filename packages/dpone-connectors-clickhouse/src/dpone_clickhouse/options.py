"""What a manifest may say of ClickHouse under `source:` and `sink:`.

The storage of a table is data and not SQL: dpone writes the ORDER BY, PARTITION BY, TTL and CODEC clauses. A table that
is there keeps its own.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StringConstraints, model_validator

from dpone.manifest.options import TableSink, TableSource
from dpone.manifest.scalars import Duration, Model, Name, Names, refused
from dpone.names import parse_name

Text = Annotated[str, StringConstraints(min_length=1)]
# a chain of codecs with numbers as their only arguments: Delta(4), ZSTD(3)
Codec = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]*(\([0-9]+\))?(, ?[A-Za-z][A-Za-z0-9]*(\([0-9]+\))?)*$")
]
_PARTS = 2


def _refuse_long(table: str) -> None:
    if len(parse_name(table)) > _PARTS:
        raise refused(
            "a table of ClickHouse is named database.table",
            'put a part that holds a dot into quotes: raw."or.ders"',
        )


class ClickHouseSource(TableSource):
    """A table or a query, and how it is read."""

    final: StrictBool = Field(
        default=False, description="true merges the versions of a row while reading, as SELECT ... FINAL does"
    )
    splits: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="in how many pieces a table is read, each of them some of its parts; one unless given",
    )
    settings: dict[Text, str | int | float | bool] = Field(
        default_factory=dict, description="settings of the server for this reading: {max_memory_usage: 2000000000}"
    )

    @model_validator(mode="after")
    def _is_qualified(self) -> Self:
        if self.table is not None:
            _refuse_long(self.table)
        return self


class PartitionBy(Model):
    """How rows are cut into partitions."""

    column: Name = Field(description="the column")
    grain: Literal["value", "hour", "day", "month", "year"] = Field(
        default="month", description="what one partition holds of a date or an instant; value takes the column as it is"
    )


class Ttl(Model):
    """When the server itself removes rows."""

    column: Name = Field(description="the date or instant from which the time counts")
    after: Duration = Field(description="how long a row is kept: `90d`")


class ClickHouseSink(TableSink):
    """A table, and how it is stored where dpone makes it."""

    of_new = frozenset({"engine", "replicated", "order_by", "partition_by", "ttl", "codecs", "low_cardinality"})

    engine: Literal["merge_tree", "replacing"] = Field(
        default="merge_tree",
        description="how a new table keeps rows: merge_tree, one of each; replacing, versions of which the newest "
        "counts, so that a load adds rows and rebuilds nothing, and every reader must say FINAL",
    )
    replicated: StrictBool = Field(default=False, description="true makes the table replicated")
    cluster: Text | None = Field(default=None, description="the cluster on which tables are made (ON CLUSTER)")
    order_by: Names | None = Field(default=None, description="the sorting key; the strategy's key unless given")
    partition_by: PartitionBy | None = Field(default=None, description="how rows are cut into partitions")
    ttl: Ttl | None = Field(default=None, description="when the server itself removes rows")
    codecs: dict[Name, Codec] = Field(
        default_factory=dict, description="how columns are compressed: {payload: ZSTD(3)}"
    )
    low_cardinality: Names | None = Field(
        default=None, description="text columns of few values, which are made LowCardinality"
    )
    materialized_views: Literal["refuse", "ignore"] = Field(
        default="refuse",
        description="a publication does not pass through views on the target: refuse it, or know that they miss it",
    )

    @model_validator(mode="after")
    def _is_qualified(self) -> Self:
        _refuse_long(self.table)
        return self
