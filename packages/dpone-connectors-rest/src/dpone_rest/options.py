"""What a manifest may say of a REST API under `source:`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from dpone.connector import Dataset, SourceOptions
from dpone.manifest.options import Pattern
from dpone.manifest.scalars import Duration, Model, Name, Names, PositiveInt, TypeText, refused

Text = Annotated[str, StringConstraints(min_length=1)]
# below the connection's address: no other host can be named by it
ResourcePath = Annotated[str, StringConstraints(pattern=r"^/?[^/\\?#\s:][^\\?#\s:]*$"), Pattern()]
Value = StrictStr | StrictBool | StrictInt | StrictFloat
MAX_PAGES = 100_000


class PageNumber(Model):
    """Pages are counted; reading ends at an empty page, or at the total that the answer tells."""

    type: Literal["page"] = Field(description="how pages follow each other")
    param: Text = Field(default="page", description="the parameter that holds the page's number")
    first: int = Field(default=1, ge=0, description="the number of the first page")
    size_param: Text | None = Field(default=None, description="the parameter that holds the size of a page")
    size: PositiveInt = Field(default=100, description="records on one page")
    total: Text | None = Field(default=None, description="where the answer has the number of pages (JMESPath)")


class Offset(Model):
    """Records are counted; reading ends at an empty page, or at the total that the answer tells.

    A page that is not full is no end: an API may give less than it is asked for.
    """

    type: Literal["offset"] = Field(description="how pages follow each other")
    param: Text = Field(default="offset", description="the parameter that holds the number of records to leave out")
    size_param: Text = Field(default="limit", description="the parameter that holds the size of a page")
    size: PositiveInt = Field(default=100, description="records on one page")
    total: Text | None = Field(default=None, description="where the answer has the number of records (JMESPath)")


class NextCursor(Model):
    """The answer has a token for the next page; reading ends where there is none."""

    type: Literal["cursor"] = Field(description="how pages follow each other")
    path: Text = Field(description="where the answer has the token (JMESPath)")
    param: Text = Field(default="cursor", description="the parameter that takes the token")
    size_param: Text | None = Field(default=None, description="the parameter that holds the size of a page")
    size: PositiveInt = Field(default=100, description="records on one page")


class NextLink(Model):
    """The answer has the address of the next page; another host's is refused."""

    type: Literal["link"] = Field(description="how pages follow each other")
    path: Text = Field(description="where the answer has the address (JMESPath)")


class LinkHeader(Model):
    """The header Link has the address of the next page; another host's is refused."""

    type: Literal["header"] = Field(description="how pages follow each other")
    rel: Text = Field(default="next", description="the relation that means the next page")


Pagination = Annotated[PageNumber | Offset | NextCursor | NextLink | LinkHeader, Field(discriminator="type")]


_SLOT = re.compile(r"\{(\w*)\}")


class SincePlace(Model):
    """How a request says that only records from a value on are wanted, or up to one.

    It spares the API work and is never trusted: rows outside of what is read are left out here in any case.
    """

    params: dict[Text, Text] = Field(
        min_length=1,
        description="parameters and their templates: {updated_after: '{since}', updated_before: '{until}'}; "
        "a parameter is left out where its value is not known",
    )
    column: Name | None = Field(
        default=None, description="the column that they are about; the strategy's cursor unless given"
    )
    format: Literal["iso", "unix", "unix_ms", "plain"] = Field(default="iso", description="how the values are written")
    exclusive: bool = Field(
        default=False, description="the API leaves out records of the very value `{since}`: one step less is asked for"
    )

    @model_validator(mode="after")
    def _has_slots(self) -> Self:
        for name, template in self.params.items():
            slots = _SLOT.findall(template)
            if not slots or set(slots) - {"since", "until"}:
                raise refused(f"`params: {name}` holds {{since}} or {{until}}, and no other braces")
        return self


class Declared(Model):
    """A column whose records must have it."""

    type: TypeText = Field(description="the type: int64, decimal(18,4), timestamptz(6), json")
    nullable: StrictBool = Field(default=True, description="false: a record without it is an error")


class RestSource(SourceOptions):
    """One collection of records, and how all of it is had."""

    path: ResourcePath = Field(description="the collection, below the connection's address: orders")
    params: dict[Text, Value] = Field(default_factory=dict, description="parameters of each request; no secrets")
    records: Text | None = Field(
        default=None, description="where the answer has the list of records (JMESPath); the answer itself unless given"
    )
    count: Text | None = Field(
        default=None,
        description="where the answer says how many records there are in all (JMESPath): fewer or more are an error",
    )
    pagination: Pagination | None = Field(
        default=None, description="how pages follow each other; one page unless given"
    )
    max_pages: int = Field(
        default=MAX_PAGES, ge=1, description="more pages than these are an error, and never a silent end"
    )
    columns: dict[Name, TypeText | Declared] | None = Field(
        default=None,
        description="the fields that are read and their types, no others; inferred from a sample unless given",
    )
    sample: PositiveInt = Field(default=1000, description="how many records types are inferred from")
    drift: Literal["refuse", "evolve"] = Field(
        default="refuse",
        description="refuse: a record that does not fit the sample is an error; evolve: all records are the sample, "
        "so that the collection is read twice",
    )
    nested: Literal["json", "flatten"] = Field(
        default="json", description="what becomes of an object in a record: one JSON column, or one column per field"
    )
    separator: Text = Field(default="_", description="nested flatten: what stands between the names")
    key: Names | None = Field(default=None, description="the columns that tell records apart")
    timezone: Text | None = Field(
        default=None, description="the zone of a cursor that has none, where rows are held back by the clock"
    )
    since: SincePlace | None = Field(
        default=None, description="how a request is narrowed; all is asked for unless given"
    )
    checkpoint: Literal[False] | Duration = Field(
        default=timedelta(hours=1),
        description="how long after its last page the next run goes on with a reading that was cut off, a day at most; "
        "false: every run begins at the first page",
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if any(part in {".", ".."} for part in self.path.split("/")):
            raise refused("`path` leads below the connection's address: write it without . and ..")
        if self.columns is not None:
            if self.drift == "evolve":
                raise refused("`drift: evolve` is about types that are inferred, and `columns` declares them")
            named = [*(self.key or ()), *([self.since.column] if self.since and self.since.column else [])]
            if unknown := [name for name in named if name not in self.columns]:
                raise refused(f"{unknown[0]} is not among `columns`")
        return self

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ValueError, OSError, ZoneInfoNotFoundError):
                raise refused(f"{name} is no time zone: write one like UTC or Europe/Berlin") from None
        return name

    @field_validator("checkpoint")
    @classmethod
    def _is_soon(cls, value: timedelta | Literal[False]) -> timedelta | Literal[False]:
        if value and value > timedelta(days=1):
            raise refused("a reading that is gone on with after more than a day is one of two collections")
        return value

    def dataset(self) -> Dataset:
        return Dataset((self.path,), None, self.model_dump(mode="json", exclude={"path"}, exclude_none=True))


def options_of(dataset: Dataset) -> RestSource:
    """The options that a dataset was made of."""
    return RestSource.model_validate({**dataset.options, "path": dataset.name[0]})
