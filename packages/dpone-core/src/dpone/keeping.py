"""What is noted of a load: beside its sealed stage, for a later process to publish, and in the ledger of its sink."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from msgspec import Struct, ValidationError, convert, to_builtins

from dpone.connector import Json, KeptStage, Position, Staged, StageSpec, Stored
from dpone.errors import StateError
from dpone.names import print_name
from dpone.plan import Plan, plain
from dpone.prepare import Prepared
from dpone.running import Run

VERSION = 1


class Note(Struct, frozen=True):
    """Everything of a load that its plan and its target do not say: which moment it is of, and what was read."""

    version: int
    run_id: str
    load_id: str
    pipeline: str
    strategy: str
    target: str
    plan_digest: str
    spec_digest: str
    at: datetime
    first: bool
    changes: bool
    writers: int | None
    expected: Stored | None  # what was stored when the lease was taken
    upto: Position | None
    staged: Staged
    nbytes: int
    seconds: float  # until it was sealed and validated

    def to_json(self) -> dict[str, Json]:
        found: dict[str, Json] = to_builtins(self)
        return found


def label_of(plan: Plan) -> str:
    """The target of a plan, and where it is."""
    return f"{plan.sink.label} {print_name(plan.target.name)}"


def note_of(
    run: Run,
    prepared: Prepared,
    expected: Stored | None,
    upto: Position | None,
    staged: Staged,
    *,
    nbytes: int,
    seconds: float,
) -> Note:
    load = prepared.load
    return Note(
        version=VERSION,
        run_id=run.id,
        load_id=load.id,
        pipeline=run.plan.pipeline,
        strategy=run.plan.strategy,
        target=label_of(run.plan),
        plan_digest=run.plan.digest,
        spec_digest=digest_of(prepared.spec),
        at=load.at,
        first=load.first,
        changes=prepared.spec.sealing.changes,
        writers=prepared.spec.writers,
        expected=expected,
        upto=upto,
        staged=staged,
        nbytes=nbytes,
        seconds=round(seconds, 6),
    )


def digest_of(spec: StageSpec) -> str:
    """One hash over everything that a stage was made by: its target's layout, its program, its load."""
    return hashlib.sha256(json.dumps(plain(spec), sort_keys=True).encode()).hexdigest()


def read_note(kept: KeptStage) -> Note:
    """The note beside a stage; one that this dpone did not write is refused."""
    try:
        note = convert(dict(kept.note), Note)
    except ValidationError as error:
        raise _unreadable(kept, type(error).__name__) from None
    if note.version != VERSION or note.load_id != kept.load_id or note.pipeline != kept.pipeline:
        raise _unreadable(kept, "it is of another load, or of another version of dpone")
    return note


def _unreadable(kept: KeptStage, why: str) -> StateError:
    return StateError(
        f"what is noted beside the stage of {kept.load_id} cannot be read: {why}",
        code="replay.damaged_note",
        hint="`dpone run` reads again and puts a new stage in its place",
    )
