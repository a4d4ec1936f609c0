"""What a load sends to its target: rows under their keys, tombstones, and what the index must know of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from dpone.connector import Layout, Role
from dpone.oracle import Counts
from dpone.schema import Field
from dpone.where import Row
from dpone_kafka.index import Segments
from dpone_kafka.values import arrow_column

AT_ONCE = 20_000  # rows that are encoded together
CONSTANT = frozenset({Role.LOAD_ID, Role.LOADED_AT})

# keys as arrays of bytes, the values of their messages, and the hashes of their rows
Writes = tuple[Any, Sequence[bytes], Any]


class Difference(Protocol):
    """The difference that a program makes; what it iterates over comes a batch at a time, as often as it is asked."""

    @property
    def counts(self) -> tuple[Counts, ...]: ...
    @property
    def rows(self) -> int:
        """Of the target afterwards where all of it was known, or else those that were added."""
        ...

    @property
    def written(self) -> int: ...
    @property
    def gone(self) -> int: ...
    @property
    def known(self) -> int:
        """Keys of the index before."""
        ...

    @property
    def segments(self) -> Segments: ...
    @property
    def appended(self) -> frozenset[str]: ...
    @property
    def epoch(self) -> bool:
        """Whether everything before it is superseded."""
        ...

    def writes(self) -> Iterator[Writes]: ...

    def tombstones(self) -> Iterator[Any]:
        """Keys, as arrays of bytes."""
        ...

    def untouched(self) -> Iterator[tuple[Any, Any]]:
        """Keys and hashes that the index has and keeps."""
        ...

    def result(self) -> Iterator[Row]:
        """The rows of the target afterwards, with their values; may read the target and hold it in memory."""
        ...


def constants(layout: Layout) -> dict[str, object]:
    """The system's columns that every row of a load has alike."""
    return {c.field.name: c.value for c in layout.system if c.role in CONSTANT}


def column_of_load(table: Any, field: Field) -> Any:
    """A column of the batch in the target's type; NULL where the load does not carry it."""
    from dpone.arrow import arrow_type

    wanted = arrow_type(field.type)
    if field.name not in table.schema.names:
        return arrow_column([None] * table.num_rows, field.type)
    column = table.column(field.name)
    found = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    return found if found.type == wanted else found.cast(wanted)
