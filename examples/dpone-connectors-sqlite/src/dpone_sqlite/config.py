"""What a manifest says of SQLite: the file, and a table or a query in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from dpone.connector import Config
from dpone.manifest.options import TableSink, TableSource


class SqliteConfig(Config):
    """A database file. As a URL: `sqlite://?path=/data/shop.db`."""

    url_parts: ClassVar[Mapping[str, str]] = {}

    path: Path = Field(description="the database file; a sink makes it where it is not there")
    timeout: int = Field(default=30, ge=1, description="seconds to wait while another process writes")

    @property
    def label(self) -> str:
        """The connection for people."""
        return str(self.path)


class SqliteSource(TableSource):
    """A table or a query."""


class SqliteSink(TableSink):
    """A table."""
