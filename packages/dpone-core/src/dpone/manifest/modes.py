"""What stands under `strategy:`: one model per mode, each with exactly the keys that mean something for it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator

from dpone.manifest.scalars import Bound, Lag, Model, Name, Names, StepField, moment_of, refused
from dpone.strategies import STRATEGIES

FLAG_COLUMN = "_dpone_deleted_at"

# A few words on each, for who has to choose.
MODES = {
    "full_refresh": "the target is built anew from all rows",
    "incremental_append": "new rows are added, found by a cursor",
    "incremental_merge": "new and changed rows, found by a cursor, exchanged by key",
    "replace": "all rows are exchanged, the table itself stays",
    "partition_replace": "the slices that the source holds are exchanged",
    "snapshot_diff": "all rows are read, only differences are written",
    "scd2": "each change opens a new version of its row",
    "backfill": "a range is loaded in chunks",
    "xmin": "rows changed since the last run, found by PostgreSQL's row versions",
    "cdc": "inserts, updates and deletes from the database's log",
}


class Cursor(Model):
    """The column that orders incremental reading."""

    column: Name = Field(description="the column that grows with each change: a number, date or time")
    lag: Lag = Field(
        default=0, description="how far behind the greatest value, or the clock, reading begins: `5m`, `2 days`, 1000"
    )
    late: Literal["overlap", "hold_back"] | None = Field(
        default=None,
        description="how late rows are caught: the lag is read again, or waited for; an append without a key waits",
    )
    nulls: Literal["refuse", "ignore"] = Field(default="refuse", description="what a row without a cursor value means")


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise refused("expected a share between 0 and 1")
    return float(value)


class Guard(Model):
    """How much one load may remove before it is stopped."""

    max_removed_share: Annotated[
        float, BeforeValidator(_share), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})
    ] = Field(default=0.5, description="the share of rows that one load may remove")
    allow_empty: StrictBool = Field(default=False, description="true when an emptied source may empty the target")


class Deletes(Model):
    """What happens in the target to a row that is deleted at the source."""

    how: Literal["hard", "soft", "ignore"]
    column: Name = FLAG_COLUMN


def _deletes(value: object) -> object:
    if isinstance(value, Deletes):
        return value
    if isinstance(value, str) and value in {"hard", "soft", "ignore"}:
        return {"how": value}
    if isinstance(value, dict) and list(value) == ["soft"]:
        return {"how": "soft", "column": value["soft"]}
    raise refused("expected hard, soft, ignore, or {soft: the column that holds the time of deletion}")


DeletesField = Annotated[
    Deletes,
    BeforeValidator(_deletes),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["hard", "soft", "ignore"]},
                {
                    "type": "object",
                    "properties": {"soft": {"type": "string", "minLength": 1, "maxLength": 255}},
                    "required": ["soft"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class Bounds(Model):
    """A range: `from` is in it, `to` is not."""

    lo: Bound = Field(alias="from", description="the first value")
    hi: Bound = Field(alias="to", description="the first value beyond the range")

    @model_validator(mode="after")
    def _ascend(self) -> Self:
        lo, hi = (moment_of(v) if isinstance(v, str) else v for v in (self.lo, self.hi))
        try:
            ascending = lo < hi  # type: ignore[operator] # the except clause answers for mixed types
        except TypeError:
            raise refused(
                "`from` and `to` must be of one kind: numbers, dates, or instants with or without zone"
            ) from None
        if not ascending:
            raise refused("`from` must be less than `to`; `to` is not part of the range")
        return self


class Strategy(Model):
    """What all modes share; `description` of each key is what the reference and editors show."""

    mode: str
    # what a mode does not have reads as absent, so that code which treats all modes alike needs no hasattr
    _absent: ClassVar[dict[str, Any]] = {
        "key": (),
        "duplicates": "fail",
        "order": (),
        "cursor": None,
        "newer": None,
        "deletes": Deletes(how="hard"),
        "guard": Guard(),
        "column": None,
        "grain": "value",
        "bounds": None,
        "chunk": None,
        "workers": 1,
        "valid_from": "valid_from",
        "valid_to": "valid_to",
        "absent": "expire",
        "compare": (),
        "reconcile": False,
        "on_truncate": "apply",
    }

    def setting(self, name: str) -> Any:
        """The value of a key, or what its absence means for a mode that does not have it."""
        return getattr(self, name) if name in type(self).model_fields else self._absent[name]

    @model_validator(mode="after")
    def _order_decides(self) -> Self:
        order, last = self.setting("order"), self.setting("duplicates") == "last"
        if order and not last:
            raise refused("`order` says which duplicate is the last one; it needs `duplicates: last`", at="order")
        if last and not self.setting("key"):
            raise refused("`duplicates: last` needs a `key` that says what a duplicate is", at="duplicates")
        if last and not order and self.setting("cursor") is None:
            raise refused(
                "`duplicates: last` needs `order`, the columns that decide which row is the last", at="duplicates"
            )
        return self


_KEY = "the columns that identify a row"
_CURSOR = "the column that orders reading; needed unless the source goes by positions of its own, as Kafka does"


class _Keyed(Strategy):
    key: Names = Field(description=_KEY)


class _KeyedOnRequest(Strategy):
    key: Names = Field(default=(), description=_KEY)


class _Duplicates(Strategy):
    duplicates: Literal["fail", "last"] = Field(default="fail", description="what several rows of one key mean")
    order: Names = Field(
        default=(),
        description="the columns, numbers, dates or times, whose greatest values make a duplicate the last; by default "
        "the cursor",
    )


class _Guarded(Strategy):
    guard: Guard = Field(default=Guard(), description="how much one load may remove")


class _Deleting(Strategy):
    deletes: DeletesField = Field(
        default=Deletes(how="hard"),
        description=f"a deleted row is removed, flagged (in {FLAG_COLUMN}, or `{{soft: name}}`), or left",
    )


class FullRefresh(_Guarded, _Duplicates, _KeyedOnRequest):
    mode: Literal["full_refresh"]


class IncrementalAppend(_Duplicates, _KeyedOnRequest):
    mode: Literal["incremental_append"]
    cursor: Cursor | None = Field(default=None, description=_CURSOR)

    @model_validator(mode="after")
    def _never_twice(self) -> Self:
        if not self.key and self.cursor is not None and self.cursor.late == "overlap":
            raise refused("without a `key`, rows read again would be added again; remove `late: overlap`", at="cursor")
        return self


class IncrementalMerge(_Deleting, _Duplicates, _Keyed):
    mode: Literal["incremental_merge"]
    cursor: Cursor | None = Field(default=None, description=_CURSOR)
    newer: Name | None = Field(
        default=None,
        description="a number, date or time: a row that is older in this column than the stored one is left out",
    )


class Replace(_Guarded, _Duplicates, _KeyedOnRequest):
    mode: Literal["replace"]


class PartitionReplace(_Guarded, _Duplicates, _KeyedOnRequest):
    mode: Literal["partition_replace"]
    column: Name = Field(description="the column that is cut into slices")
    grain: Literal["value", "hour", "day", "month", "year"] = Field(
        default="value", description="how it is cut: each value a slice, or calendar units"
    )
    bounds: Bounds | None = Field(
        default=None,
        description="the range that is read and exchanged as one; by default the slices that the source holds",
    )


class SnapshotDiff(_Guarded, _Deleting, _Duplicates, _Keyed):
    mode: Literal["snapshot_diff"]


class Scd2(_Guarded, _Duplicates, _Keyed):
    mode: Literal["scd2"]
    valid_from: Name = Field(default="valid_from", description="the column that holds the beginning of a version")
    valid_to: Name = Field(default="valid_to", description="the column that holds its end, NULL while it is open")
    absent: Literal["expire", "keep"] = Field(
        default="expire", description="what happens to the open version of a key that is gone"
    )
    compare: Names = Field(
        default=(), description="the columns whose change opens a new version; by default all that are not in the key"
    )

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        if self.valid_from == self.valid_to:
            raise refused("`valid_from` and `valid_to` must be two columns", at="valid_to")
        if self.absent == "keep" and "guard" in self.model_fields_set:
            raise refused("`absent: keep` removes nothing: `guard` needs `absent: expire`", at="guard")
        if both := [c for c in self.compare if c in self.key]:
            raise refused(f"{', '.join(both)} is in the key and cannot change: remove it from `compare`", at="compare")
        return self


class Backfill(_Guarded, _Duplicates, _KeyedOnRequest):
    mode: Literal["backfill"]
    column: Name = Field(description="the column that the range is about")
    bounds: Bounds = Field(description="the range that is loaded")
    chunk: StepField | None = Field(
        default=None, description="how much is loaded and committed at once: `month`, `7 days`, 100000; by default all"
    )
    workers: Annotated[int, Field(ge=1, le=64, strict=True)] = Field(
        default=1, description="how many chunks are staged at the same time"
    )

    @model_validator(mode="after")
    def _chunk_fits(self) -> Self:
        counts = self.chunk is not None and self.chunk.unit == "value"
        if self.chunk is not None and counts is isinstance(self.bounds.lo, str):
            raise refused("a numeric range takes a number, a range of dates a calendar step", at="chunk")
        return self


class Xmin(_Guarded, _Deleting, _Duplicates, _Keyed):
    mode: Literal["xmin"]
    reconcile: StrictBool = Field(
        default=False, description="true: the keys of all rows are read too, and rows that are gone are deleted"
    )

    @model_validator(mode="after")
    def _deletes_are_seen(self) -> Self:
        given = self.model_fields_set & {"deletes", "guard"}
        if given and not self.reconcile:
            named = ", ".join(f"`{n}`" for n in sorted(given))
            raise refused(f"row versions do not show deletes: {named} needs `reconcile: true`", at=min(given))
        return self


class Cdc(_Guarded, _Deleting, _Keyed):
    mode: Literal["cdc"]
    on_truncate: Literal["apply", "stop"] = Field(
        default="apply", description="what a TRUNCATE at the source means: empty the target too, or stop"
    )


AnyStrategy = Annotated[
    FullRefresh
    | IncrementalAppend
    | IncrementalMerge
    | Replace
    | PartitionReplace
    | SnapshotDiff
    | Scd2
    | Backfill
    | Xmin
    | Cdc,
    Field(discriminator="mode"),
]

MODELS: dict[str, type[Strategy]] = {
    get_args(model.model_fields["mode"].annotation)[0]: model for model in get_args(get_args(AnyStrategy)[0])
}
assert list(MODELS) == list(STRATEGIES) == list(MODES)  # a mode without a strategy, or the reverse, is a slip of ours
