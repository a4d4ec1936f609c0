"""What a manifest may say of PostgreSQL under `source:` and `sink:`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from dpone.connector import Dataset, SinkOptions, SourceOptions, Target
from dpone.errors import UsageError
from dpone.names import parse_name

DEFAULT_SCHEMA = "public"
_PARTS = 2


class PostgresSourceOptions(SourceOptions):
    """A table, view or query, and how it is read."""

    table: str | None = None
    query: str | None = None
    splits: int | None = Field(default=None, ge=1, le=256)  # None: one below 4 cores or 1 GiB
    slot: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,63}$")  # cdc: None makes one of dpone's own
    publication: str | None = None  # cdc: None makes one of dpone's own
    timezone: str | None = None  # in which zone a `timestamp` cursor was written; needed to hold rows back

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("name either `table` or `query`")
        if self.table is not None:
            qualified(parse_name(self.table))
        return self

    def dataset(self) -> Dataset:
        options = self.model_dump(exclude={"table", "query"}, exclude_none=True)
        if self.table is None:
            return Dataset(query=self.query, options=options)
        return Dataset(qualified(parse_name(self.table)), options=options)


class PostgresSinkOptions(SinkOptions):
    """A table, and where and how long dpone may do what at the server."""

    table: str
    state_schema: str | None = Field(default=None, min_length=1)  # of dpone's own tables; None: the target's
    lock_timeout: float = Field(default=30.0, gt=0)  # seconds to wait for a lock on the target
    lease_timeout: float = Field(default=2.0, ge=0)  # seconds to wait for another run on the same target

    @model_validator(mode="after")
    def _is_a_name(self) -> Self:
        qualified(parse_name(self.table))
        return self

    def target(self) -> Target:
        return Target(qualified(parse_name(self.table)), self.model_dump(exclude={"table"}, exclude_none=True))


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
