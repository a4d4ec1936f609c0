"""The Kafka connector for dpone: its declaration, free of any driver."""

from __future__ import annotations

from dpone.connector import Connector, Profile, SinkSpec, SourceSpec, lazy
from dpone.ops import Append, DeleteAbsent, DeleteKeys, Recreate, ReplaceAll, Upsert
from dpone.strategies import Read
from dpone_kafka.config import KafkaConfig
from dpone_kafka.options import KafkaSink, KafkaSource
from dpone_kafka.typemap import TYPES
from dpone_kafka.wires import ACCEPTS, EMITS

__all__ = ["KafkaConfig", "KafkaSink", "KafkaSource", "connector"]

connector = Connector(
    name="kafka",
    distribution="dpone-connectors-kafka",
    config=KafkaConfig,
    types=TYPES,
    profile=Profile("kafka_live", "brokers and a Schema Registry that were given answer"),
    schemes=("kafka",),
    source=SourceSpec(
        reads=frozenset({Read.SCAN, Read.SINCE}),
        emits=EMITS,
        options=KafkaSource,
        open=lazy("dpone_kafka.source:connect"),
        tokens={Read.SINCE: ({"topic": "orders", "cluster": "5L6g3nShT-eMCtK--X86sw", "offsets": {"0": 7}},)},
        by_cursor=False,  # reading goes on at offsets
        pushes_where=False,  # a broker hands out messages by their offsets, whatever is in them
    ),
    sink=SinkSpec(
        # a topic has neither ranges to exchange nor rows to close
        ops=frozenset({Recreate, ReplaceAll, Append, Upsert, DeleteKeys, DeleteAbsent}),
        accepts=ACCEPTS,
        options=KafkaSink,
        open=lazy("dpone_kafka.sink:connect"),
        atomic="log",
        # a message is the whole value of its key, and the index keeps hashes: what is stored cannot be carried over
        keeps_partial=False,
        stages_travel=False,  # rows wait in files of this machine for their transaction
    ),
)
