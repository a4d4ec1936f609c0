"""Batches of rows on the wire, and the choice of a format that both ends speak and that is safe for every column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NewType

from msgspec import Struct

from dpone.errors import PlanError, RemoteError
from dpone.schema import Field, Landing

Format = NewType("Format", str)

PG_BINARY = Format("pg_binary")  # COPY BINARY, with header and trailer per writer
PG_TEXT = Format("pg_text")  # COPY text; for most types the same bytes as TabSeparated
CH_NATIVE = Format("ch_native")  # ClickHouse blocks
ARROW = Format("arrow")  # a pyarrow.RecordBatch: the floor that every connector speaks


class Batch(Struct, frozen=True):
    """Some rows in one format; `rows` is None where counting would mean decoding."""

    format: Format
    data: Any  # bytes of a wire format, or a pyarrow.RecordBatch for ARROW
    rows: int | None
    nbytes: int


def refuse_format(batch: Batch, taken: Format) -> None:
    """Raises for a batch of another format than the one that a stage was made for."""
    if batch.format != taken:
        raise RemoteError(
            f"the stage was made for {taken}, a batch of {batch.format} came",
            code="sink.wrong_format",
            hint="report it: a writer is given batches of the format that was negotiated",
        )


def _carries_all(_field: Field, _landing: Landing) -> str | None:
    return None


class Wire(Struct, frozen=True):
    """A format that an end speaks; `refuses` gives the reason why a column must not travel in it, or None."""

    format: Format
    refuses: Callable[[Field, Landing], str | None] = _carries_all


class Refusal(Struct, frozen=True):
    format: Format
    reason: str


class Choice(Struct, frozen=True):
    """The format taken, and why each better one was not."""

    format: Format
    refused: tuple[Refusal, ...] = ()


def negotiate(
    emits: Sequence[Wire],
    accepts: Sequence[Wire],
    columns: Sequence[tuple[Field, Landing]],
    *,
    in_core: str | None = None,
) -> Choice:
    """The first of the source's formats that the sink accepts and that is safe for every column.

    `in_core` gives the reason why rows must pass through core (a mask, a cast): then only Arrow will do.
    """
    taken = {wire.format: wire for wire in accepts}
    refused: list[Refusal] = []
    for offer in emits:
        reason = _refusal(offer, taken.get(offer.format), columns, in_core)
        if reason is None:
            return Choice(offer.format, tuple(refused))
        refused.append(Refusal(offer.format, reason))
    raise PlanError(
        "the two ends share no wire format that is safe for every column: "
        + "; ".join(f"{r.format}: {r.reason}" for r in refused),
        code="plan.no_wire_format",
        hint="leave the named columns out, or cast them under `columns:`",
    )


def _refusal(
    offer: Wire, accepted: Wire | None, columns: Sequence[tuple[Field, Landing]], in_core: str | None
) -> str | None:
    if accepted is None:
        return "the sink does not read it"
    if in_core is not None and offer.format != ARROW:
        return in_core
    for field, landing in columns:
        for end in (offer, accepted):
            if reason := end.refuses(field, landing):
                return f"column {field.name}: {reason}"
    return None
