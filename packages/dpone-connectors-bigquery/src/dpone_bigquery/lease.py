"""The right to write one target: a row of one, in a table of the target's own, with a time at which it ends by itself.

The row is in a table of its own since transactions conflict by tables: the load updates it in the very transaction
that shows its rows, so that one whose lease was taken over meanwhile cannot commit. Two things of the holder are in the
row for whoever takes over from one that died: its session, which is aborted with the transaction that may be open in
it, and the id of its publishing job, which is waited for or used up. Nobody waits for a holder that ran on this very
machine and is gone.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic, sleep
from uuid import uuid4

from msgspec import Struct, field

from dpone.books import WAIT
from dpone.errors import DponeError
from dpone.process import is_alive, this_process
from dpone_bigquery.config import BigQueryConfig
from dpone_bigquery.dialect import BIGQUERY
from dpone_bigquery.faults import leased
from dpone_bigquery.naming import Name
from dpone_bigquery.warehouse import Warehouse, connected, job_id

LASTS = 60  # seconds after which the lease of a run that is gone is free
_PAUSE = 0.1
_MADE = (
    "SELECT '' AS token, '' AS holder, '' AS session, '' AS publishing, TIMESTAMP '1970-01-01 00:00:00+00:00' AS until"
)


class Held(Struct):
    """A lease that is held: who we are in its row, and the session in which our transactions run."""

    target: Name
    table: Name
    token: str
    session: str
    # held while a transaction of ours has the row, for which a renewal would wait
    in_transaction: Lock = field(default_factory=Lock)

    @property
    def mine(self) -> str:
        return f"token = {BIGQUERY.text(self.token)}"

    def renewal(self, publishing: str | None = None) -> str:
        """A statement that changes one row as long as the lease is ours."""
        says = "" if publishing is None else f", publishing = {BIGQUERY.text(publishing)}"
        return f"UPDATE {self.table.sql} SET until = {_until()}{says} WHERE {self.mine}"

    def renew(self, warehouse: Warehouse, publishing: str | None = None) -> None:
        """Raises unless the lease is ours, and will be for a while."""
        if warehouse.run(self.renewal(publishing), self.table).affected != 1:
            raise leased(str(self.target))


def _until() -> str:
    return f"TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL {LASTS} SECOND)"


def lease_table(target: Name, digest: str | None = None) -> Name:
    """The table of a target's lease; a sweep knows its digest alone."""
    return target.named(f"_dpone_lease_{digest or target.digest}")


@contextmanager
def locked(
    config: BigQueryConfig, warehouse: Warehouse, target: Name, *, wait: float = WAIT, digest: str | None = None
) -> Iterator[Held]:
    """Nobody else has the lease within the context."""
    held = _take(warehouse, target, lease_table(target, digest), monotonic() + wait)
    ended = Event()
    keeper = Thread(target=_keep, args=(config, held, ended), name="dpone-lease", daemon=True)
    keeper.start()
    try:
        yield held
    finally:
        ended.set()
        keeper.join(timeout=10.0)
        with suppress(DponeError):  # it would end by itself
            _abort(warehouse, held.table, held.session)
            free = f"UPDATE {held.table.sql} SET token = '', publishing = '', session = '' WHERE {held.mine}"
            warehouse.run(free, held.table)


def _take(warehouse: Warehouse, target: Name, table: Name, until: float) -> Held:
    if warehouse.find(table) is None:
        warehouse.run(f"CREATE TABLE IF NOT EXISTS {table.sql} AS {_MADE}", table)
    token = uuid4().hex
    while True:
        seen = _look(warehouse, target, table, until)
        answer = warehouse.run(_taking(table, token, seen), table, opens=True)
        assert answer.session is not None  # one was asked for
        if answer.affected == 1:
            break
        _abort(warehouse, table, answer.session)  # somebody else was faster
    held = Held(target, table, token, answer.session)
    if seen:  # of a holder that died: its publishing job may run still, or arrive yet
        ((publishing,),) = warehouse.run(f"SELECT publishing FROM {table.sql}", table).rows
        if publishing:
            warehouse.burn(publishing, table)
            held.renew(warehouse, publishing="")
    return held


def _taking(table: Name, token: str, seen: str) -> str:
    """Takes a lease that is free, or that of a holder which is known to be gone."""
    return (
        f"UPDATE {table.sql} SET token = {BIGQUERY.text(token)}, holder = {BIGQUERY.text(_this_holder())}, "
        f"session = @@session_id, until = {_until()} WHERE token = {BIGQUERY.text(seen)}"
    )


def _look(warehouse: Warehouse, target: Name, table: Name, until: float) -> str:
    """The token of a holder that is gone, or none; waits for one that lives, and gives up at `until`.

    Looked at before anything is changed: a change would wait for the transaction that a dead holder left open.
    """
    query = f"SELECT token, holder, session, until < CURRENT_TIMESTAMP() FROM {table.sql}"
    while True:
        ((token, holder, session, is_over),) = warehouse.run(query, table).rows
        if not token:
            return ""
        if is_over or _is_gone(holder):
            _abort(warehouse, table, session)
            return str(token)
        if monotonic() > until:
            raise leased(str(target))
        sleep(_PAUSE)


def _abort(warehouse: Warehouse, at: Name, session: str) -> None:
    """The session is gone, and what its transaction did is undone; it may be gone already."""
    with suppress(DponeError):
        warehouse.run(f"CALL BQ.ABORT_SESSION({BIGQUERY.text(session)})", at, id_=job_id("abort", uuid4().hex))


def _keep(config: BigQueryConfig, held: Held, ended: Event) -> None:
    """The lease is renewed until it ends, unless it is lost: the commit finds that out."""
    while not ended.wait(LASTS / 3):
        with suppress(DponeError), held.in_transaction, connected(config) as own:
            held.renew(own)


def _this_holder() -> str:
    return f"{this_process()} {_machine()}"


def _machine() -> str:
    """Where numbers of processes mean the same: one start of one machine, and one space of numbers on it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _is_gone(holder: str) -> bool:
    """The process ran here and runs no more; of other machines nobody knows."""
    process, _, machine = holder.partition(" ")
    return bool(machine) and machine == _machine() and not is_alive(process)
