"""What a replay does, as the events of its loads tell it, and what was asked of it: the facts of its evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence

from msgspec import Struct, field

from dpone import events
from dpone.connector import Staged
from dpone.oracle import Counts
from dpone.plan import plain, print_op
from dpone.replay.evidence import ORDER, Effect, Name, Operation, RowCountCheck, StatusCheck


class LoadAccount(Struct):
    """One load on its way."""

    load_id: str
    statements: tuple[str, ...] = ()
    staged: Staged | None = None
    adopted: bool = False
    checks: list[str] = field(default_factory=list)
    changes: tuple[str, ...] = ()
    done: list[events.OpApplied] = field(default_factory=list)
    reached: list[Name] = field(default_factory=list)
    reconciled: events.Reconciled | None = None
    committed: events.StateCommitted | None = None

    @property
    def counts(self) -> Counts:
        return sum((d.counts for d in self.done), Counts())


class Account(Struct):
    """The loads of one stream in their order; `stream` is its name."""

    stream: str
    loads: dict[str, LoadAccount] = field(default_factory=dict)
    row_count_checks: list[RowCountCheck] = field(default_factory=list)
    status_checks: list[StatusCheck] = field(default_factory=list)
    failed: bool = False

    def expect(self, load_id: str, statements: Sequence[str] = ()) -> None:
        """This load comes next."""
        self.loads[load_id] = LoadAccount(load_id, tuple(statements))

    def status(self, name: str, expected: object, actual: object) -> bool:
        """Whether what was expected was found; noted either way."""
        wanted, found = str(expected), str(actual)
        self.status_checks.append(
            StatusCheck(stream=self.stream, name=name, expected=wanted, actual=found, passed=wanted == found)
        )
        return wanted == found

    def rows(self, name: str, expected: int, actual: int) -> bool:
        """Whether as many rows were found as were expected; noted either way."""
        self.row_count_checks.append(
            RowCountCheck(stream=self.stream, name=name, expected=expected, actual=actual, passed=expected == actual)
        )
        return expected == actual

    def __call__(self, event: events.Event) -> None:
        """One more event of the stream. Publications come one after another, each told as a whole."""
        if not self.loads:
            return
        match event:
            case events.StageSealed(staged=staged, load_id=load_id) if load_id in self.loads:
                self.loads[load_id].staged = staged
            case events.StageAdopted(staged=staged, load_id=load_id) if load_id in self.loads:
                self.loads[load_id].staged = staged
                self.loads[load_id].adopted = True
            case events.CheckPassed(name=name, found=found):
                self._current.checks.append(f"{name}: {found}")
            case events.StageValidated(load_id=load_id) if load_id in self.loads:
                self.loads[load_id].reached.append("validate_staging")
            case events.LayoutEnsured(changes=changes):
                load = self._current
                load.changes = tuple(json.dumps(plain(c), ensure_ascii=False, sort_keys=True) for c in changes)
            case events.OpApplied():
                self._current.done.append(event)
                if "finalise" not in self._current.reached:
                    self._current.reached.append("finalise")
            case events.Reconciled(rows_before=before, rows_after=after):
                load = self._current
                load.reached.append("reconcile")
                load.reconciled = event
                self.rows(f"{load.load_id}: rows after", before + load.counts.inserted - load.counts.deleted, after)
            case events.StateCommitted():
                load = self._current
                load.reached.append("commit_state")
                load.committed = event
            case _:
                pass

    @property
    def _current(self) -> LoadAccount:
        """The first load that was not published."""
        waiting = [
            load for load in self.loads.values() if load.reconciled is None or "commit_state" not in load.reached
        ]
        return waiting[0] if waiting else next(reversed(self.loads.values()))

    def rehearsed(self) -> None:
        """The load that was told of last was taken back; the next one is told of from here on."""
        load = self._current
        load.reached.append("commit_state")
        load.committed = None

    # ------------------------------------------------------------------ evidence

    def operations(self) -> list[Operation]:
        return [operation for load in self.loads.values() for operation in self._operations(load)]

    def _operations(self, load: LoadAccount) -> list[Operation]:
        found = []
        may_fail = self.failed and load is self._current
        for name in ORDER:
            if load.committed is not None:
                status = "done"
            elif name in load.reached and name != "commit_state":
                status = "rehearsed"
            elif may_fail:
                status, may_fail = "failed", False
            else:
                status = "planned"
            found.append(
                Operation.model_validate(
                    {
                        "stream": self.stream,
                        "load_id": load.load_id,
                        "name": name,
                        "status": status,
                        "detail": self._detail(load, name),
                        "statements": load.statements if name == "finalise" else (),
                    }
                )
            )
        return found

    def _detail(self, load: LoadAccount, name: Name) -> str:
        match name:
            case "validate_staging" if load.staged is not None:
                how = "adopted as it was sealed" if load.adopted else "read from the source"
                held = f"{load.staged.live} rows, {load.staged.dead} dead keys"
                return "; ".join([f"{held}, {how}", *load.checks])
            case "finalise" if load.done:
                done = (
                    f"{print_op(d.op)}: {d.counts.inserted} inserted, {d.counts.updated} updated, "
                    f"{d.counts.deleted} deleted"
                    for d in load.done
                )
                return "; ".join([*load.changes, *done])
            case "reconcile" if load.reconciled is not None:
                r = load.reconciled
                return f"{r.level}: {r.rows_before} rows before, {r.rows_after} after"
            case "commit_state" if load.committed is not None:
                return f"generation {load.committed.generation}"
            case _:
                return ""

    def effects(self) -> list[Effect]:
        """One line for the stream; what is not known of a load is not known of all."""
        loads = list(self.loads.values())
        staged = [load.staged for load in loads]
        published = [load.reconciled for load in loads]
        known = all(r is not None for r in published) and bool(loads)
        total = sum((load.counts for load in loads), Counts())
        first = published[0] if published else None
        before = first.rows_before if first else None
        return [
            Effect(
                stream=self.stream,
                rows_staged=sum(s.live for s in staged if s) if all(staged) and staged else None,
                inserted=total.inserted if known else None,
                updated=total.updated if known else None,
                deleted=total.deleted if known else None,
                rows_before=before,
                rows_after=before + total.inserted - total.deleted if known and before is not None else None,
            )
        ]
