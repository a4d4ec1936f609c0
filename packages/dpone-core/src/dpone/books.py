"""What every sink keeps of a target beside it, and refuses alike: its lease, its position, dpone's own tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from dpone.connector import Commit, Json, Position, Stored
from dpone.errors import PlanError, StateError
from dpone.names import print_name
from dpone.ops import Program, Recreate, ReplaceAll
from dpone.strategies import Read

Connection = TypeVar("Connection")
Books = TypeVar("Books")
Answer = TypeVar("Answer")

WAIT = 2.0  # seconds that a run waits for a lease: a server needs a moment to notice that the last holder was killed


class HeldLease:
    """The lease of a pipeline on a target: what was stored when it began; what was committed is asked each time."""

    def __init__(
        self,
        found: Mapping[str, Stored],
        pipeline: str,
        committed: Callable[[str], bool],
        chunks: Callable[[str], frozenset[str]],
    ) -> None:
        self.stored = found.get(pipeline)
        self.others = tuple(sorted(found.keys() - {pipeline}))
        self.committed = committed
        self.chunks = chunks


def in_books(
    connected: Callable[[], AbstractContextManager[Connection]],
    books: Books,
    ask: Callable[[Connection, Books, str], Answer],
) -> Callable[[str], Answer]:
    """A question that is asked of the books on a connection for it."""

    def answer(of: str) -> Answer:
        with connected() as connection:
            return ask(connection, books, of)

    return answer


def held_elsewhere(target: str, hint: str = "wait until it is done, and run again") -> StateError:
    return StateError(f"another run is writing {target}", code="state.leased", hint=hint)


# ----------------------------------------------------------------------- positions


def stored_of(kind: str | None, token: str | None, generation: int, load_id: str) -> Stored:
    """A row of the state table; without a kind there is no position."""
    position = None if kind is None or token is None else Position(Read(kind), json.loads(token))
    return Stored(position, generation, load_id)


def position_texts(position: Position | None) -> tuple[str, str] | tuple[None, None]:
    """Kind and token, as a row of the state table has them."""
    return (None, None) if position is None else (position.kind.value, json.dumps(position.token))


def stored_json(stored: Stored) -> Json:
    at = stored.position
    position = None if at is None else {"kind": at.kind.value, "token": dict(at.token)}
    return {"position": position, "generation": stored.generation, "load_id": stored.load_id}


def read_stored(found: Json) -> Stored:
    """What `stored_json` wrote."""
    at = found["position"]
    position = None if at is None else Position(Read(at["kind"]), at["token"])
    return Stored(position, found["generation"], found["load_id"])


def is_own(found: Stored | None, commit: Commit) -> bool:
    """What is stored is of this very commit, whose answer was lost."""
    return found is not None and found.load_id == commit.new.load_id


def refuse_conflict(found: Stored | None, target: str, commit: Commit) -> None:
    """Raises when the stored position is not the one that this load started from."""
    started = commit.expected.generation if commit.expected else 0
    if found != commit.expected or commit.new.generation != started + 1:
        raise conflict(target, commit)


def conflict(target: str, commit: Commit) -> StateError:
    started = commit.expected.generation if commit.expected else 0
    return StateError(
        f"the position of {target} was moved: this load started from generation {started} and would write "
        f"{commit.new.generation}",
        code="state.conflict",
        hint="another run or an operator changed it; nothing was published, run again",
    )


def never_loaded(target: str, pipeline: str) -> StateError:
    return StateError(
        f"no load of {pipeline} is known in {target}, so there is no position to change",
        code="state.unknown_pipeline",
        hint="a first run writes it",
    )


# -------------------------------------------------------------------- targets and tables


def exchanges_all(program: Program) -> bool:
    """Nothing that the target holds stays."""
    return any(isinstance(op, Recreate) or (isinstance(op, ReplaceAll) and not op.where) for op in program)


def not_a_table(name: Sequence[str]) -> PlanError:
    return PlanError(
        f"{print_name(tuple(name))} is not a table",
        code="sink.not_a_table",
        hint="name a table; rows cannot be exchanged in a view",
    )


def refuse_unstored(names: Iterable[str], columns: Sequence[str]) -> None:
    """Raises when the options of a sink name columns that the target will not have."""
    if missing := sorted(set(names) - set(columns)):
        raise PlanError(
            f"the options of the sink name {', '.join(missing)}, which the target will not have",
            code="sink.unknown_column",
            hint=f"it will have {', '.join(columns)}",
        )


def target_missing(target: str) -> StateError:
    """A target that is gone with rows that the state remembers: only a window of them would come again."""
    return StateError(
        f"{target} is gone, but this pipeline has loaded rows into it",
        code="state.target_missing",
        hint="`dpone state reset` lets the next run load everything again",
    )


def marker_missing(target: str) -> StateError:
    return StateError(
        f"the state tables know {target}, but it carries no marker of a load",
        code="state.marker_missing",
        hint="the target was replaced by other means: `dpone state reset` forgets the position and begins again",
    )


def concurrent_writer(target: str) -> StateError:
    return StateError(
        f"{target} was changed by somebody else during the load",
        code="sink.concurrent_writer",
        hint="run again; writers beside dpone must not write while a load is published",
    )


def shape_of(table: str, said: str, known: int, *, package: str, hint: str) -> int:
    """The number of a table's shape, as the table itself says it; a table of somebody else, or of a later dpone, is
    refused.
    """
    if not said.isdigit():
        raise StateError(
            f"{table} is not a table that dpone made, or what it says of its shape was changed",
            code="state.not_ours",
            hint=hint,
        )
    if int(said) > known:
        raise StateError(
            f"{table} has shape {said}; this dpone knows up to {known}",
            code="state.newer_version",
            hint=f"pip install --upgrade {package}",
        )
    return int(said)
