"""What one end is asked when two ends are compared: how rows are spelled, which rows are meant, what was counted.

Both ends spell a value by the same `Form`, so that equal values have equal text and unequal ones never do. The texts of
a row are joined, and the first 60 bits of the MD5 of that are the row's hash: every engine has MD5, and what is guarded
against is an error and not an enemy. A checksum is the number of rows and the sum of their hashes, modulo 2^64.

A row's text is its columns parted by `|`: NULL is `~`, free text stands behind its length in bytes and a colon, and
what can hold neither of the three signs stands as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from dpone.schema import Kind
from dpone.where import Where

if TYPE_CHECKING:
    from dpone.connector import Dataset

HASHES = 1 << 60  # how many there are
TOTALS = 1 << 64
NULL = "~"


class Form(Enum):
    """How values of a column are spelled; `dpone.diff.spelling` is the definition, engines say the same in SQL."""

    NUMBER = "number"  # decimal digits without zeros that mean nothing; NaN, Infinity, -Infinity
    FLOAT = "float"  # the 16 hex digits of the double, zero without sign; nan
    BOOL = "bool"  # true, false
    DATE = "date"  # 2026-01-31
    TIME = "time"  # 13:45:00.5, without zeros at the end of the fraction
    MOMENT = "moment"  # 2026-01-31 13:45:00.5, in UTC where it is an instant
    UUID = "uuid"  # in lower case
    BYTES = "bytes"  # hex digits in lower case
    TEXT = "text"  # as it is: free text
    OWN = "own"  # the engine's own text, for two columns of one native type: free text


FREE = frozenset({Form.TEXT, Form.OWN})
_KINDS = {
    Form.NUMBER: {Kind.INT, Kind.UINT, Kind.DECIMAL},
    Form.FLOAT: {Kind.FLOAT},
    Form.BOOL: {Kind.BOOL},
    Form.DATE: {Kind.DATE},
    Form.TIME: {Kind.TIME},
    Form.MOMENT: {Kind.TIMESTAMP, Kind.TIMESTAMPTZ},
    Form.UUID: {Kind.UUID},
    Form.BYTES: {Kind.BINARY, Kind.STRING},
}


def fits(kind: Kind, form: Form) -> bool:
    """Values of this kind are spelled in the form without a thought; in one of free text all are."""
    return kind in _KINDS.get(form, {kind})


class Spelled(Struct, frozen=True):
    """A column as it is compared: by its name at this end, and the form that both ends share.

    `alike` is true where it has one native type at both ends.
    """

    name: str
    form: Form
    alike: bool = False


class Extent(Struct, frozen=True):
    """The rows of one end that are compared; both ends have their columns in the same order.

    `axis` is the whole number in the key by whose ranges rows are told apart, where there is one.
    """

    dataset: Dataset  # of a target only its name
    columns: tuple[Spelled, ...]
    key: tuple[str, ...]
    where: Where = ()
    axis: str | None = None
    timeout: timedelta | None = None  # of a statement


class Span(Struct, frozen=True):
    """Rows whose axis lies in [lo, hi), or without an axis all of them; of these, those whose key hashes within.

    Ranges of hashes in one question are of one width, a power of two, and begin at multiples of it.
    """

    lo: int | None
    hi: int | None
    hash_lo: int = 0
    hash_hi: int = HASHES


class Shape(Struct, frozen=True):
    """How many rows there are, how many of them have NULL in their key, and the range of the axis."""

    rows: int
    null_keys: int
    least: int | None = None
    greatest: int | None = None


class Checksum(Struct, frozen=True):
    rows: int
    total: int


class Segments(Protocol):
    """An extent, open for questions, all about one moment where the engine has such."""

    @property
    def refused(self) -> Mapping[str, str]: ...  # columns that this end cannot spell so, and why
    @property
    def nbytes(self) -> int: ...  # of all answers so far
    @property
    def digest(
        self,
    ) -> str | None: ...  # names a faster hash than MD5: under one name, ends hash columns alike the same
    def shape(self) -> Shape: ...
    def checksums(self, spans: Sequence[Span], step: int, *, hashed: bool, own: bool) -> Mapping[int, Checksum]:
        """By segment, without those that are empty. The number of a segment is the place on the axis, or the hash of
        the key when `hashed`, less where the first span begins, divided by `step`. Rows are hashed by the `own` digest,
        which both ends must have, or by MD5.
        """
        ...

    def rows(self, spans: Sequence[Span]) -> Iterator[tuple[str | None, ...]]: ...  # each column as its form spells it
    def is_steady(self) -> bool | None: ...  # nothing written since it opened can have been seen; None: who knows
