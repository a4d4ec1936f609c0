"""Why a run is not resumed: what its record says, what the manifest says now, and what the sink holds, held together.

Each of them refuses by name, and before anything was changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dpone.connector import KeptStage, Stored
from dpone.errors import StateError
from dpone.keeping import Note, label_of, read_note
from dpone.manifest import Manifest
from dpone.observe.record import seal_of
from dpone.plan import Plan
from dpone.replay.account import Account

Record = Mapping[str, Any]
Entry = Mapping[str, Any]  # of one stream


def refuse_record(record: Record) -> None:
    """Raises when the record is not that of a run which stopped."""
    run_id = record["run_id"]
    status = record["status"]
    as_written = {**record, "status": "running"} if status == "lost" else record
    if record.get("seal") != seal_of(as_written):
        raise StateError(
            f"the record of run {run_id} is not as dpone wrote it",
            code="replay.record_edited",
            hint="put it back as it was, or let `dpone run` begin again from the stored position",
        )
    if record.get("action") != "run":
        raise StateError(
            f"{run_id} is a {record.get('action')}, which is not resumed",
            code="replay.not_a_run",
            hint="run the same command again: it lands the same rows",
        )
    if status == "running":
        raise StateError(
            f"run {run_id} is still running",
            code="replay.still_running",
            hint="wait for it, or end it",
        )
    if status == "succeeded":
        raise StateError(
            f"run {run_id} is finished; there is nothing to resume",
            code="replay.already_finished",
            hint="`dpone run` begins a new one, `dpone resync` lands rows again",
        )


def refuse_manifest(record: Record, manifest: Manifest) -> None:
    """Raises when the manifest is that of another pipeline than the run was of."""
    names = {stream.name for stream in manifest.streams}
    unknown = sorted(str(e["name"]) for e in record["streams"] if e["name"] not in names and e["status"] != "succeeded")
    if record["name"] != manifest.name or unknown:
        found = f"it has no stream {', '.join(unknown)}" if unknown else f"it is {manifest.name}"
        raise StateError(
            f"run {record['run_id']} is one of {record['name']}, and the manifest is not: {found}",
            code="replay.other_pipeline",
            hint="name the manifest that was run: `--manifest`",
        )


def refuse_other_plan(account: Account, entry: Entry, plan: Plan) -> None:
    """Raises when the stream is not what it was when the run began."""
    if entry["target"] and not account.status("target", entry["target"], label_of(plan)):
        raise StateError(
            f"the run wrote {entry['target']}; the manifest now names {label_of(plan)}",
            code="replay.wrong_target",
            hint="name the target again that the run wrote, or begin a new run",
        )
    if entry["strategy"] and not account.status("strategy", entry["strategy"], plan.strategy):
        raise StateError(
            f"the run was one of {entry['strategy']}; the manifest now says {plan.strategy}",
            code="replay.other_strategy",
            hint="name the strategy again that was run, or begin a new run",
        )
    if entry["plan_digest"] and not account.status("plan", entry["plan_digest"], plan.digest):
        raise changed(plan.pipeline)


def changed(stream: str) -> StateError:
    return StateError(
        f"manifest or source of {stream} changed since the run: its plan is another one",
        code="replay.manifest_changed",
        hint="undo the change, or begin a new run",
    )


def refuse_moved(account: Account, entry: Entry, stored: Stored | None, own: Sequence[str]) -> None:
    """Raises when the stored position is neither that of before the run nor one that the run itself left."""
    expected = entry.get("expected")
    if expected is None:
        return  # the lease was never taken: nothing was read from any position
    was = _spelled(expected["generation"], expected["load_id"])
    now = _spelled(stored.generation, stored.load_id) if stored else _spelled(0, None)
    if stored is not None and stored.load_id in own:
        account.status("stored load is of this run", "yes", "yes")
        return
    if not account.status("position", was, now):
        raise StateError(
            f"the position moved since the run: it was {was}, and is {now}",
            code="replay.position_moved",
            hint="another run did the work meanwhile; `dpone run` goes on from there",
        )


def _spelled(generation: int, load_id: str | None) -> str:
    return f"generation {generation} of load {load_id}" if load_id is not None else "nothing"


def refuse_unkept(account: Account, entry: Entry, kept: Mapping[str, KeptStage], committed: Sequence[str]) -> None:
    """Raises when the record claims a sealed stage that the sink does not have."""
    for load_id in entry.get("kept", ()):
        if load_id in committed:
            continue
        if not account.status(f"{load_id}: stage", "sealed", "sealed" if load_id in kept else "not sealed"):
            raise StateError(
                f"the record says that the stage of {load_id} is sealed, and the sink has no sealed stage of it",
                code="replay.unsealed_stage",
                hint="it was swept, or lost with its server; `dpone run` reads again",
            )


def refuse_other_note(account: Account, record: Record, entry: Entry, plan: Plan, kept: KeptStage) -> None:
    """Raises when what the sink noted beside the stage is not what the record says of it."""
    note = read_note(kept)
    claims = _claims(record, entry, plan, note)
    found = {
        "run": note.run_id,
        "plan": note.plan_digest,
        "strategy": note.strategy,
        "target": note.target,
        "position": _spelled(note.expected.generation, note.expected.load_id) if note.expected else _spelled(0, None),
        "rows": str(note.staged.received),
    }
    for what, claim in claims.items():
        if not account.status(f"{kept.load_id}: {what} in the ledger", claim, found[what]):
            raise StateError(
                f"{what} of {kept.load_id} is {found[what]} in the ledger of the sink, and {claim} in the record",
                code="replay.record_mismatch",
                hint="the record is not that of this sink; `dpone run` begins again from the stored position",
            )


def _claims(record: Record, entry: Entry, plan: Plan, note: Note) -> dict[str, str]:
    claims = {
        "run": str(record["run_id"]),
        "plan": plan.digest,
        "strategy": plan.strategy,
        "target": label_of(plan),
    }
    expected = entry.get("expected")
    if expected is not None and not entry.get("loads"):  # once a chunk is committed, later ones began from there
        claims["position"] = _spelled(expected["generation"], expected["load_id"])
    if (staged := entry.get("staged", {}).get(note.load_id)) is not None:
        claims["rows"] = str(staged["received"])
    return claims
