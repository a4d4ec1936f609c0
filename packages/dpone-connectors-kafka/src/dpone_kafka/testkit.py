"""How tests drive Kafka: topics are made and filled by librdkafka alone, and read by kafka-python, which shares nothing
with it.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from threading import local
from time import sleep
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.batch import ARROW
from dpone.connector import Connector, Dataset, Json, Target
from dpone.schema import Field, Kind, Type, parse_type
from dpone.testing.losing import losing_answers
from dpone.testing.memory.samples import SAMPLES
from dpone.testing.memory.wire import pack
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.service import Service
from dpone.testing.testkit import (
    HOSTILE_LABELS,
    Alteration,
    Delete,
    Deviation,
    Identity,
    Insert,
    Mutation,
    Names,
    Native,
    Sample,
    SeedTable,
    Update,
)
from dpone.where import Row
from dpone_kafka import KafkaConfig
from dpone_kafka import connector as declared
from dpone_kafka.control import CONFLUENT, ConfluentControl
from dpone_kafka.loops import LOOPS, KafkaLoops
from dpone_kafka.publication import COMMITTED
from dpone_kafka.spills import spills
from dpone_kafka.state import LONGEST, STATE

if TYPE_CHECKING:
    import pyarrow as pa

GIVEN = "DPONE_CONN_KAFKA_LIVE"  # a URL
_LEGAL = re.compile(r"[A-Za-z0-9._-]+")
_TABLES = Names(
    longest="n" * LONGEST,
    too_long="n" * (LONGEST + 1),
    refused=frozenset(label for label in HOSTILE_LABELS if not _LEGAL.fullmatch(label)),
)
_COLUMNS = Names(longest="n" * 1_000)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"\.([0-9]+)")
_MICROSECONDS = 6
_EXACTLY = json.JSONDecoder(parse_float=Decimal)
_AS_THEY_ARE = frozenset({Kind.BOOL, Kind.INT, Kind.UINT, Kind.STRING, Kind.UUID})  # in JSON and in Python

# The suite deletes a row and then appends, as tables let one do without a word; a topic says that the key is gone.
DEVIATIONS: Sequence[Deviation] = tuple(
    Deviation(
        "test_runs::test_runs_from_the_source[incremental_append]",
        fidelity,
        "a topic says what was deleted, which appending refuses unless it is told to ignore it",
        "docs/reference/errors.md#stage.unexpected_deletes",
        "stage.unexpected_deletes",
    )
    for fidelity in (Fidelity.EMULATED, Fidelity.REAL, Fidelity.VENDOR)
)
_seeded: dict[tuple[int, str], SeedTable] = {}  # by port and label: what no topic says of itself
_services: dict[int, Service] = {}  # by port, so that a crash finds its service
_mine = local()


class KafkaTestkit(Struct, frozen=True):
    connector: Connector[Any] = declared
    deviations: Sequence[Deviation] = field(default_factory=lambda: DEVIATIONS)
    tables: Names = _TABLES
    columns: Names = _COLUMNS
    cursors: frozenset[Kind] = frozenset()
    storable: frozenset[Kind] = field(default_factory=lambda: frozenset(Kind))
    mutations: frozenset[type[Mutation]] = frozenset({Insert, Update, Delete})
    alterations: frozenset[type[Alteration]] = frozenset()
    samples: Sequence[Sample] = field(default_factory=lambda: tuple(map(_without_null, SAMPLES)))
    loops: KafkaLoops = LOOPS
    control: ConfluentControl = CONFLUENT

    # ------------------------------------------------------------------- service

    def providers(self) -> Sequence[Provider]:
        from importlib.util import find_spec

        from dpone_kafka.apache import jars

        found = [Provider.EMULATED] if find_spec("avro") else []
        found += [] if jars.why_unavailable() else [Provider.EMBEDDED]
        if find_spec("docker"):
            from dpone.testing.services.docker import why_unavailable

            found += [] if why_unavailable() else [Provider.DOCKER]
        return (*found, *([Provider.GIVEN] if os.environ.get(GIVEN) else []))

    @contextmanager
    def service(self, provider: Provider) -> Iterator[Endpoint]:
        if provider is Provider.GIVEN:
            yield _given()
            return
        service = _service(provider)
        with service as endpoint:
            _services[endpoint.port] = service
            try:
                yield endpoint
            finally:
                close_readers(endpoint)
                del _services[endpoint.port]

    def identify(self, endpoint: Endpoint) -> Identity:
        admin = _admin(endpoint)
        cluster = admin.list_topics(timeout=20).cluster_id
        genuine = endpoint.provider is not Provider.EMULATED  # embedded it is of Apache's own jars
        product = "Apache Kafka" if genuine else "dpone's own broker"
        version = endpoint.extra.get("version", f"cluster {cluster}")
        return Identity(product, version, genuine, f"had as {endpoint.provider}, cluster {cluster}")

    def connection(self, endpoint: Endpoint) -> Mapping[str, Json]:
        if endpoint.provider is Provider.GIVEN:
            return _given_connection()
        registry = {"registry": f"http://{endpoint.host}:{endpoint.ports['registry']}"}
        return {"brokers": _address(endpoint), **(registry if "registry" in endpoint.ports else {})}

    # -------------------------------------------------------------------- source

    def dataset(self, endpoint: Endpoint, table: SeedTable) -> Dataset:
        columns = {f.name: f.native_of("kafka") or str(f.type) for f in table.schema}
        keyed = {"view": "table", "key_format": "json", "key_columns": list(table.schema.key)}
        view = keyed if table.schema.key else {"view": "log"}
        return Dataset((table.label,), None, {"format": "json", "columns": columns, **view})

    def seed(self, endpoint: Endpoint, table: SeedTable) -> None:
        admin = _admin(endpoint)
        from confluent_kafka.admin import NewTopic

        for gone in admin.delete_topics([table.label]).values():
            with suppress(Exception):
                gone.result(20)
        (made,) = admin.create_topics([NewTopic(table.label, 2, 1, config={"cleanup.policy": "compact"})]).values()
        made.result(20)
        _seeded[endpoint.port, table.label] = table
        _put(endpoint, table, [(_key(table, row, number), _whole(table, row)) for number, row in enumerate(table.rows)])

    def change(self, endpoint: Endpoint, table: SeedTable, mutations: Sequence[Mutation]) -> None:
        changed: dict[bytes, Row | None] = {}
        found: list[tuple[bytes, Row | None]]
        held = cache(lambda: _fold(endpoint, table.label))  # the topic is read once, however much is changed
        messages: list[tuple[bytes, Row | None]] = []
        for mutation in mutations:
            match mutation:
                case Insert(row=row):
                    found = [(_key(table, row, id(mutation)), _whole(table, row))]
                case Update(key=key, values=values):
                    was = _key(table, key, 0)
                    old = changed[was] if was in changed else _EXACTLY.decode(held()[was].decode())
                    now = {**(old or {}), **_encoded(table, values)}
                    moved = json.dumps({name: now[name] for name in table.schema.key}).encode()
                    found = [*([(was, None)] if moved != was else []), (moved, now)]
                case Delete(key=key):
                    found = [(_key(table, key, 0), None)]
                case other:
                    raise NotImplementedError(type(other).__name__)
            changed.update(found)
            messages += found
        _put(endpoint, table, messages)

    def alter(self, endpoint: Endpoint, table: SeedTable, alteration: Alteration) -> None:
        raise NotImplementedError  # a topic has no columns of its own, so no test asks for it

    # ---------------------------------------------------------------------- sink

    def target(self, endpoint: Endpoint, label: str) -> Target:
        return Target((label,), {})

    def rows(self, endpoint: Endpoint, target: Target) -> pa.Table:
        import pyarrow as pa

        (topic,) = target.name
        types = _types(endpoint, topic)
        found = [_EXACTLY.decode(value.decode()) for value in _fold(endpoint, topic).values()]
        fields = [Field(name, of) for name, of in types.items()]
        values = zip(*(map(row.get, types) for row in found), strict=True) if found else ([] for _ in types)
        columns = [_homes(column, of) for column, of in zip(values, types.values(), strict=True)]
        return pa.Table.from_batches([pack(list(zip(*columns, strict=True)), fields, ARROW).data])

    # --------------------------------------------------------------- what goes wrong

    def crash(self, endpoint: Endpoint) -> None:
        service = _services[endpoint.port]
        close_readers(endpoint)  # who would wait for an answer that never comes
        service.kill()
        service.start()

    def lose_commit_answer(self, endpoint: Endpoint) -> AbstractContextManager[None]:
        return losing_answers(endpoint, COMMITTED)

    def remove(self, endpoint: Endpoint, target: Target) -> None:
        admin = _admin(endpoint)
        (topic,) = target.name
        (gone,) = admin.delete_topics([topic]).values()
        gone.result(20)
        while topic in admin.list_topics(timeout=20).topics:  # brokers answer before it is gone everywhere
            sleep(0.02)

    def leftovers(self, endpoint: Endpoint, target: Target) -> Sequence[str]:
        (topic,) = target.name
        return [spill.name for spill in spills(self._config(endpoint).label, topic)]

    def _config(self, endpoint: Endpoint) -> KafkaConfig:
        return KafkaConfig.model_validate(dict(self.connection(endpoint)))


# ------------------------------------------------------------------------- services


def _service(provider: Provider) -> Service:
    if provider is Provider.EMULATED:
        from dpone_kafka.emulator.service import EmulatedKafka

        return EmulatedKafka()
    if provider is Provider.EMBEDDED:
        from dpone_kafka.apache.service import ApacheKafka

        return ApacheKafka()
    from dpone.testing.services.docker import ComposeService, Composition

    ports = {"broker": "DPONE_KAFKA_PORT", "registry": "DPONE_SCHEMA_REGISTRY_PORT"}
    return ComposeService(Composition("kafka", "kafka", ports))


def _given_connection() -> dict[str, Json]:
    from dpone.manifest.connections import from_url

    config = from_url(os.environ[GIVEN], declared).resolve({})
    assert isinstance(config, KafkaConfig)
    given: dict[str, Json] = config.model_dump(exclude_none=True)
    return {k: v.get_secret_value() if hasattr(v, "get_secret_value") else v for k, v in given.items()}


def _given() -> Endpoint:
    host, _, port = str(_given_connection()["brokers"]).partition(",")[0].rpartition(":")
    return Endpoint("kafka", host, {"broker": int(port)}, Provider.GIVEN, Fidelity.VENDOR)


def _address(endpoint: Endpoint) -> str:
    return f"{endpoint.host}:{endpoint.port}"


def _admin(endpoint: Endpoint) -> Any:
    from confluent_kafka.admin import AdminClient

    kept = _mine.__dict__.setdefault("admins", {})
    if (address := _address(endpoint)) not in kept:
        kept[address] = AdminClient({"bootstrap.servers": address, "log_level": 2})
    return kept[address]


# ------------------------------------------------------------------------- writing


def _key(table: SeedTable, row: Row, number: int) -> bytes:
    """The key of a row's message; where rows have none, one that no other row has."""
    names = table.schema.key
    if not names:
        return str(number).encode()
    return json.dumps({name: _said(row[name], table.schema[name].type) for name in names}).encode()


def _encoded(table: SeedTable, row: Row) -> dict[str, Any]:
    return {name: _said(value, table.schema[name].type) for name, value in row.items()}


def _whole(table: SeedTable, row: Row) -> dict[str, Any]:
    return {**dict.fromkeys(table.schema.names), **_encoded(table, row)}


def _put(endpoint: Endpoint, table: SeedTable, pairs: Sequence[tuple[bytes, Row | None]]) -> None:
    from confluent_kafka import Producer

    kept = _mine.__dict__.setdefault("producers", {})
    if (address := _address(endpoint)) not in kept:
        kept[address] = Producer({"bootstrap.servers": address, "log_level": 2, "linger.ms": 0})
    producer = kept[address]
    failed: list[object] = []
    for key, row in pairs:
        value = None if row is None else _spelled(row).encode()
        producer.produce(table.label, value, key, on_delivery=lambda error, _: failed.extend([error] if error else []))
    assert producer.flush(30) == 0
    assert not failed, failed


def message(table: SeedTable, row: Row) -> bytes:
    """The value of a row's message."""
    return _unparsed(_encoded(table, row)).encode()


def _said(value: Any, of: Type) -> Any:
    """A value as it stands in a message of JSON."""
    if isinstance(value, Native):
        value = value.value
    match value:
        case None | bool():
            return value
        case str() if of.kind is Kind.JSON:
            return json.loads(value, parse_float=Decimal)
        case float() if not math.isfinite(value):
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
        case Decimal() if of.kind is Kind.DECIMAL:
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case int() if of.kind in {Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}:
            return _moment(value, of)
        case datetime():
            at = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            return at.isoformat() + ("Z" if value.tzinfo else "")
        case date() | time():
            return value.isoformat()
        case list():
            return [_said(v, of.items[0].type) for v in value]
        case dict() if of.kind is Kind.MAP:
            return {k: _said(v, of.items[1].type) for k, v in value.items()}
        case dict():
            return {f.name: _said(value.get(f.name), f.type) for f in of.items}
        case _:
            return value


def _moment(nanoseconds: int, of: Type) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    at = _EPOCH + timedelta(seconds=seconds)
    if of.kind is Kind.TIME:
        return f"{at:%H:%M:%S}.{rest:09}"
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest:09}" + ("Z" if of.kind is Kind.TIMESTAMPTZ else "")


# ------------------------------------------------------------------------- reading


class _Readers(dict[str, Any]):
    """The readers of one thread, by brokers; they end with it."""

    def __del__(self) -> None:
        for reader in self.values():
            reader.close()


def _reader(endpoint: Endpoint) -> Any:
    import kafka

    kept = _mine.__dict__.setdefault("readers", _Readers())
    if (address := _address(endpoint)) not in kept:
        kept[address] = kafka.KafkaConsumer(
            bootstrap_servers=address,
            isolation_level="read_committed",
            enable_auto_commit=False,
            fetch_max_wait_ms=10,
            max_poll_records=20_000,
            metadata_max_age_ms=1_000,
        )
    return kept[address]


def close_readers(endpoint: Endpoint) -> None:
    """No reader of this thread is open."""
    reader = _mine.__dict__.get("readers", {}).pop(_address(endpoint), None)
    if reader is not None:
        reader.close()


def _fold(endpoint: Endpoint, topic: str) -> dict[bytes, bytes]:
    """The last committed value of each key; a message without a value removes its key."""
    import kafka

    count = len(_admin(endpoint).list_topics(topic, timeout=20).topics[topic].partitions)
    if not count:
        return {}
    reader = _reader(endpoint)
    places = [kafka.TopicPartition(topic, index) for index in range(count)]
    reader.assign(places)
    reader.seek_to_beginning(*places)
    ends = reader.end_offsets(places)
    found: dict[bytes, bytes] = {}
    while any(reader.position(place) < ends[place] for place in places):
        for place, records in reader.poll(timeout_ms=100).items():
            for record in records:
                if record.offset >= ends[place]:
                    break
                found.pop(record.key, None)
                if record.value is not None:
                    found[record.key] = record.value
    return found


def _types(endpoint: Endpoint, topic: str) -> dict[str, Type]:
    """The columns of a target by what was committed of it, or of a topic that a test made."""
    known = {tuple(json.loads(k)): v for k, v in _fold(endpoint, STATE + topic).items()}
    if ("target",) in known:
        layout = json.loads(known["target",])["layout"]
        listed = [*layout["fields"], *(found for _, found in layout["system"])]
        return {name: parse_type(kind) for name, kind, _ in listed}
    seeded = _seeded.get((endpoint.port, topic))
    if seeded is None:
        raise LookupError(topic)
    return {f.name: parse_type(f.native_of("kafka") or str(f.type)) for f in seeded.schema}


def _without_null(sample: Sample) -> Sample:
    """JSON's null stands in a message as a NULL does, so that a topic has no such value."""
    return replace(sample, values=tuple(v for v in sample.values if not (sample.native == "json" and v == "null")))


def _homes(values: Sequence[Any], of: Type) -> list[Any]:
    """A column of them, most of which are missing in a wide table."""
    if of.kind in _AS_THEY_ARE:
        return list(values)
    return [None if value is None else _home(value, of) for value in values]


def _home(value: Any, of: Type) -> Any:
    """A value out of a message of JSON as the suite compares it."""
    if value is None:
        return None
    match of.kind:
        case Kind.DECIMAL:
            return Decimal(value)
        case Kind.FLOAT:
            return float(value)
        case Kind.BINARY:
            return base64.b64decode(value)
        case Kind.JSON:
            return _unparsed(value)
        case Kind.DATE:
            return date.fromisoformat(value)
        case Kind.TIME | Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return _clock(value, of)
        case Kind.LIST:
            return [_home(v, of.items[0].type) for v in value]
        case Kind.MAP:
            pairs = value.items() if isinstance(value, dict) else value
            return {_home(k, of.items[0].type): _home(v, of.items[1].type) for k, v in pairs}
        case Kind.STRUCT:
            return {f.name: _home(value.get(f.name), f.type) for f in of.items}
        case _:
            return value


def _clock(text: str, of: Type) -> Any:
    if (of.size or 0) <= _MICROSECONDS:
        kind = time if of.kind is Kind.TIME else datetime
        return kind.fromisoformat(text)
    whole = f"1970-01-01T{text}" if of.kind is Kind.TIME else text.removesuffix("Z")
    digits = _DIGITS.search(whole)
    at = datetime.fromisoformat(_DIGITS.sub("", whole)).replace(tzinfo=UTC)
    return int((at - _EPOCH).total_seconds()) * 1_000_000_000 + int((digits[1] if digits else "0").ljust(9, "0"))


def _spelled(row: Row) -> str:
    try:
        return json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    except TypeError:  # a number that is to keep its digits
        return _unparsed(row)


def _unparsed(value: Any) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_unparsed(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_unparsed, value)) + "]"
        case Decimal():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False)


testkit = KafkaTestkit()
