"""What a manifest says to reach a store in memory: a name, or a folder that keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from dpone.connector import Config, Dataset, SinkOptions, SourceOptions, Target
from dpone.manifest.options import SourceTable, TargetTable
from dpone.names import parse_name


class MemoryConfig(Config):
    """A store is one per name in a process; with `path` it is kept in that folder, and other processes see it.

    As URLs: `memory://name` and `memory://?path=/folder`.
    """

    url_parts: ClassVar[Mapping[str, str]] = {"name": "host"}

    name: str = "default"
    path: Path | None = None


class MemorySourceOptions(SourceOptions):
    table: SourceTable

    def dataset(self) -> Dataset:
        return Dataset(parse_name(self.table))


class MemorySinkOptions(SinkOptions):
    table: TargetTable

    def target(self) -> Target:
        return Target(parse_name(self.table))
