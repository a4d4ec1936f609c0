"""What stands under `columns:` and `exclude:`: which columns are taken, under which name, and how they are changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self

from msgspec import Struct
from pydantic import BeforeValidator, ConfigDict, Field, StrictStr, model_validator

from dpone.errors import PlanError
from dpone.manifest.problems import did_you_mean
from dpone.manifest.scalars import Model, Name, TypeText, is_name, refused
from dpone.schema import Type, parse_type

REST = "*"  # in the list of columns: all that are not named in it
_CHANGES = ("cast", "mask", "hash")


def _once(schema: dict[str, Any]) -> None:
    pairs = [[a, b] for i, a in enumerate(_CHANGES) for b in _CHANGES[i + 1 :]]
    schema["not"] = {"anyOf": [{"required": pair} for pair in pairs]}


class Column(Model):
    """One column: its name at the source, its name in the target, and at most one change of its values."""

    model_config = ConfigDict(json_schema_extra=_once)

    name: Name = Field(description="its name at the source")
    as_: Name | None = Field(default=None, alias="as", description="its name in the target; by default the same")
    cast: TypeText | None = Field(default=None, description="the type its values are cast to, as `decimal(18,2)`")
    mask: StrictStr | None = Field(
        default=None, description="the text that stands for every value, as `***`; NULL stays NULL"
    )
    hash: Literal["sha256", "sha512"] | None = Field(
        default=None, description="the digest that stands for every value, in hexadecimal; NULL stays NULL"
    )

    @property
    def target(self) -> str:
        return self.as_ or self.name

    @property
    def cast_type(self) -> Type | None:
        return parse_type(self.cast) if self.cast else None

    @model_validator(mode="after")
    def _changes_once(self) -> Self:
        if len(given := [f"`{c}`" for c in _CHANGES if getattr(self, c) is not None]) > 1:
            raise refused(f"{' and '.join(given)}: a column is changed in one way")
        if self.name == REST and self.model_fields_set != {"name"}:
            raise refused('"*" stands for many columns, which cannot be renamed or changed together')
        return self


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


# A column's name alone takes the column as it is.
ColumnField = Annotated[Column, BeforeValidator(_named, json_schema_input_type=Column | Name)]


class Projection(Model):
    """The columns that are taken: those of the list, where `"*"` stands for all others, less the excluded ones."""

    columns: Annotated[tuple[ColumnField, ...], Field(min_length=1)] = Field(
        default=(),
        description='the columns that are taken, each a name or a mapping; `"*"` stands for all others; by default all',
    )
    exclude: tuple[Name, ...] = Field(default=(), description="columns that are left out")

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        targets = [c.target for c in self.columns]
        if twice := sorted({t for t in targets if targets.count(t) > 1}):
            raise refused(f"columns occur twice: {', '.join(twice)}", at="columns")
        sources = [c.name for c in self.columns]
        if both := sorted(set(sources) & set(self.exclude)):
            raise refused(f"named in `columns` and excluded: {', '.join(both)}", at="exclude")
        if self.exclude and self.columns and REST not in sources:
            raise refused('`columns` without "*" takes only what it names; nothing is left to exclude', at="exclude")
        return self

    def choose(self, available: Sequence[str]) -> tuple[Column, ...]:
        """The columns taken of a source that has these, in order; an unknown name is an error that suggests one."""
        return choose(self.columns, self.exclude, available)


class _Unknown(Struct, frozen=True):
    name: str
    available: Sequence[str]

    def __str__(self) -> str:
        return f'"{self.name}"{did_you_mean(self.name, self.available)}'


def choose(columns: Sequence[Column], exclude: Iterable[str], available: Sequence[str]) -> tuple[Column, ...]:
    """See `Projection.choose`."""
    known = set(available)
    named = [c.name for c in columns if c.name != REST]
    left_out = set(exclude)
    if unknown := [_Unknown(n, available) for n in (*named, *exclude) if n not in known]:
        raise PlanError(
            f"the source has no column {', '.join(map(str, unknown))}",
            code="manifest.unknown_column",
            hint=f"it has {', '.join(available[:40])}{' and more' if len(available) > 40 else ''}",  # noqa: PLR2004 - one screen
        )
    others: list[Column] = []
    if not columns or any(c.name == REST for c in columns):
        rest = [n for n in available if n not in left_out and n not in named]
        _refuse_nameless(rest)
        others = [Column(name=n) for n in rest]
    if not columns:
        return tuple(others)
    return tuple(chosen for c in columns for chosen in (others if c.name == REST else [c]))


def _refuse_nameless(names: Iterable[str]) -> None:
    """Raises where a name cannot stand in a manifest, a plan or a log as it is."""
    if broken := [n for n in names if not is_name(n)]:
        raise PlanError(
            f"the source's column {', '.join(map(repr, broken))} has a name that dpone cannot carry: "
            "1 to 255 characters without control characters",
            code="source.column_name",
            hint="leave it out by a list under `columns:`, or read a `query:` that renames it",
        )
