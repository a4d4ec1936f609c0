"""What dpone is measured beside, where rows of a table are messages: loops of confluent-kafka alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.batch import PG_TEXT, Format
from dpone.connector import Dataset, Json, Target
from dpone.schema import Schema
from dpone.testing.made import made_rows
from dpone.testing.plain import JSON_LINES
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable
from dpone_kafka.loops import LOOPS, create, send

Command = tuple[Sequence[str], Mapping[str, str]]

PLAIN = Path(__file__).with_name("plain.py")
_CONSUME = "a loop of Consumer.consume"
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")


class ConfluentControl(Struct, frozen=True):
    """The control of Kafka, for the benchmark of dpone-certify: one partition, a message a row."""

    gives: Mapping[Format, str] = field(
        default_factory=lambda: {Format(JSON_LINES): _CONSUME, PG_TEXT: f"{_CONSUME} and json"}
    )
    takes: Mapping[Format, str] = field(
        default_factory=lambda: {Format(JSON_LINES): "a loop of Producer.produce in one transaction"}
    )
    keys: str = ""  # each message has its own

    def tells(self, schema: Schema) -> Schema:
        """No topic says which fields are always there."""
        return Schema(tuple(replace(f, nullable=True) for f in schema), key=schema.key)

    def fill(self, endpoint: Endpoint, table: SeedTable, rows: int) -> Dataset:
        """The topic holds `rows` messages with keys 1 to `rows`."""
        from dpone_kafka.testkit import message

        brokers, key = f"{endpoint.host}:{endpoint.port}", table.schema.key
        self.drop(endpoint, Target((table.label,)))
        create(brokers, table.label)
        made = made_rows(table.schema, rows)
        send(brokers, table.label, ((_key(row, key), message(table, row)) for row in made))
        columns = {f.name: str(f.type) for f in table.schema}
        return Dataset((table.label,), None, {"format": "json", "columns": columns})

    def drop(self, endpoint: Endpoint, target: Target) -> None:
        LOOPS.fresh(endpoint, target)

    def prepare(self, endpoint: Endpoint, target: Target, schema: Schema) -> None:
        """An empty topic."""
        del schema
        self.drop(endpoint, target)
        create(f"{endpoint.host}:{endpoint.port}", target.name[0])

    def sink_options(self, schema: Schema) -> Mapping[str, Json]:
        del schema
        return LOOPS.sink_options()

    def strategy_options(self, schema: Schema) -> Mapping[str, Json]:
        """The key of each message."""
        return {"key": list(schema.key)}

    def reads(self, endpoint: Endpoint, dataset: Dataset, schema: Schema, wire: Format) -> Command:
        del schema
        return _plain("read", endpoint, dataset.name[0], wire)

    def writes(self, endpoint: Endpoint, target: Target, schema: Schema, wire: Format) -> Command:
        del wire
        (key,) = schema.key
        return _plain("write", endpoint, target.name[0], key)

    def finishes(self, endpoint: Endpoint, target: Target, schema: Schema) -> Sequence[Sequence[Command]]:
        """Nothing: a message is there or is not."""
        del endpoint, target, schema
        return []

    def constraints(self, endpoint: Endpoint, target: Target) -> frozenset[str]:
        """None: a topic refuses nothing."""
        del endpoint, target
        return frozenset()

    def rest(self, endpoint: Endpoint) -> None:
        """Nothing: what is acknowledged is the broker's own matter."""


def _key(row: Mapping[str, Any], names: Sequence[str]) -> bytes:
    return json.dumps({name: row[name] for name in names}).encode()


def _plain(verb: str, endpoint: Endpoint, topic: str, word: str) -> Command:
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return (sys.executable, str(PLAIN), verb, f"{endpoint.host}:{endpoint.port}", topic, word), environment


CONFLUENT = ConfluentControl()
