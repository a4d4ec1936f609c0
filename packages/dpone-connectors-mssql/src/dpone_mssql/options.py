"""What a manifest may say of SQL Server under `source:` and `sink:`."""

from __future__ import annotations

from typing import Literal, Self

from msgspec.structs import replace
from pydantic import Field, model_validator

from dpone.connector import Dataset, Target
from dpone.manifest.options import TableSink, TableSource
from dpone.manifest.scalars import Name, refused
from dpone.names import parse_name

DEFAULT_SCHEMA = "dbo"


class MssqlSource(TableSource):
    """A table or a query, and how it is read."""

    splits: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="into how many ranges of its key, one whole number, the table is cut; one unless given. More need "
        "isolation: read_committed, since no two sessions share a snapshot",
    )
    isolation: Literal["auto", "snapshot", "read_committed"] = Field(
        default="auto",
        description="snapshot sees one moment and blocks nobody; auto takes it where the database allows it",
    )
    changes: Literal["auto", "cdc", "change_tracking"] = Field(
        default="auto", description="cdc: by which of the two the changes are read; auto takes the one that is on"
    )
    timezone: Literal["UTC"] | None = Field(
        default=None, description="UTC says that a cursor without a zone is written in it; another is not understood"
    )
    capture_instance: Name | None = Field(
        default=None, description="cdc: the capture instance, where the table has two of them"
    )

    @model_validator(mode="after")
    def _is_qualified(self) -> Self:
        if self.table is not None:
            qualified(self.table)
        if (self.splits or 1) > 1 and self.isolation != "read_committed":
            raise ValueError(
                "several splits do not share a snapshot: set isolation: read_committed, or leave splits out"
            )
        return self

    def dataset(self) -> Dataset:
        found = super().dataset()
        return found if self.table is None else replace(found, name=qualified(self.table))


class MssqlSink(TableSink):
    """A table, and how rows get there."""

    bulk: Literal["auto", "bulk_copy", "bcp", "executemany"] = Field(
        default="auto", description="how staged rows are sent; auto takes the fastest that is there"
    )
    lock_timeout: int = Field(default=30, ge=1, description="seconds to wait for a lock on the target")
    state_schema: Name | None = Field(
        default=None, description="the schema of dpone's own tables; the target's unless given"
    )

    @model_validator(mode="after")
    def _is_qualified(self) -> Self:
        qualified(self.table)
        return self

    def target(self) -> Target:
        return replace(super().target(), name=qualified(self.table))


def qualified(table: str) -> tuple[str, str]:
    """Schema and table; without a schema it is `dbo`, never the login's own default."""
    match parse_name(table):
        case (name,):
            return DEFAULT_SCHEMA, name
        case (schema, name):
            return schema, name
        case parts:
            raise refused(
                f"a table of SQL Server is named schema.table, not by {len(parts)} parts",
                'server and database belong to the connection; a part with a dot goes into quotes: raw."or.ders"',
            )
