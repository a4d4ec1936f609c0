"""What a manifest may say of a REST API under `source:`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, StringConstraints, model_validator
from typing_extensions import override

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

    type: Literal["page"]
    param: Text = Field(default="page", description="the parameter that holds the page's number")
    first: int = Field(default=1, ge=0, description="the number of the first page")
    size_param: Text | None = Field(default=None, description="the parameter that holds the size of a page")
    size: PositiveInt = Field(default=100, description="records on one page")
    total: Text | None = Field(default=None, description="where the answer has the number of pages (JMESPath)")


class Offset(Model):
    """Records are counted; reading ends at a page that is not full, or at the total that the answer tells."""

    type: Literal["offset"]
    param: Text = Field(default="offset", description="the parameter that holds the number of records to leave out")
    size_param: Text = Field(default="limit", description="the parameter that holds the size of a page")
    size: PositiveInt = Field(default=100, description="records on one page")
    total: Text | None = Field(default=None, description="where the answer has the number of records (JMESPath)")


class NextCursor(Model):
    """The answer has a token for the next page; reading ends where there is none."""

    type: Literal["cursor"]
    path: Text = Field(description="where the answer has the token (JMESPath)")
    param: Text = Field(default="cursor", description="the parameter that takes the token")
    size_param: Text | None = Field(default=None, description="the parameter that holds the size of a page")
    size: PositiveInt = Field(default=100, description="records on one page")


class NextLink(Model):
    """The answer has the address of the next page; another host's is refused."""

    type: Literal["link"]
    path: Text = Field(description="where the answer has the address (JMESPath)")


class LinkHeader(Model):
    """The header Link has the address of the next page; another host's is refused."""

    type: Literal["header"]
    rel: Text = Field(default="next", description="the relation that means the next page")


Pagination = Annotated[PageNumber | Offset | NextCursor | NextLink | LinkHeader, Field(discriminator="type")]


class SincePlace(Model):
    """How a request says that only records from a cursor on are wanted."""

    param: Text = Field(description="the parameter that takes the cursor's value")
    format: Literal["iso", "unix", "unix_ms", "plain"] = Field(default="iso", description="how its value is written")
    lookback: Duration | None = Field(default=None, description="how much earlier to ask, for records that came late")


class RestSource(SourceOptions):
    """One collection of records, and how all of it is had."""

    path: ResourcePath = Field(description="the collection, below the connection's address: orders")
    params: dict[Text, Value] = Field(default_factory=dict, description="parameters of each request; no secrets")
    records: Text | None = Field(
        default=None, description="where the answer has the list of records (JMESPath); the answer itself unless given"
    )
    pagination: Pagination | None = Field(
        default=None, description="how pages follow each other; one page unless given"
    )
    max_pages: int = Field(
        default=MAX_PAGES, ge=1, description="more pages than these are an error, and never a silent end"
    )
    columns: dict[Name, TypeText] | None = Field(
        default=None, description="the fields of a record and their types; inferred from a sample unless given"
    )
    sample: PositiveInt = Field(default=1000, description="how many records types are inferred from")
    drift: Literal["refuse", "evolve"] = Field(
        default="refuse", description="what a record means that does not fit the columns that were found"
    )
    nested: Literal["json", "flatten"] = Field(
        default="json", description="what becomes of an object in a record: one JSON column, or one column per field"
    )
    separator: Text = Field(default="_", description="nested flatten: what stands between the names")
    key: Names | None = Field(default=None, description="the columns that tell records apart")
    since: SincePlace | None = Field(
        default=None, description="how a request is narrowed by the strategy's cursor; all is asked for unless given"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if any(part in {".", ".."} for part in self.path.split("/")):
            raise refused("`path` leads below the connection's address: write it without . and ..")
        if (
            self.columns is not None
            and self.key is not None
            and (unknown := [name for name in self.key if name not in self.columns])
        ):
            raise refused(f"`key` names {unknown[0]}, which is not among `columns`")
        return self

    @override
    def dataset(self) -> Dataset:
        return Dataset((self.path,), None, self.model_dump(mode="json", exclude={"path"}, exclude_none=True))
