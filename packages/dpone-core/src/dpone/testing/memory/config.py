"""What a manifest says to reach a store in memory: a name, or a folder that keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from dpone.connector import Config, Dataset, SinkOptions, SourceOptions, Target
from dpone.errors import UsageError
from dpone.names import parse_name


class MemoryConfig(Config):
    """A store is one per name in a process; with `path` it is kept in that folder, and other processes see it."""

    name: str = "default"
    path: Path | None = None

    @classmethod
    def from_url(cls, url: str) -> Self:
        """`memory://name` is a store of this process, `memory:///folder` one that is kept."""
        parts = urlsplit(url)
        if parts.query or parts.fragment or parts.username is not None or (parts.hostname and parts.path.strip("/")):
            raise UsageError(
                f"not the URL of a store in memory: {parts.scheme}://{parts.hostname or ''}{parts.path}",
                code="manifest.invalid_url",
                hint="write memory://name for a store of this process, memory:///folder for one that is kept",
            )
        if parts.path.strip("/"):
            return cls(path=Path(unquote(parts.path)))
        return cls(name=parts.netloc or "default")


class MemorySourceOptions(SourceOptions):
    table: str

    def dataset(self) -> Dataset:
        return Dataset(parse_name(self.table))


class MemorySinkOptions(SinkOptions):
    table: str

    def target(self) -> Target:
        return Target(parse_name(self.table))
