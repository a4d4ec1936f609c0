"""One split as another process copies it: plain data, which connects to both ends by itself.

Secrets do not travel. A connection goes by its name, or as the manifest writes it, and is resolved where it is used.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from dpone import registry
from dpone.batch import Batch
from dpone.connector import ReadRequest, Split, StageRef
from dpone.copying import Sent, batches_of, copy_split, refuse_excess
from dpone.errors import DponeError
from dpone.manifest.connections import Sent as Address
from dpone.plan import PlannedColumn
from dpone.where import Where


class Errand(Struct, frozen=True):
    """A split, the stage that it goes to, and where both ends are."""

    source: Address
    sink: Address
    request: ReadRequest
    split: Split
    stage: StageRef
    columns: tuple[PlannedColumn, ...]
    core_where: Where
    memory: int | None = None


def carry(errand: Errand, check: Callable[[], None]) -> Sent | DponeError:
    """The split is copied; or why not, since what a driver raises may not reach another process, or may say too much.

    `check` is asked before each batch, and may end the errand by raising.
    """
    try:
        return _copied(errand, check)
    except DponeError as error:
        return error
    except Exception as error:  # noqa: BLE001 -- a foreign exception may quote a password: only its kind is passed on
        return DponeError(f"internal error in a worker: {type(error).__name__}", code="internal")


def _copied(errand: Errand, check: Callable[[], None]) -> Sent:
    source, sink = registry.load(errand.source.connector), registry.load(errand.sink.connector)
    assert source.source is not None  # the plan was compiled for these two ends
    assert sink.sink is not None

    def go_on() -> None:
        check()
        refuse_excess(errand.memory)

    def tell(_batch: Batch) -> None:
        """The whole split is told of when it is done."""

    with (
        source.source.open(errand.source.found(source).resolve()) as reading,
        sink.sink.open(errand.sink.found(sink).resolve()) as writing,
    ):
        batches = batches_of(reading, errand.request, errand.split, errand.columns, errand.core_where)
        return copy_split(writing, errand.stage, errand.split.id, batches, check=go_on, tell=tell)
