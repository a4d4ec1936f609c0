"""Every text that is rendered anywhere, in a golden file that makes any change of it a reviewed diff.

`python test_sql_statements.py` writes the file anew. Each text stands there for three dialects: the default, SQLite's,
and one that says which type each method was told that an engine may override.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from dpone.connector import Dataset
from dpone.ops import (
    Absent,
    Append,
    DeleteAbsent,
    DeleteKeys,
    Domain,
    Flag,
    Grain,
    Hard,
    Ignore,
    Op,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
)
from dpone.probes import Beyond, Greatest, Least, Measure, Nulls, Outside, Rows, Total
from dpone.probes import Duplicates as Doubled
from dpone.schema import (
    BINARY,
    BOOL,
    DATE,
    FLOAT64,
    INT16,
    INT64,
    STRING,
    Field,
    Kind,
    Schema,
    Type,
    decimal,
    string,
    timestamp,
    timestamptz,
)
from dpone.schema import UUID as UUID_TYPE
from dpone.schema import time as time_type
from dpone.segments import HASHES, Extent, Form, Span, Spelled
from dpone.sql.dialect import Dialect
from dpone.sql.load import Ledger, SqlLoad
from dpone.sql.operations import render
from dpone.sql.probe import render_probe
from dpone.sql.questions import checks, domain_query, guard_query, partial_rows
from dpone.sql.seal import RawStage, Survey, dead_query, live_query, present_query, seal_checks, survey_query
from dpone.sql.segments import SegmentQueries
from dpone.sql.sqlite import SqliteDialect
from dpone.sql.statement import Check
from dpone.stage import Duplicates, OnTruncate, Sealing
from dpone.where import Compare, Condition

GOLDEN = Path(__file__).with_name("statements.txt")


class Told(Dialect):
    """What an engine is told that overrides each method to which a type is given."""

    name = "told"
    orders_nan = True

    def literal(self, value: object, as_type: Type | None = None) -> str:
        plain = super().literal(value, as_type)
        return plain if as_type is None else f"{plain}::[{as_type}]"

    def special(self, spelled: str, as_type: Type) -> str:
        return f"special({spelled}, [{as_type}])"

    def instant(self, value: datetime, as_type: Type | None) -> str:
        return f"instant({value:%H:%M}, [{as_type}])"

    def wall_clock(self, value: datetime, as_type: Type | None) -> str:
        return f"clock({value:%H:%M}, [{as_type}])"

    def equals(self, left: str, right: str, of: Type | None = None) -> str:
        return f"equal({left}, {right}, [{of}])"

    def differs(self, left: str, right: str, of: Type | None = None) -> str:
        return f"differ({left}, {right}, [{of}])"

    def grouped(self, expression: str, of: Type | None) -> str:
        return f"grouped({expression}, [{of}])"

    def is_nan(self, expression: str, of: Type | None) -> str | None:
        return f"nan({expression}, [{of}])"

    def total(self, expression: str, of: Type) -> str:
        return f"total({expression}, [{of}])"


DIALECTS = {"default": Dialect(), "sqlite": SqliteDialect(), "told": Told()}

# ------------------------------------------------------------------------------ the loads

AT = datetime(2024, 1, 1, 12, tzinfo=UTC)
COLUMNS = (
    Field("id", INT64),
    Field("day", DATE),
    Field("v", STRING),
    Field("rate", FLOAT64),
    Field("at", timestamptz()),
)
NAMES = tuple(f.name for f in COLUMNS)
KEY = ("id", "v")
BARE = SqlLoad("T", "L", COLUMNS, KEY)
FULL = replace(
    BARE,
    dead="D",
    present="P",
    stamps={"load": "x", "loaded": AT},
    ledger=Ledger("G", also={"target": "T", "part": 1}),
)
PARTIAL = replace(FULL, cleared=True, partial=True)
WHERE = (Condition("v", Compare.EQ, "a"), Condition("day", Compare.LT, date(2024, 2, 1)))

OPERATIONS: dict[str, tuple[Op, SqlLoad]] = {
    "recreate": (Recreate(), FULL),
    "replace all": (ReplaceAll(), BARE),
    "replace what a filter reads": (ReplaceAll(WHERE), FULL),
    "append": (Append("x"), BARE),
    "append what is new, once per load": (Append("x", KEY), FULL),
    "append once per load": (Append("x"), replace(BARE, ledger=Ledger("G"))),
    "upsert": (Upsert(KEY), BARE),
    "upsert what is not older, with stamps and a flag": (Upsert(KEY, newer="rate", flag="gone"), FULL),
    "upsert partial rows": (Upsert(KEY, newer="at", flag="gone"), PARTIAL),
    "upsert where all columns are the key": (Upsert(KEY), SqlLoad("T", "L", (COLUMNS[0], COLUMNS[2]), KEY)),
    "upsert where stamps alone are exchanged": (
        Upsert(KEY),
        SqlLoad("T", "L", (COLUMNS[0], COLUMNS[2]), KEY, stamps={"load": "x"}),
    ),
    "delete keys of a stage that holds none": (DeleteKeys(KEY), BARE),
    "delete dead keys": (DeleteKeys(KEY, Hard()), FULL),
    "delete after a truncate": (DeleteKeys(KEY, Flag("gone", AT)), PARTIAL),
    "ignore dead keys": (DeleteKeys(KEY, Ignore()), FULL),
    "delete absent keys": (DeleteAbsent(KEY), BARE),
    "flag absent keys of what a filter reads": (DeleteAbsent(KEY, Flag("gone", AT), within=WHERE), FULL),
    "ignore absent keys": (DeleteAbsent(KEY, Ignore()), FULL),
    "replace slices of a value": (ReplaceSlice("v"), BARE),
    "replace slices of a date": (ReplaceSlice("day", Grain.DAY), BARE),
    "replace months of a date": (ReplaceSlice("day", Grain.MONTH), BARE),
    "replace hours of an instant": (ReplaceSlice("at", Grain.HOUR), BARE),
    "replace a range": (ReplaceSlice("day", bounds=(date(2024, 1, 1), date(2024, 2, 1))), BARE),
    "versions that expire": (Version(KEY, AT, ("day", "rate")), FULL),
    "versions that are kept": (Version(KEY, AT, ("day", "rate"), ("since", "until"), Absent.KEEP), BARE),
    "versions of which nothing is compared": (Version(KEY, AT, ()), BARE),
}


def _operation(op: Op, load: SqlLoad, dialect: Dialect) -> Iterator[str]:
    """What must hold, what a guard asks, and the statements with what they count."""
    yield from _checks(checks(op, load, dialect))
    if (query := guard_query(op, load, dialect)) is not None:
        yield f"guarded: {query}"
    for statement in render(op, load, dialect):
        yield f"{statement.counts.value}: {statement.text}"


def _checks(found: Iterable[Check]) -> Iterator[str]:
    for check in found:
        yield f"refused as {check.error.code}, {check.error.message}: {check.text}"


# ---------------------------------------------------------------------------- the sealing

SCAN, TAGGED = RawStage("R", COLUMNS), RawStage("R", COLUMNS, tagged=True)
CHANGES = Sealing(NAMES, KEY, changes=True)
LAST = Sealing(NAMES, KEY, ("rate", "at"), duplicates=Duplicates.LAST)

SEALINGS: dict[str, tuple[RawStage, Sealing, Survey]] = {
    "a scan without a key": (SCAN, Sealing(NAMES), Survey(9)),
    "a scan": (SCAN, Sealing(NAMES, KEY), Survey(9)),
    "a scan with present keys": (TAGGED, Sealing(NAMES, KEY), Survey(9)),
    "a scan of which the last row counts": (SCAN, LAST, Survey(9)),
    "a scan with present keys of which the last row counts": (TAGGED, LAST, Survey(9)),
    "a scan of which any of equal rows counts": (SCAN, replace(LAST, order=()), Survey(9)),
    "a scan of a key alone": (SCAN, replace(LAST, columns=KEY), Survey(9)),
    "changes without a key": (TAGGED, replace(CHANGES, key=()), Survey(9)),
    "changes without a key, partial, after a truncate": (
        TAGGED,
        replace(CHANGES, key=()),
        Survey(9, cleared=True, partial=True),
    ),
    "changes": (TAGGED, CHANGES, Survey(9)),
    "changes after a truncate": (TAGGED, CHANGES, Survey(9, cleared=True)),
    "changes that a truncate stops": (TAGGED, replace(CHANGES, on_truncate=OnTruncate.STOP), Survey(9, cleared=True)),
    "partial changes": (TAGGED, CHANGES, Survey(9, partial=True)),
    "partial changes after a truncate": (TAGGED, CHANGES, Survey(9, cleared=True, partial=True)),
}


def _sealing(raw: RawStage, how: Sealing, found: Survey, dialect: Dialect) -> Iterator[str]:
    yield f"survey: {survey_query(raw, how, dialect)}"
    yield from _checks(seal_checks(raw, how, found, dialect))
    yield f"live: {live_query(raw, how, found, dialect)}"
    for part, query in (("dead", dead_query), ("present", present_query)):
        if (text := query(raw, how, found, dialect)) is not None:
            yield f"{part}: {text}"


# -------------------------------------------------------------------------- the questions

DOMAINS: dict[str, tuple[Domain, SqlLoad]] = {
    "of no demand": (Domain(), BARE),
    "of keys, a filter and bounds": (Domain(KEY, WHERE, ("day", date(2024, 1, 1), date(2024, 2, 1))), FULL),
}


def _domain(bound: Domain, load: SqlLoad, dialect: Dialect) -> Iterator[str]:
    yield domain_query(bound, load, dialect)


MEASURES: tuple[Measure, ...] = (
    Rows(),
    Rows(WHERE),
    Nulls("v"),
    Doubled(("v",)),
    Doubled(KEY),
    Outside("day", (date(2024, 1, 1), None)),
    Outside("v", ()),
    Beyond("day", date(2024, 1, 1), date(2024, 2, 1)),
    Least("day"),
    Greatest("day"),
    Total("id"),
)
CONDITIONS = (
    *(Condition("rate", op, 1.5) for op in (Compare.EQ, Compare.NE, Compare.LT, Compare.LE, Compare.GT, Compare.GE)),
    *(Condition("v", op, values) for op in (Compare.IN, Compare.NOT_IN) for values in (("a", None, "b"), (None,))),
    *(Condition("v", op, None) for op in (Compare.IS_NULL, Compare.NOT_NULL, Compare.EQ, Compare.NE)),
)


class Spells:
    """Each form by its name."""

    def text(self, expression: str, field: Field, form: Form) -> str | None:
        return f"{form.value}({expression}, [{field.type}])" if form is not Form.OWN else None

    def measured(self, text: str) -> str:
        return f"measured({text})"

    def joined(self, texts: Sequence[str]) -> str:
        return f"joined({', '.join(texts)})"

    def hashed(self, text: str) -> str:
        return f"hashed({text})"

    def divided(self, number: str, step: int) -> str:
        return f"divided({number}, {step})"

    def hashed_alike(self, columns: Sequence[tuple[str, Field, Spelled]]) -> str:
        return f"alike({', '.join(f'{text} {of.type} {how.form.value}' for text, of, how in columns)})"

    def summed(self, number: str) -> str:
        return f"summed({number})"


SPELLED = tuple(map(Spelled, ("id", "v", "rate", "day"), (Form.NUMBER, Form.TEXT, Form.FLOAT, Form.OWN)))
SCHEMA = Schema((replace(COLUMNS[0], nullable=False), *COLUMNS[1:]), KEY)


def _segments(dialect: Dialect) -> Iterator[str]:
    spelled = Extent(Dataset(("r",)), SPELLED[:3], KEY, WHERE, "id")
    asked = SegmentQueries(dialect, Spells(), spelled, SCHEMA, "R AS t")
    everything = [Span(None, None)]
    ranges = [Span(0, 10), Span(10, 20)]
    hashes = [Span(0, 10, HASHES // 16 * n, HASHES // 16 * (n + 1)) for n in (3, 7)]
    yield f"shape: {asked.shape()}"
    yield f"checksums of all: {asked.checksums(everything, HASHES, hashed=True, own=False)}"
    yield f"checksums of ranges: {asked.checksums(ranges, 10, hashed=False, own=True)}"
    yield f"checksums of hashes: {asked.checksums(hashes, HASHES // 16, hashed=True, own=False)}"
    yield f"rows of ranges: {asked.rows(ranges)}"
    unbounded = replace(asked, extent=replace(spelled, columns=SPELLED, where=(), axis=None))
    yield f"shape without filter and axis: {unbounded.shape()}"
    yield f"rows without filter, a column without text: {unbounded.rows(everything)}"
    yield f"shape of a key that may be NULL: {replace(asked, schema=Schema(COLUMNS)).shape()}"
    yield f"shape of a key that is never NULL: {replace(asked, extent=replace(spelled, key=('id',))).shape()}"


# ------------------------------------------------------------------------- the definitions

TYPES: dict[str, Type] = {
    "bool": BOOL,
    "int8": Type(Kind.INT, 8),
    "int16": INT16,
    "int32": Type(Kind.INT, 32),
    "int64": INT64,
    "int128": Type(Kind.INT, 128),
    "uint32": Type(Kind.UINT, 32),
    "uint64": Type(Kind.UINT, 64),
    "decimal": decimal(9, 2),
    "unbounded": decimal(),
    "float": FLOAT64,
    "text": STRING,
    "short": string(5),
    "bytes": BINARY,
    "date": DATE,
    "time": time_type(),
    "clock": timestamp(),
    "instant": timestamptz(),
    "uuid": UUID_TYPE,
}


def _definitions(dialect: Dialect) -> Iterator[str]:
    fields = [Field(name, of, nullable=name not in KEY) for name, of in {"id": INT64, "v": STRING, **TYPES}.items()]
    native = Field("own", STRING, native=f"{dialect.name}:OWN(1)")
    other = Field("other", STRING, native="elsewhere:OTHER")
    yield dialect.create_table(dialect.table(("s", 't"1')), [*fields, native, other], KEY)
    yield dialect.create_table("T", fields[:1])
    yield dialect.create_as("T", "SELECT 1")
    for of in (Field("c", decimal(9, 2), nullable=False), native):
        yield dialect.add_column("T", of)
        yield dialect.widen_column("T", of)
        yield dialect.relax_column("T", of)
    yield dialect.rename("T", 'u"1')
    yield dialect.drop("T")


def _pieces(dialect: Dialect) -> Iterator[str]:
    """The parts of statements that have a spelling of their own."""
    types = {f.name: f.type for f in COLUMNS}
    for condition in CONDITIONS:
        yield f"{condition}: {dialect.condition('t.c', condition, types[condition.column])}"
    for grain in Grain:
        for name, of in (("date", DATE), ("clock", timestamp()), ("instant", timestamptz())):
            if (grain, of) != (Grain.HOUR, DATE):
                yield f"{grain.value} of {name}: {dialect.truncate('t.c', grain, of)}"
    for name in ("id", "rate"):
        yield f"greatest {name} first: {dialect.greatest_first('t.c', types[name])}"
        yield f"{name} not older: {dialect.not_older('s.c', 't.c', types[name])}"
    for value in (Decimal("Infinity"), Decimal("-Infinity"), Decimal("NaN"), float("inf"), float("-inf"), float("nan")):
        yield f"{value!r}: {dialect.literal(value)}; as a decimal: {dialect.literal(value, decimal(9, 2))}"
    for moment, of in ((AT, timestamptz(3)), (AT.replace(tzinfo=None), timestamp(3))):
        yield f"{moment.isoformat()}: {dialect.literal(moment)}; by its type: {dialect.literal(moment, of)}"
    yield f"total of decimals: {dialect.total('t.c', decimal(30, 4))}"
    yield f"total of decimals of no size: {dialect.total('t.c', decimal())}"
    yield f"total of integers: {dialect.total('t.c', INT64)}"


# ------------------------------------------------------------------------- the golden file

CASES: dict[str, Callable[[Dialect], Iterable[str]]] = {
    **{f"operation: {name}": partial(_operation, op, load) for name, (op, load) in OPERATIONS.items()},
    **{f"sealing: {name}": partial(_sealing, raw, how, found) for name, (raw, how, found) in SEALINGS.items()},
    **{f"domain: {name}": partial(_domain, bound, load) for name, (bound, load) in DOMAINS.items()},
    "partial rows": lambda d: [partial_rows(PARTIAL, d)],
    "probe": lambda d: [render_probe((measure,), "T", COLUMNS, d) for measure in MEASURES],
    "probe of several measures": lambda d: [render_probe(MEASURES[:3], "T", COLUMNS, d)],
    "segments": _segments,
    "definitions": _definitions,
    "pieces": _pieces,
}


def _section(name: str) -> str:
    """The case as the file shows it: the texts of the default, then those of the others."""
    default, *_ = texts = [list(CASES[name](dialect)) for dialect in DIALECTS.values()]
    lines = [f"## {name}"]
    for which, found in zip(DIALECTS, texts, strict=True):
        same = found is not default and found == default
        lines.append(f"{which}: as the default" if same else f"{which}:")
        for text in () if same else found:
            lines += textwrap.wrap(
                text,
                118,
                initial_indent="  ",
                subsequent_indent="      ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(lines)


def _golden() -> dict[str, str]:
    sections = GOLDEN.read_text(encoding="utf-8").strip().split("\n\n")
    return {section.splitlines()[0].removeprefix("## "): section for section in sections}


@pytest.mark.parametrize("name", CASES)
def test_the_texts_are_those_of_the_golden_file(name: str) -> None:
    assert _section(name) == _golden()[name]


def test_the_golden_file_holds_no_other_texts() -> None:
    assert list(_golden()) == list(CASES)


if __name__ == "__main__":
    sys.exit(GOLDEN.write_text("\n\n".join(map(_section, CASES)) + "\n", encoding="utf-8") * 0)
