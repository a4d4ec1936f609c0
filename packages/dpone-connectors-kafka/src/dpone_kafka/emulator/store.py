"""What the broker keeps: topics with their configuration and partitions, committed offsets, numbers of producers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from dpone_kafka.emulator.compaction import Compacting, compact, is_due
from dpone_kafka.emulator.files import Files, Journal
from dpone_kafka.emulator.partition import Partition
from dpone_kafka.emulator.rules import DEFAULTS

NODE = 1
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


class Store:
    """Everything of it is in one folder and survives SIGKILL."""

    def __init__(self, root: Path, *, partitions: int = 1, creates_topics: bool = False) -> None:
        self._root = root
        (root / "topics").mkdir(parents=True, exist_ok=True)
        self._files = Files()
        self._meta = Journal(root / "meta.jsonl")
        self.offsets = Journal(root / "offsets.jsonl")  # group, topic and partition -> offset and metadata
        self.partitions_of_new = partitions
        self.creates_topics = creates_topics
        self.topics: dict[str, list[Partition]] = {}
        self._cleaned: dict[Path, int] = {}
        self.written = asyncio.Event()  # set, and exchanged for another one, whenever something was written
        if "cluster" not in self._meta.entries:
            self._meta.put("cluster", uuid4().hex[:22])
        for key, count in list(self._meta.entries.items()):
            if key.startswith("topic "):
                name = key.removeprefix("topic ")
                self.topics[name] = [self._open(name, index) for index in range(count)]

    @property
    def cluster(self) -> str:
        return str(self._meta.entries["cluster"])

    def _open(self, topic: str, index: int) -> Partition:
        folder = self._root / "topics" / topic
        folder.mkdir(exist_ok=True)
        start = self._meta.entries.get(f"start {topic} {index}", 0)
        return Partition(folder / f"{index}.log", self._files, start)

    def wake(self) -> None:
        """Those who wait for records look again."""
        self.written.set()
        self.written = asyncio.Event()

    # -------------------------------------------------------------------- topics

    def partition(self, topic: str, index: int) -> Partition | None:
        found = self.topics.get(topic)
        return found[index] if found is not None and 0 <= index < len(found) else None

    def create(self, topic: str, partitions: int, config: Mapping[str, str | None]) -> None:
        if given := {name: value for name, value in config.items() if value is not None}:
            self._meta.put(f"config {topic}", given)
        self.topics[topic] = []
        self.grow(topic, partitions)

    def grow(self, topic: str, partitions: int) -> None:
        there = self.topics[topic]
        there += [self._open(topic, index) for index in range(len(there), partitions)]
        self._meta.put(f"topic {topic}", partitions)

    def remove(self, topic: str) -> None:
        for partition in self.topics.pop(topic):
            self._cleaned.pop(partition.path, None)
            partition.remove()
        (self._root / "topics" / topic).rmdir()
        for key in (f"topic {topic}", f"config {topic}"):
            self._meta.put(key, None)
        self._meta.forget(lambda key: key.startswith(f"start {topic} "))
        self.offsets.forget(lambda key: key.split("\0")[1] == topic)

    def own_config(self, topic: str) -> dict[str, str]:
        return dict(self._meta.entries.get(f"config {topic}", {}))

    def config(self, topic: str) -> dict[str, str]:
        return {**DEFAULTS, **self.own_config(topic)}

    def configure(self, topic: str, config: Mapping[str, str]) -> None:
        self._meta.put(f"config {topic}", dict(config) or None)

    def delete_before(self, topic: str, index: int, offset: int) -> None:
        """Records before the offset are no longer there for any reader."""
        partition = self.topics[topic][index]
        partition.start = max(partition.start, offset)
        self._meta.put(f"start {topic} {index}", partition.start)

    def clean(self) -> None:
        """Compacted topics that are due are compacted, and of others what is too old is gone."""
        now = time.time()
        for topic, partitions in self.topics.items():
            config = self.config(topic)
            if "delete" in config["cleanup.policy"].split(",") and (kept := int(config["retention.ms"])) >= 0:
                for index, partition in enumerate(partitions):
                    if (young := partition.first_since(int(now * 1000) - kept)) > partition.start:
                        self.delete_before(topic, index, young)
            how = Compacting.of(config)
            if how is None:
                continue
            for partition in partitions:
                if is_due(partition, how, self._cleaned.get(partition.path, 0), now):
                    compact(partition, how, now)
                    self._cleaned[partition.path] = partition.size

    # ------------------------------------------------------------------- numbers

    def new_producer(self) -> int:
        number = int(self._meta.entries.get("producer", 0)) + 1
        self._meta.put("producer", number)
        return number

    def commit_offset(self, group: str, topic: str, index: int, offset: int, metadata: str | None) -> None:
        self.offsets.put(f"{group}\0{topic}\0{index}", [offset, metadata or ""])

    def committed(self, group: str, topic: str, index: int) -> tuple[int, str]:
        offset, metadata = self.offsets.entries.get(f"{group}\0{topic}\0{index}", (-1, ""))
        return int(offset), str(metadata)

    def committed_topics(self, group: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for key in self.offsets.entries:
            of, topic, index = key.split("\0")
            if of == group:
                found.setdefault(topic, []).append(int(index))
        return found

    def groups_with_offsets(self) -> set[str]:
        return {key.split("\0")[0] for key in self.offsets.entries}
