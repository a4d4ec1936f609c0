"""What dpone knows of a target: layout, positions, ledger, lease, in a compacted topic of one partition beside it.

Keys and values are JSON; a value that is null forgets its key. Everything that belongs to a load is written in the
load's own transaction, so that it is there when, and only when, the load's messages are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field

from dpone.books import read_stored, shape_of, stored_json
from dpone.connector import Commit, Json, Layout, Stored
from dpone.errors import PlanError, StateError, UsageError
from dpone.names import too_long
from dpone_kafka.layouts import layout_json, layout_of

if TYPE_CHECKING:
    from dpone_kafka.client import Client

STATE, INDEX = "_dpone_state.", "_dpone_index."
LONGEST = 249 - max(len(STATE), len(INDEX))
VERSION = 1
_LEGAL = re.compile(r"[A-Za-z0-9._-]+")
COMPACTED = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}

Entry = tuple[list[str], Json]


class Kept(Struct, frozen=True):
    """The state of one target as its topic holds it now."""

    layout: Layout | None = None
    formats: Mapping[str, str] = field(default_factory=dict)  # of keys and values, where they are known
    partitions: int | None = None  # among which the first load spread its keys
    rows: int = 0
    epoch: int = 0  # of the last load that took the place of everything before it
    stored: Mapping[str, Stored] = field(default_factory=dict)
    loads: frozenset[str] = frozenset()
    appended: frozenset[str] = frozenset()
    chunks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    records: Mapping[str, Json] = field(default_factory=dict)  # by load id, in the order of their commits
    lease: Json = None


def refuse_name(topic: str) -> None:
    """Raises when the names of the topics beside this one would have to be cut."""
    if not _LEGAL.fullmatch(topic) or topic in {".", ".."}:
        raise UsageError(
            f"Kafka has no topic of the name {topic!r}",
            code="plan.invalid_identifier",
            hint="a name holds letters, digits, '.', '_' and '-'",
        )
    if len(topic) > LONGEST:
        raise too_long("Kafka, with what dpone keeps beside a topic,", topic, len(topic), LONGEST)


def known_layout(client: Client, topic: str) -> Layout | None:
    """The columns that dpone wrote to this topic; None when it wrote nothing there."""
    if len(topic) > LONGEST or client.partitions(STATE + topic) is None:
        return None
    return load(client, topic).layout


def load(client: Client, topic: str) -> Kept:
    """The state of the target; what no topic holds is empty."""
    if client.partitions(STATE + topic) is None:
        return Kept()
    entries: dict[tuple[str, ...], Json] = {}
    for message in client.read_all(STATE + topic):
        key = tuple(json.loads(message.key() or b"null"))
        value = json.loads(message.value() or b"null")
        entries.pop(key, None)  # so that entries stand in the order in which they came
        if value is not None:
            entries[key] = value
    return _kept(topic, entries)


def stands(client: Client, topic: str, kept: Kept) -> bool:
    """Whether the topic can hold the rows that the state knows.

    Each of them was a message in it, and offsets only grow: where they are smaller, somebody has removed the topic, and
    perhaps made another one of its name.
    """
    count = client.partitions(topic)
    if count is None:
        return False
    return not kept.rows or sum(client.ends(topic, range(count)).values()) >= kept.rows


def _kept(topic: str, entries: Mapping[tuple[str, ...], Json]) -> Kept:
    target = entries.get(("target",)) or {}
    shape_of(
        STATE + topic,
        str(target.get("version", VERSION)),
        VERSION,
        package="dpone-connectors-kafka",
        hint="load into another topic: dpone keeps a state topic of its own beside each",
    )
    chunks: dict[str, set[str]] = {}
    for kind, *rest in entries:
        if kind == "chunk":
            chunks.setdefault(rest[0], set()).add(rest[1])
    return Kept(
        layout=layout_of(target["layout"]) if "layout" in target else None,
        formats=target.get("formats", {}),
        partitions=target.get("partitions"),
        rows=target.get("rows", 0),
        epoch=target.get("epoch", 0),
        stored={key[1]: read_stored(value) for key, value in entries.items() if key[0] == "stored"},
        loads=frozenset(key[1] for key in entries if key[0] == "load"),
        appended=frozenset(key[1] for key in entries if key[0] in {"load", "append"}),
        chunks={plan: frozenset(ids) for plan, ids in chunks.items()},
        records={key[1]: value["record"] for key, value in entries.items() if key[0] == "load" and value["record"]},
        lease=entries.get(("lease",)),
    )


def formats_of(options: Mapping[str, Json]) -> dict[str, str]:
    """In which formats a manifest wants keys and values to be."""
    return {name: str(options.get(name) or "json") for name in ("format", "key_format")}


def refuse_other_formats(topic: str, kept: Kept, options: Mapping[str, Json]) -> None:
    """Raises when the topic's messages have other formats: a row would stand in it under two keys, or in two."""
    wanted = formats_of(options)
    if kept.formats and kept.formats != wanted:
        there, asked = (", ".join(f"{name}: {of}" for name, of in each.items()) for each in (kept.formats, wanted))
        raise PlanError(
            f"{topic} was written with {there}, and the manifest asks for {asked}",
            code="sink.other_format",
            hint="load into another topic; or remove this one, and the next full load writes it anew",
        )


def refuse_other_partitions(client: Client, topic: str, kept: Kept) -> None:
    """Raises when the topic has grown: a key's next message would lie beside its last one, and both would count."""
    there = client.partitions(topic)
    if kept.partitions not in {None, there}:
        raise StateError(
            f"the rows of {topic} are spread among {kept.partitions} partitions, and it has {there} now: the next "
            "message of a key would lie in another partition than its last one",
            code="sink.other_partitions",
            hint="load into another topic; or remove this one, and the next full load writes it anew",
        )


def target_entry(
    layout: Layout, options: Mapping[str, Json], *, rows: int, epoch: int, partitions: int | None
) -> Entry:
    said = {"version": VERSION, "layout": layout_json(layout), "formats": formats_of(options)}
    return ["target"], {**said, "partitions": partitions, "rows": rows, "epoch": epoch}


def commit_entries(pipeline: str, commit: Commit, kept: Kept, appended: frozenset[str]) -> Iterator[Entry]:
    """What a load leaves in the state beside its rows."""
    yield ["stored", pipeline], stored_json(commit.new)
    yield ["load", commit.new.load_id], {"run": commit.run_id, "record": dict(commit.record) or None}
    for load_id in sorted(appended - {commit.new.load_id}):
        yield ["append", load_id], {}
    if commit.chunk is not None:
        plan = commit.chunk.plan
        if commit.chunk.last:
            for known in sorted(kept.chunks.get(plan, ())):
                yield ["chunk", plan, known], None
        else:
            yield ["chunk", plan, commit.chunk.id], {}
