"""What an author wrote for the guides: a Markdown file cut at its headings, each with its YAML blocks and its words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from msgspec import Struct

from dpone import registry
from dpone.connector import Connector
from dpone.errors import EvidenceError

FILE = "guide.md"
_HEADING = re.compile(r"^(#{1,2}) (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"```yaml\n(.*?)```\n?", re.DOTALL)


class Section(Struct, frozen=True):
    """The words under one heading, and the YAML blocks that stood among them."""

    words: str = ""
    blocks: tuple[str, ...] = ()


class Sections(Struct, frozen=True):
    title: str
    by_heading: Mapping[str, Section]

    def __getitem__(self, heading: str) -> Section:
        return self.by_heading.get(heading, Section())


def parse(text: str) -> Sections:
    """The file's title and its sections by heading."""
    pieces = _HEADING.split(text)
    title, found = "", {}
    for hashes, heading, body in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        if hashes == "#":
            title = heading
        else:
            words = _BLOCK.sub("", body).strip()
            found[heading] = Section(words, tuple(block.strip() for block in _BLOCK.findall(body)))
    return Sections(title, found)


def of_connector(connector: Connector[Any]) -> Sections:
    """What the connector's author wrote, from beside its declaration."""
    package = connector.config.__module__.partition(".")[0]
    page = files(package).joinpath(FILE)
    if not page.is_file():
        raise EvidenceError(
            f"{connector.distribution} has no {FILE} beside its declaration",
            code="guide.missing",
            hint=f"write {package}/{FILE}, as docs/how-to/write-a-connector.md shows",
        )
    return parse(page.read_text("utf-8"))


@cache
def title_of(connector: str) -> str:
    """What people call the engine of a connector: SQL Server for mssql."""
    return of_connector(registry.load(connector)).title


def of_strategies() -> Sections:
    """What is said of each strategy, whatever the two ends are."""
    return parse(files("dpone_certify.guides").joinpath("strategies.md").read_text("utf-8"))
