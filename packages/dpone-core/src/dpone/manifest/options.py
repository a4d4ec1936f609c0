"""Ready-made options for connectors of tables: `table` or `query` under `source:`, `table` under `sink:`.

A connector that has more keys inherits and adds fields; one whose target is not called a table marks its own field with
`Template`, and a source marks the field that may hold a wildcard with `Pattern`.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from msgspec import Struct
from pydantic import AfterValidator, ConfigDict, Field, StrictStr, model_validator

from dpone.connector import Dataset, SinkOptions, SourceOptions, Target
from dpone.errors import UsageError
from dpone.manifest.scalars import NAME_PATTERN, refused
from dpone.names import parse_name


class Pattern(Struct, frozen=True):
    """Marks a source's field that names a table and, in a list of streams, may hold `*` and `?`.

    `is_name`: the field is a dotted name, matched part by part; otherwise it is one part, dots and all.
    """

    is_name: bool = True


class Template(Struct, frozen=True):
    """Marks a sink's field in which `{table}` and `{schema}` stand for the source's names; `{{` is a brace.

    `is_name`: the field is a dotted name, and what is put in is quoted where it must be.
    """

    is_name: bool = True


def _parses(text: str) -> str:
    try:
        parse_name(text)
    except UsageError as error:
        raise refused(error.message, error.hint or "") from None
    return text


_TableName = Annotated[
    StrictStr, Field(min_length=1, max_length=500, json_schema_extra={"pattern": NAME_PATTERN}), AfterValidator(_parses)
]
SourceTable = Annotated[_TableName, Pattern()]
TargetTable = Annotated[_TableName, Template()]


def _exactly_one(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": ["table"]}, {"required": ["query"]}]


class TableSource(SourceOptions):
    """A table, or a query that the manifest's author answers for."""

    model_config = ConfigDict(json_schema_extra=_exactly_one)

    table: SourceTable | None = Field(default=None, description="the table, as `schema.table`")
    query: Annotated[StrictStr, Field(min_length=1)] | None = Field(
        default=None, description="a single SELECT instead of a table; runs read-only"
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.table is None) is (self.query is None):
            raise refused("give `table` or `query`, one of the two")
        return self

    def dataset(self) -> Dataset:
        """What is read; the other keys of the connector go along as options."""
        name = parse_name(self.table) if self.table is not None else ()
        return Dataset(name, self.query, self.model_dump(mode="json", exclude={"table", "query"}, exclude_none=True))


class TableSink(SinkOptions):
    """A table."""

    table: TargetTable = Field(description="the table, as `schema.table`")

    def target(self) -> Target:
        """What is written; the other keys of the connector go along as options."""
        return Target(parse_name(self.table), self.model_dump(mode="json", exclude={"table"}, exclude_none=True))
