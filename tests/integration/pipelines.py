"""One scenario for every pair of ends: orders that change, a manifest for a strategy, and what a stranger then reads.

Both ends are filled and read by their testkits; what landed is judged by the strategy's postcondition, which knows
neither operations nor SQL nor messages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, field
from msgspec.structs import replace

import dpone
from dpone.names import print_name
from dpone.schema import INT64, STRING, Field, Schema, decimal, timestamptz
from dpone.strategies import STRATEGIES as RULES
from dpone.strategies import Read
from dpone.testing.memory.testkit import testkit as memory
from dpone.testing.services.endpoint import Endpoint, Provider
from dpone.testing.testkit import Delete, Insert, SeedTable, Update
from dpone_certify.postconditions.judge import violations
from dpone_certify.postconditions.options import Options

Row = dict[str, Any]
Services = Callable[[str], Endpoint]
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=40)
ORDERS = Schema(
    (
        Field("id", INT64, nullable=False),
        Field("name", STRING),
        Field("amount", decimal(18, 4)),
        Field("updated_at", timestamptz(6), nullable=False),
    ),
    key=("id",),
)


def row(number: int, at: datetime | None = None, amount: str = "1.0001") -> Row:
    name = None if number % 7 == 0 else "" if number % 11 == 0 else f"it's Ω \\N\t{number}"
    moment = NOON + timedelta(hours=number, microseconds=number) if at is None else at
    return {"id": number, "name": name, "amount": Decimal(amount) * number, "updated_at": moment}


BEFORE = [row(n) for n in range(1, 251)]
CHANGED = [row(n, LATER, "2.5") for n in range(11, 31)]
NEW = [row(n, LATER) for n in range(251, 261)]
GONE = range(1, 11)
AFTER = [*[r for r in BEFORE if r["id"] not in {*GONE, *(c["id"] for c in CHANGED)}], *CHANGED, *NEW]
MUTATIONS: list[Update | Delete | Insert] = [
    *(Update({"id": r["id"]}, {"amount": r["amount"], "updated_at": r["updated_at"]}) for r in CHANGED),
    *(Delete({"id": n}) for n in GONE),
    *(Insert(r) for r in NEW),
]
TOUCHED = frozenset((m.key["id"],) for m in MUTATIONS if not isinstance(m, Insert)) | {(r["id"],) for r in NEW}
CONTENT = ORDERS.names
KEYED = ({"key": ["id"]}, Options(CONTENT, ("id",)))
STRATEGIES: Mapping[str, tuple[dict[str, Any], Options]] = {
    "full_refresh": KEYED,
    "incremental_append": ({"key": ["id"]}, Options(CONTENT, ("id",), cursor="updated_at")),
    "incremental_merge": ({"key": ["id"]}, Options(CONTENT, ("id",), cursor="updated_at")),
    "replace": KEYED,
    "partition_replace": (
        {"column": "updated_at", "grain": "day"},
        Options(CONTENT, slice_column="updated_at", grain="day"),
    ),
    "snapshot_diff": KEYED,
    "scd2": KEYED,
    "backfill": (
        {"column": "id", "bounds": {"from": 0, "to": 1000}, "chunk": 100},
        Options(CONTENT, slice_column="id", bounds=(0, 1000)),
    ),
    "xmin": ({"key": ["id"], "reconcile": True}, Options(CONTENT, ("id",), reconcile=True)),
    "cdc": KEYED,
}
# An emptied source is no order to empty the target.
GUARDED = {"full_refresh", "replace", "snapshot_diff", "backfill", "scd2"}
_LAG = timedelta(hours=1)  # of incremental_merge
_NAMED = {"kafka": "topic", "rest": "path"}


def kit_of(name: str) -> Any:
    """The testkit of an end."""
    if name == "memory":
        return memory
    return next(point for point in entry_points(group="dpone.testkits") if point.name == name).load()


@contextmanager
def running(asked: Mapping[str, Provider] | None = None) -> Iterator[Services]:
    """A function that answers the endpoint of an end, started when it is first asked for, as asked or the best way."""
    found: dict[str, Endpoint] = {}
    with ExitStack() as stack:

        def endpoint(name: str) -> Endpoint:
            if name not in found:
                kit = kit_of(name)
                found[name] = stack.enter_context(kit.service((asked or {}).get(name) or kit.providers()[0]))
            return found[name]

        yield endpoint


class Pipeline(Struct, dict=True):
    """One strategy between two ends; the source is seeded with the orders."""

    source: str
    sink: str
    strategy: str
    services: Services
    label: str = ""
    settings: Mapping[str, tuple[dict[str, Any], Options]] = field(default_factory=lambda: STRATEGIES)
    secrets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.source_kit, self.sink_kit = kit_of(self.source), kit_of(self.sink)
        self.read, self.written = self.services(self.source), self.services(self.sink)
        reads = frozenset({Read.SCAN, Read.SINCE, RULES[self.strategy].read})
        self.table = SeedTable(f"orders_{self.strategy}_{self.sink}{self.label}", ORDERS, tuple(BEFORE), reads)
        self.target = self.sink_kit.target(self.written, f"{self.source}_{self.strategy}{self.label}")
        self.source_kit.seed(self.read, self.table)

    @property
    def has_cursor(self) -> bool:
        """A topic has positions of its own."""
        return RULES[self.strategy].read is Read.SINCE and self.source != "kafka" and self.strategy.startswith("incr")

    def manifest(self, **sink: Any) -> dict[str, Any]:
        strategy = {"mode": self.strategy, **self.settings[self.strategy][0]}
        if self.has_cursor:
            strategy["cursor"] = {"column": "updated_at"}
            if self.strategy == "incremental_merge":
                strategy["cursor"]["lag"] = "1h"
        key = "topic" if self.sink == "kafka" else "table"
        to = {"type": self.sink, "connection": "here", key: print_name(self.target.name), **sink}
        return {"version": 1, "name": "orders", "source": self._said(), "sink": to, "strategy": strategy}

    def _said(self) -> dict[str, Any]:
        dataset = self.source_kit.dataset(self.read, self.table)
        key = _NAMED.get(self.source, "table")
        name = dataset.name[0] if self.source in _NAMED else print_name(dataset.name)
        source = {"type": self.source, "connection": "there", key: name, **dataset.options}
        if self.source == "rest" and self.strategy == "backfill":
            source["params"] = {"by": "id"}
            source["since"] = {**source["since"], "column": "id"}
        if self.source == "kafka" and self.strategy == "incremental_append":
            source["tombstones"] = "ignore"
        return source

    def write(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **sink: Any) -> None:
        """The manifest and its connections are in the folder, where we are now; secrets are told apart."""
        monkeypatch.chdir(folder)
        monkeypatch.setenv("DPONE_TESTING", "1")
        (folder / "orders.yaml").write_text(json.dumps(self.manifest(**sink)))
        ends = {
            "there": {"type": self.source, **self.source_kit.connection(self.read)},
            "here": {"type": self.sink, **self.sink_kit.connection(self.written)},
        }
        for name, fields in ends.items():
            for key in {"token", "password"} & fields.keys():
                variable = f"{name}_{key}".upper()
                self.secrets[variable] = fields[key]
                monkeypatch.setenv(variable, fields[key])
                fields[key] = f"${{env:{variable}}}"
        (folder / "connections.yml").write_text(json.dumps(ends, default=str))

    def change(self, *mutations: Any) -> None:
        self.source_kit.change(self.read, self.table, mutations)

    def rows(self) -> list[Row]:
        found: list[Row] = self.sink_kit.rows(self.written, self.target).to_pylist()
        return [{**r, "amount": None if r["amount"] is None else Decimal(str(r["amount"]))} for r in found]

    def asked(self, rows: Sequence[Row], *, first: bool) -> Options:
        """What the load was asked for, given the rows that it left."""
        asked = replace(self.settings[self.strategy][1], first=first)
        if not first:
            greatest = max(r["updated_at"] for r in BEFORE)
            since = {"incremental_append": greatest, "incremental_merge": greatest - _LAG}
            asked = replace(asked, since=since.get(self.strategy), touched=TOUCHED)
        if self.strategy == "incremental_merge" and not self.has_cursor:
            asked = replace(asked, names_deletes=True, cursor=None, since=None)
        if self.strategy == "scd2":
            asked = replace(asked, at=max(r["valid_from"] for r in rows))
        return asked

    def load(self, old: Sequence[Row], new: Sequence[Row], before: Sequence[Row], *, first: bool) -> list[Row]:
        """The rows that the load left, after which its postcondition holds."""
        load()
        after = self.rows()
        assert violations(self.strategy, old, new, before, after, self.asked(after, first=first)) == []
        return after

    def first_and_changed(
        self, then: Callable[[], None] = lambda: None, at_last: Callable[[], None] = lambda: None
    ) -> list[Row]:
        """The orders were loaded, changed and loaded, and loaded again, when nothing had changed: what is there now."""
        one = self.load([], BEFORE, [], first=True)
        then()
        self.change(*MUTATIONS)
        two = self.load(BEFORE, AFTER, one, first=False)
        at_last()
        load()
        assert ordered(self.rows()) == ordered(two)
        return two

    @property
    def is_guarded(self) -> bool:
        return self.strategy in GUARDED or self.settings[self.strategy][1].reconcile

    @property
    def hears_of_deletions(self) -> bool:
        """A log says that rows were deleted, which is not the same as being empty."""
        return self.strategy == "cdc" or (self.source == "kafka" and self.strategy == "incremental_merge")

    def keep_when_emptied(self, landed: Sequence[Row], *mutations: Any) -> None:
        """A source that these mutations empty does not empty the target, unless a log says that its rows are gone."""
        self.change(*mutations)
        report = dpone.run("orders.yaml")
        assert report.succeeded is not self.is_guarded, "an emptied source emptied the target"
        assert ordered(self.rows()) == ([] if self.hears_of_deletions else ordered(landed))

    def assert_no_secret(self, folder: Path) -> None:
        """Nothing that was written here holds a secret."""
        written = " ".join(p.read_text(errors="replace") for p in folder.rglob("*") if p.is_file())
        assert all(secret not in written for secret in self.secrets.values())


def load() -> None:
    """The manifest of this folder was carried out."""
    report = dpone.run("orders.yaml")
    assert report.succeeded, report.streams[0].error


def ordered(rows: Sequence[Row]) -> list[Row]:
    """By key, and by all that they hold: a row that moved to another slice stands in both."""
    return sorted(rows, key=lambda r: (r["id"], repr(sorted(r.items()))))
