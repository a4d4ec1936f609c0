"""The marker of a target: which load of each pipeline its rows are of, written into the table's own comment.

It is published together with the rows, by the one act that shows them, and so it is the truth about them; the state
tables are a cache of it. What a person wrote into the comment stands before it and stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.connector import Chunk, Commit, Json, Position, Stored
from dpone.strategies import Read

_BEGIN = "dpone marker, do not edit: "
VERSION = 1


class Entry(Struct, frozen=True):
    """The last load of one pipeline: what it stored, its run and chunk, and the ids under which it appended rows."""

    stored: Stored
    run_id: str = ""
    chunk: Chunk | None = None
    appended: tuple[str, ...] = ()


class Marker(Struct, frozen=True):
    """All pipelines whose rows are in the target, and what a person says of the table."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    text: str = ""

    def stored(self, pipeline: str) -> Stored | None:
        entry = self.entries.get(pipeline)
        return None if entry is None else entry.stored

    def after(self, pipeline: str, commit: Commit, appended: tuple[str, ...]) -> Marker:
        """The marker of the target once this commit is published."""
        entry = Entry(commit.new, commit.run_id, commit.chunk, appended)
        return replace(self, entries={**self.entries, pipeline: entry})

    def print(self) -> str:
        """The comment."""
        if not self.entries:
            return self.text
        body = {"version": VERSION, "pipelines": {name: _plain(e) for name, e in self.entries.items()}}
        marked = _BEGIN + json.dumps(body, separators=(",", ":"))  # ASCII alone: whatever a comment may suffer
        return f"{self.text}\n{marked}" if self.text else marked


def read_marker(comment: str) -> Marker:
    """The marker that a comment holds; one without entries where there is none, or none that can be read."""
    text, found, marked = comment.rpartition(_BEGIN)
    if not found:
        return Marker(text=comment)
    text = text.removesuffix("\n")
    try:
        body = json.loads(marked)
        if body["version"] != VERSION:
            return Marker(text=text)
        return Marker({name: _entry(e) for name, e in body["pipelines"].items()}, text)
    except (ValueError, KeyError, TypeError):
        return Marker(text=text)


def _plain(entry: Entry) -> Json:
    stored, chunk = entry.stored, entry.chunk
    position = stored.position
    return {
        "kind": position.kind.value if position else None,
        "token": position.token if position else None,
        "generation": stored.generation,
        "load": stored.load_id,
        "run": entry.run_id,
        "chunk": [chunk.plan, chunk.id, chunk.last] if chunk else None,
        "appended": list(entry.appended),
    }


def _entry(plain: Json) -> Entry:
    position = None if plain["kind"] is None else Position(Read(plain["kind"]), plain["token"])
    chunk = None if plain["chunk"] is None else Chunk(*plain["chunk"])
    stored = Stored(position, plain["generation"], plain["load"])
    return Entry(stored, plain["run"], chunk, tuple(plain["appended"]))
