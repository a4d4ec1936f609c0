"""Transactions: who may write under a transactional id, what a transaction touched, and how it ends exactly once.

What was decided is written down before the first marker is, so that a broker that is killed in between goes on in the
same direction. An open transaction survives a restart, as it does in Kafka, until its producer ends it, a newer
producer fences it, or its time is over.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from dpone_kafka.emulator.codes import Code
from dpone_kafka.emulator.files import Journal
from dpone_kafka.emulator.store import Store

LONGEST = 900_000  # milliseconds that a transaction may ask to have, as Kafka's own default is


class Transaction(Struct):
    """The one transaction of a transactional id. `decided` is how it ends, or how the last one ended."""

    producer: int
    epoch: int = -1
    timeout: int = 60_000
    is_open: bool = False
    since: float = 0.0
    decided: bool | None = None
    partitions: list[tuple[str, int]] = field(default_factory=list)
    offsets: list[tuple[str, str, int, int, str]] = field(default_factory=list)


class Transactions:
    """The coordinator of all transactional ids."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store = store
        self._journal = Journal(path)
        self._known = {name: _transaction(kept) for name, kept in self._journal.entries.items()}
        for name, transaction in self._known.items():
            if transaction.is_open and transaction.decided is not None:
                self._carry_out(name, transaction)

    def begin(self, name: str, timeout: int) -> tuple[int, int]:
        """A producer of this id: its number and its epoch. Whoever had the id before is fenced, his work undone."""
        transaction = self._known.get(name)
        if transaction is None:
            transaction = self._known[name] = Transaction(self._store.new_producer())
        if transaction.is_open:
            self._end(name, transaction, commit=False)
        transaction.epoch += 1
        transaction.timeout = timeout
        transaction.decided = None
        self._keep(name, transaction)
        return transaction.producer, transaction.epoch

    def find(self, name: str, producer: int, epoch: int) -> tuple[Code, Transaction | None]:
        """The transaction, when it is this producer's."""
        transaction = self._known.get(name)
        if transaction is None or transaction.producer != producer:
            return Code.INVALID_PRODUCER_ID_MAPPING, None
        if transaction.epoch != epoch:
            return Code.INVALID_PRODUCER_EPOCH, None
        return Code.OK, transaction

    def add(self, name: str, transaction: Transaction, partitions: list[tuple[str, int]]) -> None:
        """The transaction is open and will touch these partitions."""
        self._open(transaction)
        transaction.partitions += [p for p in partitions if p not in transaction.partitions]
        self._keep(name, transaction)

    def add_offsets(self, name: str, transaction: Transaction, offsets: list[tuple[str, str, int, int, str]]) -> None:
        self._open(transaction)
        transaction.offsets += offsets
        self._keep(name, transaction)

    def _open(self, transaction: Transaction) -> None:
        if not transaction.is_open:
            transaction.is_open, transaction.since, transaction.decided = True, time.time(), None

    def permission(self, name: str | None, producer: int, epoch: int, is_transactional: bool) -> Code:  # noqa: FBT001 - what the batch says
        """Whether a batch of this producer may be written now."""
        if not is_transactional:
            return Code.OK
        code, transaction = self.find(name or "", producer, epoch)
        if transaction is None:
            return code
        return Code.OK if transaction.is_open else Code.INVALID_TXN_STATE

    def end(self, name: str, transaction: Transaction, *, commit: bool) -> Code:
        """The transaction has ended so; asked again, the answer is whether that is how it ended."""
        if transaction.is_open:
            self._end(name, transaction, commit=commit)
            return Code.OK
        return Code.OK if transaction.decided in {None, commit} else Code.INVALID_TXN_STATE

    def expire(self) -> None:
        """Transactions whose time is over are aborted, and their producers fenced."""
        now = time.time()
        for name, transaction in self._known.items():
            if transaction.is_open and now - transaction.since > transaction.timeout / 1000:
                transaction.epoch += 1
                self._end(name, transaction, commit=False)

    def _end(self, name: str, transaction: Transaction, *, commit: bool) -> None:
        transaction.decided = commit
        self._keep(name, transaction)
        self._carry_out(name, transaction)

    def _carry_out(self, name: str, transaction: Transaction) -> None:
        commit = bool(transaction.decided)
        for topic, index in transaction.partitions:
            if (partition := self._store.partition(topic, index)) is not None:
                partition.end_transaction(transaction.producer, transaction.epoch, commit=commit)
        if commit:
            for group, topic, index, offset, metadata in transaction.offsets:
                self._store.commit_offset(group, topic, index, offset, metadata)
        transaction.is_open = False
        transaction.partitions, transaction.offsets = [], []
        self._keep(name, transaction)
        self._store.wake()

    def _keep(self, name: str, transaction: Transaction) -> None:
        self._journal.put(name, asdict(transaction))


def _transaction(kept: dict[str, Any]) -> Transaction:
    partitions = [(str(topic), int(index)) for topic, index in kept.pop("partitions")]
    offsets = [(str(g), str(t), int(i), int(o), str(m)) for g, t, i, o, m in kept.pop("offsets")]
    return Transaction(**kept, partitions=partitions, offsets=offsets)
