"""What the Apache Kafka is told: one node on loopback that decides fast, since its only users are tests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dpone.testing.services.ports import LOOPBACK
from dpone_kafka.doors import MECHANISMS, Doors

_QUICK = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",  # 10 s by default
    "log.flush.start.offset.checkpoint.interval.ms": "200",  # 60 s by default
    "log.cleaner.backoff.ms": "200",  # 15 s by default
    "log.retention.check.interval.ms": "500",  # 5 min by default
    "log.initial.task.delay.ms": "500",  # 30 s by default
    "log.segment.delete.delay.ms": "100",
    "log.cleaner.dedupe.buffer.size": str(8 << 20),
    "log.index.size.max.bytes": str(1 << 20),  # 10 MB are set aside for each of two indexes of each partition
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
}


_PROTOCOLS = {"broker": "PLAINTEXT", "sasl": "SASL_PLAINTEXT", "tls": "SSL", "sasl_tls": "SASL_SSL"}


def write(path: Path, data: Path, ports: Mapping[str, int], controller: int, doors: Doors) -> None:
    """The file is there, readable for us alone: it holds the users' passwords."""
    listeners = {_PROTOCOLS[name]: port for name, port in ports.items()}
    found = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": ",".join(
            [f"CONTROLLER://{LOOPBACK}:{controller}", *(f"{name}://{LOOPBACK}:{p}" for name, p in listeners.items())]
        ),
        "advertised.listeners": ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items()),
        "listener.security.protocol.map": ",".join(
            ["CONTROLLER:PLAINTEXT", *(f"{name}:{name}" for name in _PROTOCOLS.values())]
        ),
        "log.dirs": str(data),
        **_QUICK,
        **_secured(doors),
    }
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.writelines(f"{name}={value}\n" for name, value in found.items())


def _secured(doors: Doors) -> dict[str, str]:
    found: dict[str, str] = {}
    if doors.users:
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        plain += "".join(f' user_{name}="{secret.reveal()}"' for name, secret in doors.users.items()) + ";"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        found["sasl.enabled.mechanisms"] = ",".join(MECHANISMS)
        for listener in ("sasl_plaintext", "sasl_ssl"):
            for mechanism in MECHANISMS:
                key = f"listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config"
                found[key] = plain if mechanism == "PLAIN" else scram
    if doors.identity is not None:
        found |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(doors.identity.server),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(doors.identity.authority),
            "listener.name.ssl.ssl.client.auth": "required",
            "listener.name.sasl_ssl.ssl.client.auth": "none",
        }
    return found
