"""What a topic may be told, and what it then asks of the batches that are written to it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

DEFAULTS: Mapping[str, str] = {
    "cleanup.policy": "delete",
    "compression.type": "producer",
    "delete.retention.ms": "86400000",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
    "min.cleanable.dirty.ratio": "0.5",
    "min.insync.replicas": "1",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
    "segment.bytes": "1073741824",
    "segment.ms": "604800000",
}
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_SHARE = re.compile(r"0(\.[0-9]+)?|1(\.0+)?")
_WORDS: Mapping[str, frozenset[str]] = {
    "cleanup.policy": frozenset({"compact", "delete", "compact,delete", "delete,compact"}),
    "compression.type": frozenset({"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"}),
    "message.timestamp.type": frozenset({"CreateTime", "LogAppendTime"}),
}


def refused_settings(config: Mapping[str, str | None]) -> list[str]:
    """The names of settings that no topic has here, or not with such a value."""
    return [name for name, value in config.items() if value is not None and not _is_legal(name, value)]


def _is_legal(name: str, value: str) -> bool:
    if name not in DEFAULTS:
        return False
    if name in _WORDS:
        return value in _WORDS[name]
    return bool((_SHARE if name == "min.cleanable.dirty.ratio" else _NUMBER).fullmatch(value))


class Rules(Struct, frozen=True):
    """What a topic asks of a batch."""

    largest: int
    is_keyed: bool  # what is compacted is kept by its key
    is_stamped: bool  # the broker's own time takes the place of the producer's

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Rules:
        return cls(
            int(config["max.message.bytes"]),
            "compact" in config["cleanup.policy"].split(","),
            config["message.timestamp.type"] == "LogAppendTime",
        )
