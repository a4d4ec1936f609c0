"""Connections: what librdkafka and the registry's client are told, and topics as administrators see them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from msgspec import Struct

from dpone.errors import RemoteError
from dpone.tls import check_files
from dpone_kafka.config import KafkaConfig
from dpone_kafka.faults import LOGIN, MISSING, TLS, UNHEARD, Side, from_kafka, translated

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

T = TypeVar("T")

_MECHANISMS = {
    "plain": "PLAIN",
    "scram_sha_256": "SCRAM-SHA-256",
    "scram_sha_512": "SCRAM-SHA-512",
    "oauth": "OAUTHBEARER",
    "kerberos": "GSSAPI",
}
_QUIET = 20  # milliseconds that a fetch waits when there is nothing, since an end is only said by an empty answer
_FETCH = 2 << 20  # small messages take ten times their bytes in the client
_A_WHILE = 5  # seconds
_AHEAD = 8 << 10  # kilobytes that wait in librdkafka, which would let a long topic fill four times as much
_FIRST_LOOK = 0.5  # seconds; each further one is twice as long


def settings_of(config: KafkaConfig) -> dict[str, Any]:
    """What every client is told; it holds secrets, and is made for a client alone."""
    found: dict[str, Any] = {
        "bootstrap.servers": config.brokers,
        "client.id": config.client_id,
        "socket.timeout.ms": config.request_timeout * 1000,
        "security.protocol": _protocol(config),
        "log_level": 2,  # what matters comes as an error
    }
    if config.tls_mode != "off":
        found["enable.ssl.certificate.verification"] = config.tls_mode == "verify"
        for name, path in (
            ("ssl.ca.location", config.ca_file),
            ("ssl.certificate.location", config.cert_file),
            ("ssl.key.location", config.key_file),
        ):
            if path is not None:
                found[name] = str(path)
        if config.key_password is not None:
            found["ssl.key.password"] = config.key_password.get_secret_value()
    if config.mechanism is not None:
        found["sasl.mechanism"] = _MECHANISMS[config.mechanism]
        found |= _login(config)
    return found


def _protocol(config: KafkaConfig) -> str:
    encrypted = config.tls_mode != "off"
    if config.mechanism is None:
        return "SSL" if encrypted else "PLAINTEXT"
    return "SASL_SSL" if encrypted else "SASL_PLAINTEXT"


def _login(config: KafkaConfig) -> dict[str, Any]:
    password = None if config.password is None else config.password.get_secret_value()
    match config.mechanism:
        case "kerberos":
            return {}
        case "oauth":
            scope = {} if config.oauth_scope is None else {"sasl.oauthbearer.scope": config.oauth_scope}
            return {
                "sasl.oauthbearer.method": "oidc",
                "sasl.oauthbearer.token.endpoint.url": config.oauth_token_url,
                "sasl.oauthbearer.client.id": config.user,
                "sasl.oauthbearer.client.secret": password,
                **scope,
            }
        case _:
            return {"sasl.username": config.user, "sasl.password": password}


class Range(Struct, frozen=True):
    """The messages of one partition from `low` on, before `high`."""

    partition: int
    low: int
    high: int

    @property
    def size(self) -> int:
        return max(0, self.high - self.low)


class Client:
    """The brokers as one end of a run sees them. Every call either answers in time or raises one of dpone's errors."""

    def __init__(self, config: KafkaConfig, side: Side) -> None:
        check_files(config.label, config.ca_file, config.cert_file, config.key_file, config.key_password)
        self.config = config
        self.side = side
        self._settings = {**settings_of(config), "error_cb": self._notice}
        self._refusal: KafkaError | None = None
        self._admin: AdminClient | None = None
        self._registry: SchemaRegistryClient | None = None
        self.patience = float(config.request_timeout)
        self.writers: dict[str, Producer] = {}  # by target, while a lease is held: whoever takes it over fences them

    @property
    def label(self) -> str:
        return self.config.label

    @property
    def admin(self) -> AdminClient:
        if self._admin is None:
            with translated(self.side, self.label):
                self._admin = AdminClient(self._settings)
        return self._admin

    def answer(self, future: Future[T]) -> T:
        """What the brokers answered."""
        with translated(self.side, self.label):
            try:
                return future.result(self.patience)
            except TimeoutError:
                raise self.silent() from None

    def silent(self) -> RemoteError:
        return RemoteError(
            f"{self.label} did not answer within {self.config.request_timeout} s",
            code=f"{self.side}.unreachable",
            hint="check the address, that the brokers run, and whether they expect `tls` or `sasl`; "
            "`request_timeout` says how long to wait",
            retryable=True,
        )

    def _notice(self, error: KafkaError) -> None:
        """Of errors of single connections a refused login is kept: librdkafka tries again for as long as it is let."""
        if error.code() in {*LOGIN, TLS}:
            self._refusal = error

    def _metadata(self, topic: str | None = None) -> Any:
        """What the brokers say of themselves and their topics. A refused login is said at once, not as a silence."""
        until = monotonic() + self.patience
        patience = _FIRST_LOOK
        with translated(self.side, self.label):
            while True:
                left = until - monotonic()
                asked = {} if topic is None else {"topic": topic}
                try:
                    return self.admin.list_topics(**asked, timeout=max(0.1, min(patience, left)))
                except KafkaException as error:
                    self.admin.poll(0)  # what was noticed is told
                    if self._refusal is not None:
                        raise from_kafka(self._refusal, self.side, self.label) from None
                    if error.args[0].code() not in UNHEARD:
                        raise
                if monotonic() >= until:
                    raise self.silent()
                sleep(min(0.05, patience))
                patience *= 2

    # -------------------------------------------------------------------- topics

    def topics(self) -> Mapping[str, int]:
        """All topics that are seen, with the numbers of their partitions."""
        return {name: len(topic.partitions) for name, topic in self._metadata().topics.items()}

    def cluster(self) -> str:
        return str(self._metadata().cluster_id)

    def partitions(self, topic: str) -> int | None:
        """How many partitions the topic has; None when there is no such topic."""
        found = self._metadata(topic).topics[topic]
        if found.error is not None:
            if found.error.code() in MISSING:
                return None
            raise from_kafka(found.error, self.side, self.label)
        return len(found.partitions)

    def make(self, topic: str, partitions: int | None, replication: int | None, config: Mapping[str, str]) -> None:
        """The topic is there; one that was there already stays as it is."""
        if self.partitions(topic) is not None:
            return
        wanted = NewTopic(topic, partitions or -1, replication or -1, config=dict(config))
        (made,) = self.admin.create_topics([wanted]).values()
        self.answer(made)
        self._await(topic)

    def _await(self, topic: str) -> None:
        """Brokers answer for a new topic a moment after they made it."""
        until = monotonic() + self.patience
        while self.partitions(topic) is None:
            if monotonic() > until:
                raise self.silent()
            sleep(0.02)

    def ranges(self, topic: str, partitions: Iterable[int], *, committed: bool = True) -> dict[int, Range]:
        """What each partition holds now: up to the first open transaction, or all of it."""
        at = [TopicPartition(topic, index) for index in partitions]
        isolation = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        lows = self._offsets(at, OffsetSpec.earliest(), isolation)  # type: ignore[no-untyped-call]  # the library's own have no types
        highs = self._offsets(at, OffsetSpec.latest(), isolation)  # type: ignore[no-untyped-call]  # likewise
        return {p.partition: Range(p.partition, lows[p.partition], highs[p.partition]) for p in at}

    def ends(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """Where the next message of each partition goes; what is not committed yet counts."""
        at = [TopicPartition(topic, index) for index in partitions]
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's own have no types
        return self._offsets(at, latest, IsolationLevel.READ_UNCOMMITTED)

    def await_readers(self, topic: str) -> None:
        """Readers of what is committed come to what the topic holds now, or a while has passed.

        Brokers answer a commit a moment before they have marked its end in every partition. Another's transaction that
        is still open may last for longer than anybody waits, and is no concern of ours.
        """
        at = [TopicPartition(topic, index) for index in range(self.partitions(topic) or 0)]
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's own have no types
        ends = self.ends(topic, [partition.partition for partition in at])
        until = monotonic() + min(_A_WHILE, self.patience)
        while monotonic() < until:
            seen = self._offsets(at, latest, IsolationLevel.READ_COMMITTED)
            if all(seen[partition] >= end for partition, end in ends.items()):
                return
            sleep(0.01)

    def offsets_at(self, topic: str, partitions: Iterable[int], timestamp: int) -> dict[int, int]:
        """The first offset of each partition that is not older than the time in milliseconds; -1 where all are."""
        at = [TopicPartition(topic, index) for index in partitions]
        return self._offsets(at, OffsetSpec.for_timestamp(timestamp), IsolationLevel.READ_COMMITTED)

    def _offsets(self, at: Sequence[TopicPartition], spec: OffsetSpec, isolation: IsolationLevel) -> dict[int, int]:
        if not at:
            return {}
        with translated(self.side, self.label):
            futures = self.admin.list_offsets(dict.fromkeys(at, spec), isolation_level=isolation)
        return {partition.partition: int(self.answer(future).offset) for partition, future in futures.items()}

    # ------------------------------------------------------------------- clients

    def consumer(self, *, group: str | None = None, **settings: Any) -> Consumer:
        """A consumer that is assigned its partitions and commits nothing by itself."""
        with translated(self.side, self.label):
            return Consumer(
                {
                    **self._settings,
                    "group.id": group or f"{self.config.client_id}-reader",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "error",
                    "isolation.level": "read_committed",
                    "fetch.wait.max.ms": _QUIET,
                    "fetch.message.max.bytes": _FETCH,
                    "queued.max.messages.kbytes": _AHEAD,
                    "fetch.queue.backoff.ms": _QUIET,  # a second by default, each time that those bytes wait
                    "receive.message.max.bytes": max(100_000_000, self.config.message_bytes * 2 + 512),
                    **settings,
                }
            )

    def producer(self, **settings: Any) -> Producer:
        """A producer whose messages are there once and in order, acknowledged by all replicas."""
        with translated(self.side, self.label):
            return Producer(
                {
                    **self._settings,
                    "enable.idempotence": True,
                    "acks": "all",
                    "linger.ms": 5,
                    "partitioner": "murmur2_random",  # the Java client's: a key lies where any other producer puts it
                    "message.max.bytes": self.config.message_bytes,
                    "queue.buffering.max.kbytes": 65_536,
                    "delivery.timeout.ms": max(120_000, self.config.request_timeout * 4_000),
                    **settings,
                }
            )

    def read_all(self, topic: str, partition: int = 0) -> list[Message]:
        """The committed messages of a partition to its very end; what is still open must end first."""
        return [message for batch in self.all_of(topic, partition) for message in batch]

    def all_of(self, topic: str, partition: int = 0) -> Iterator[list[Message]]:
        """The same, as they come."""
        until = monotonic() + self.patience
        while True:
            committed = self.ranges(topic, [partition])[partition]
            if committed.high >= self.ranges(topic, [partition], committed=False)[partition].high:
                break
            if monotonic() > until:
                raise self.silent()
            sleep(0.02)
        from dpone_kafka.consuming import messages

        yield from messages(self, topic, committed)

    def registry(self) -> SchemaRegistryClient:
        """The client of the registry, one for this connection."""
        if self._registry is None:
            from dpone_kafka.registry import AnsweringRegistry

            self._registry = AnsweringRegistry(self.config, self.side)
        return self._registry

    def close(self) -> None:
        """Nothing of the connection is open."""
        if self._registry is not None:
            self._registry.close()
            self._registry = None


def plain(value: object) -> str:
    """A key or a value of our own topics: JSON, the same text for the same thing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
