"""Stages on this machine's disk: a private folder for each, files of Arrow in it, and beside them whose they are."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
from msgspec import Struct

from dpone.process import is_alive, this_process
from dpone_kafka.piles import batches

_OWNER = "owner.json"


def root() -> Path:
    """Where all stages of this account are; made so that nobody else looks into it."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"dpone-kafka-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & 0o077 or (hasattr(os, "getuid") and folder.stat().st_uid != user):
        folder = Path(tempfile.mkdtemp(prefix="dpone-kafka-"))  # somebody else made one of that name
    return folder


def digest_of(brokers: str, topic: str) -> str:
    return hashlib.sha256(f"{brokers}\0{topic}".encode()).hexdigest()[:24]


class Spill(Struct, frozen=True):
    """One stage's folder."""

    path: Path

    @classmethod
    def new(cls, brokers: str, topic: str) -> Spill:
        """A folder that its owner file names before anything else is in it."""
        path = root() / f"{digest_of(brokers, topic)}-{uuid4().hex}"
        path.mkdir(mode=0o700)
        owner = {"process": this_process(), "at": datetime.now(UTC).isoformat(), "topic": topic}
        _private(path / _OWNER, json.dumps(owner).encode())
        return cls(path)

    @property
    def name(self) -> str:
        return self.path.name

    def part(self, split: str) -> Path:
        return self.path / f"{hashlib.sha256(split.encode()).hexdigest()[:24]}.arrow"

    def parts(self) -> list[Path]:
        return sorted(self.path.glob("*.arrow"))

    def table(self, schema: pa.Schema) -> pa.Table:
        """All parts together, mapped and not read: memory holds what is looked at."""
        found = [pa.ipc.open_file(pa.memory_map(str(part))).read_all() for part in self.parts()]
        return pa.concat_tables([schema.empty_table(), *found])

    def rows(self) -> int:
        """How many rows the parts hold."""
        return sum(batch.num_rows for part in self.parts() for batch in batches(part, [0]))

    def drop(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def began(self) -> datetime | None:
        """When a process that has ended made it; None while its process lives."""
        try:
            owner = json.loads((self.path / _OWNER).read_text("utf-8"))
        except (OSError, ValueError):  # killed between two steps; the folder says when
            return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        return None if is_alive(owner["process"]) else datetime.fromisoformat(owner["at"])


def spills(brokers: str | None = None, topic: str | None = None) -> Iterator[Spill]:
    """The stages that are there now: all of them, or those of one target."""
    prefix = "" if brokers is None or topic is None else f"{digest_of(brokers, topic)}-"
    for path in sorted(root().glob(f"{prefix}*")):
        if path.is_dir():
            yield Spill(path)


def _private(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
