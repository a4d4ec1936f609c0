"""The control of the benchmark: loops of confluent-kafka that stand alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dpone.connector import Target
from dpone.schema import INT64, STRING, Field, Schema
from dpone.testing.plain import JSON_LINES
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone_kafka import plain
from dpone_kafka.control import CONFLUENT

SCHEMA = Schema((Field("id", INT64, nullable=False), Field("note", STRING)), key=("id",))
BROKER = Endpoint("kafka", "127.0.0.1", {"broker": 9092}, Provider.EMULATED, Fidelity.EMULATED)


def test_a_topic_tells_of_no_field_that_it_is_always_there() -> None:
    told = CONFLUENT.tells(SCHEMA)
    assert [field.nullable for field in told] == [True, True]
    assert told.key == ("id",)


def test_messages_are_written_under_the_key_of_the_table() -> None:
    (wire,) = CONFLUENT.takes
    assert wire == JSON_LINES
    arguments, _ = CONFLUENT.writes(BROKER, Target(("orders",)), SCHEMA, wire)
    assert arguments[2:] == ("write", "127.0.0.1:9092", "orders", "id")


def test_the_program_stands_alone() -> None:
    """It imports the text of rows and nothing else of ours, so that what it costs is what its client costs."""
    file = Path(plain.__file__)
    code = f"import runpy, sys; runpy.run_path({str(file)!r}); print(*(m for m in sys.modules if 'dpone' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == ["dpone", "dpone.testing", "dpone.testing.plain"]
