"""What a manifest may say of PostgreSQL under `source:` and `sink:`."""

from __future__ import annotations

from typing import Self

from msgspec.structs import replace
from pydantic import Field, model_validator

from dpone.connector import Dataset, Target
from dpone.errors import UsageError
from dpone.manifest.options import TableSink, TableSource
from dpone.names import parse_name

DEFAULT_SCHEMA = "public"
_PARTS = 2


class PostgresSourceOptions(TableSource):
    """A table, view or query, and how it is read."""

    splits: int | None = Field(default=None, ge=1, le=256, description="parts; by default one below 4 cores or 1 GiB")
    slot: str | None = Field(
        default=None, pattern=r"^[a-z0-9_]{1,63}$", description="cdc: by default one of dpone's own"
    )
    publication: str | None = Field(default=None, description="cdc: by default one of dpone's own")
    timezone: str | None = Field(
        default=None, description="the zone in which a `timestamp` cursor was written; needed to hold rows back"
    )

    @model_validator(mode="after")
    def _is_a_name(self) -> Self:
        if self.table is not None:
            qualified(parse_name(self.table))
        return self

    def dataset(self) -> Dataset:
        found = super().dataset()
        return found if found.query is not None else replace(found, name=qualified(found.name))


class PostgresSinkOptions(TableSink):
    """A table, and where and how long dpone may do what at the server."""

    state_schema: str | None = Field(
        default=None, min_length=1, description="the schema of dpone's own tables; by default the target's"
    )
    lock_timeout: float = Field(default=30.0, gt=0, description="seconds to wait for a lock on the target")
    lease_timeout: float = Field(default=2.0, ge=0, description="seconds to wait for another run on the same target")

    @model_validator(mode="after")
    def _is_a_name(self) -> Self:
        qualified(parse_name(self.table))
        return self

    def target(self) -> Target:
        found = super().target()
        return replace(found, name=qualified(found.name))


def qualified(name: tuple[str, ...]) -> tuple[str, str]:
    """Schema and table; without a schema it is `public`, never a search path."""
    if len(name) == 1:
        return DEFAULT_SCHEMA, name[0]
    if len(name) == _PARTS:
        return name[0], name[1]
    raise UsageError(
        f"a PostgreSQL table is named schema.table, not by {len(name)} parts",
        code="manifest.invalid_name",
        hint='the database belongs to the connection; put a part that holds a dot in double quotes: raw."or.ders"',
    )
