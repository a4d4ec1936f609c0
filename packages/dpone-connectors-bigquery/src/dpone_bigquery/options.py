"""What a manifest may say of BigQuery under `sink:`.

How a table is stored is data and not SQL. A table that is there keeps its own.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StringConstraints, model_validator

from dpone.manifest.options import TableSink
from dpone.manifest.scalars import Duration, Model, Name, Names, PositiveInt, refused
from dpone.names import parse_name

_PARTS = 3
_MOST_CLUSTERS = 4
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{0,63}$")]
Key = Annotated[str, StringConstraints(pattern=r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$")]


class PartitionBy(Model):
    """How rows are cut into partitions: by a time, or by a range of whole numbers."""

    column: Name = Field(description="the column")
    grain: Literal["hour", "day", "month", "year"] | None = Field(
        default=None, description="what one partition holds of a date or an instant; day unless `step` is given"
    )
    start: int | None = Field(default=None, description="of a whole number: the least value that has a partition")
    end: int | None = Field(default=None, description="of a whole number: the first value beyond the last partition")
    step: PositiveInt | None = Field(default=None, description="of a whole number: how many values one partition holds")

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        range_ = [self.start, self.end, self.step]
        if any(part is not None for part in range_) and (None in range_ or self.grain is not None):
            raise refused("a partition by ranges has `start`, `end` and `step`, and no `grain`")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise refused("`start` is less than `end`")
        return self


class BigQuerySink(TableSink):
    """A table, and how it is stored where dpone makes it."""

    of_new = frozenset(
        {"partition_by", "require_partition_filter", "cluster_by", "partition_expiration", "labels", "kms_key"}
    )

    partition_by: PartitionBy | None = Field(default=None, description="how rows are cut into partitions")
    require_partition_filter: StrictBool = Field(
        default=False, description="true refuses queries that would read every partition"
    )
    cluster_by: Names | None = Field(default=None, description="up to four columns by which rows are kept together")
    partition_expiration: Duration | None = Field(default=None, description="how long a partition is kept: `90d`")
    labels: dict[Label, Label] = Field(default_factory=dict, description="labels of the table")
    kms_key: Key | None = Field(default=None, description="the key that encrypts the table, by its full name")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if len(parse_name(self.table)) > _PARTS:
            raise refused("a table of BigQuery is named dataset.table or project.dataset.table")
        if self.cluster_by is not None and len(self.cluster_by) > _MOST_CLUSTERS:
            raise refused(f"a table is clustered by at most {_MOST_CLUSTERS} columns")
        if self.partition_by is None and (self.require_partition_filter or self.partition_expiration is not None):
            raise refused("`require_partition_filter` and `partition_expiration` need `partition_by`")
        return self
