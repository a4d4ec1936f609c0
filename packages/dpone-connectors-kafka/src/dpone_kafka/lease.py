"""The right to write one target: an entry in its state topic, renewed while its run lives.

A broker has no locks. What keeps two runs apart for certain is the fence: whoever publishes takes the target's
transactional id, which undoes the transaction of any other, and compares the stored state before it writes. The lease
is there so that a second run is refused before it reads for an hour.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from time import time
from typing import TYPE_CHECKING
from uuid import uuid4

from dpone.books import HeldLease, held_elsewhere
from dpone.connector import Json
from dpone.errors import DponeError, StateError
from dpone.process import is_alive, this_process
from dpone_kafka.client import Client, plain
from dpone_kafka.faults import translated
from dpone_kafka.state import COMPACTED, STATE, Kept, load

if TYPE_CHECKING:
    from confluent_kafka import Producer

_RENEWED, _LASTS = 5.0, 30.0  # seconds; the clocks of the machines that write one target may differ by their difference
_held: set[tuple[str, str]] = set()  # brokers and target, in this process
_holding = Lock()


@contextmanager
def leased(client: Client, topic: str, pipeline: str, replication: int | None) -> Iterator[HeldLease]:
    """Within the context nobody else, here or elsewhere, holds this target."""
    place = (client.label, topic)
    with _holding:
        if place in _held:
            raise _taken(topic)
        _held.add(place)
    try:
        _refuse_held(topic, load(client, topic))
        client.make(STATE + topic, 1, replication, COMPACTED)
        kept, owner, client.writers[topic] = _take(client, topic)
        with _renewing(client, topic, owner):
            yield HeldLease(
                kept.stored,
                pipeline,
                lambda load_id: load_id in load(client, topic).loads,
                lambda plan: load(client, topic).chunks.get(plan, frozenset()),
            )
    finally:
        client.writers.pop(topic, None)
        with _holding:
            _held.discard(place)


def transactional_id(topic: str) -> str:
    """The same for every run that writes the target, so that each fences the one before it."""
    return f"dpone.{topic}"


def fence(client: Client, topic: str) -> Producer:
    """A producer that alone may write the target; whatever another one had not finished is undone."""
    producer = client.producer(
        **{
            "transactional.id": transactional_id(topic),
            "transaction.timeout.ms": client.config.transaction_timeout * 1000,
        }
    )
    with translated("sink", client.label):
        producer.init_transactions(client.patience)
    return producer


def refuse_lost(topic: str, kept: Kept) -> None:
    """Raises when somebody else holds the target by now."""
    lease = kept.lease
    if lease is not None and lease["process"] != this_process() and _is_held(lease):
        raise _taken(topic)


def _take(client: Client, topic: str) -> tuple[Kept, str, Producer]:
    """The entry is ours: written in a transaction of the target's own id, so that of two at once one is fenced."""
    producer = fence(client, topic)
    kept = load(client, topic)
    _refuse_held(topic, kept)
    owner = uuid4().hex
    with translated("sink", client.label):
        producer.begin_transaction()
        producer.produce(STATE + topic, plain(_entry(owner)), plain(["lease"]), 0)
        producer.commit_transaction(client.patience)
    return kept, owner, producer


def _entry(owner: str) -> Json:
    return {"owner": owner, "host": socket.gethostname(), "process": this_process(), "until": time() + _LASTS}


@contextmanager
def _renewing(client: Client, topic: str, owner: str) -> Iterator[None]:
    ended = Event()
    # to be written twice does no harm, and librdkafka lets an idempotent producer wait for half a second
    producer = client.producer(**{"linger.ms": 0, "enable.idempotence": False})

    def write(value: Json) -> None:
        producer.produce(STATE + topic, None if value is None else plain(value), plain(["lease"]), 0)
        producer.flush(client.patience)

    def renew() -> None:
        while not ended.wait(_RENEWED):
            try:
                write(_entry(owner))
            except (DponeError, BufferError):
                continue  # the brokers are away; the next time, or the fence, will tell

    renewing = Thread(target=renew, name="dpone-kafka-lease", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        write(None)


def _refuse_held(topic: str, kept: Kept) -> None:
    if kept.lease is not None and _is_held(kept.lease):
        raise _taken(topic)


def _is_held(lease: Json) -> bool:
    if lease["host"] == socket.gethostname():
        # of this process it is an entry whose release was lost: `_held` knows what is really held
        return lease["process"] != this_process() and is_alive(lease["process"])
    return bool(lease["until"] > time())


def _taken(topic: str) -> StateError:
    return held_elsewhere(topic, "wait until it is done; a run that was killed elsewhere holds it for half a minute")
