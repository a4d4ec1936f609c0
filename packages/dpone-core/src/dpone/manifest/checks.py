"""What stands under `checks:`: promises about the staged rows, each a mapping of one key."""

from __future__ import annotations

from typing import Annotated, Any, Self, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from dpone.manifest.scalars import Count, Duration, Model, Name, Names, Scalar, refused


class RowCount(Model):
    """Exactly this many rows."""

    row_count: Count = Field(description="exactly this many rows")


class MinRows(Model):
    """At least this many rows."""

    min_rows: Count = Field(description="at least this many rows")


class MaxRows(Model):
    """At most this many rows."""

    max_rows: Count = Field(description="at most this many rows")


class NotNull(Model):
    """No NULL in these columns."""

    not_null: Names = Field(description="columns without NULL")


class Unique(Model):
    """No two rows agree in all of these columns."""

    unique: Names = Field(description="columns that together identify a row")


class Accepted(Model):
    """A column and the values that it may hold."""

    column: Name = Field(description="the column")
    values: Annotated[tuple[Scalar, ...], Field(min_length=1)] = Field(
        description="the values that it may hold, beside NULL"
    )


class AcceptedValues(Model):
    """Nothing but these values."""

    accepted_values: Accepted = Field(description="a column and the values that it may hold")


class Age(Model):
    """An instant column and how old its newest value may be."""

    column: Name = Field(description="a column of instants")
    max_age: Duration = Field(description="how old its newest value may be")


class Freshness(Model):
    """The newest value is recent."""

    freshness: Age = Field(description="a column of instants and how old its newest value may be")


class Checksum(Model):
    """The sums of these columns are those of the source."""

    checksum: Names = Field(description="numeric columns whose exact sums must be those of the source")


def _name(value: object) -> str | None:
    if isinstance(value, dict):
        return str(next(iter(value))) if len(value) == 1 else None
    return next(iter(type(value).model_fields)) if isinstance(value, Model) else None


AnyCheck = Annotated[
    Annotated[RowCount, Tag("row_count")]
    | Annotated[MinRows, Tag("min_rows")]
    | Annotated[MaxRows, Tag("max_rows")]
    | Annotated[NotNull, Tag("not_null")]
    | Annotated[Unique, Tag("unique")]
    | Annotated[AcceptedValues, Tag("accepted_values")]
    | Annotated[Freshness, Tag("freshness")]
    | Annotated[Checksum, Tag("checksum")],
    Discriminator(_name),
]

CHECKS: dict[str, type[Model]] = {
    get_args(member)[1].tag: get_args(member)[0] for member in get_args(get_args(AnyCheck)[0])
}


class Bounded(Model):
    """Settings whose row counts must not contradict each other."""

    checks: tuple[AnyCheck, ...] = Field(
        default=(), description="promises about the staged rows, asked before the target is touched"
    )

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        least = max((c.min_rows for c in self.checks if isinstance(c, MinRows)), default=0)
        most: Any = min((c.max_rows for c in self.checks if isinstance(c, MaxRows)), default=None)
        if most is not None and least > most:
            raise refused(f"min_rows is {least} and max_rows is {most}: no number of rows is both", at="checks")
        return self
