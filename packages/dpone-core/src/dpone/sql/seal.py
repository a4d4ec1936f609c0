"""Sealing as SQL: a raw stage becomes live rows, dead keys and present keys, exactly as `dpone.stage.seal` says.

First `survey_query` finds what the stage holds, then `seal_checks` must find nothing, then `live_query`, `dead_query`
and `present_query` are the sealed stage, to be used as tables, as views or in CREATE TABLE AS. Changes are collapsed by
one window per key. Only when partial rows exist is there a window per column, over the keys that end with one. The
order in which rows arrived plays no part.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals, by the dialect

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from dpone.connector import CHANGE_FIELDS, Staged, StageSpec
from dpone.schema import STRING, Field
from dpone.sql.dialect import Dialect
from dpone.sql.load import KEPT, Ledger, SqlLoad
from dpone.sql.statement import Check
from dpone.stage import Duplicates, OnTruncate, Sealing, duplicate_key, partial_without_base, truncated

SEQ, CHANGE, _ = CHANGE_FIELDS
_RANK, _BASE, _NEWEST, _BEFORE = "_dpone_rank", "_dpone_base", "_dpone_newest", "_dpone_before"


class RawStage(Struct, frozen=True):
    """A table of entries as they came: the content columns and, when `tagged`, CHANGE_FIELDS behind them.

    `seq` is not negative, and no two changes of one key share it.
    """

    table: str
    columns: tuple[Field, ...]
    tagged: bool = False


class Survey(Struct, frozen=True):
    """What a raw stage holds, as far as the rendering depends on it."""

    received: int
    cleared: bool = False
    partial: bool = False


class SealedTables(Struct, frozen=True):
    """What sealing found, and which tables hold what."""

    survey: Survey
    live: str
    dead: str | None = None
    present: str | None = None

    @property
    def tables(self) -> frozenset[str | None]:
        return frozenset((self.live, self.dead, self.present))

    def load(self, spec: StageSpec, target: str, ledger: Ledger | None = None) -> SqlLoad:
        """The stage as the rendering of operations sees it."""
        return SqlLoad(
            target=target,
            live=self.live,
            columns=spec.content,
            key=spec.sealing.key,
            dead=self.dead,
            present=self.present,
            cleared=self.survey.cleared,
            partial=self.survey.partial,
            stamps=spec.layout.stamps,
            ledger=ledger,
        )


def explained(spec: StageSpec, target: str, ledger: Ledger | None = None) -> SqlLoad:
    """A load that nobody has staged, its tables under the names of what they would hold."""
    dead, present = "dead" if spec.sealing.changes else None, "present" if spec.is_tagged else None
    return SealedTables(Survey(0), "live", dead, present).load(spec, target, ledger)


def survey_query(raw: RawStage, how: Sealing, dialect: Dialect) -> str:
    """A query of one row, which `read_survey` reads."""
    if not (raw.tagged and how.changes):
        return f"SELECT COUNT(*), 0, 0 FROM {raw.table} AS r"
    change, kept = (f"r.{dialect.quote(c)}" for c in (CHANGE, KEPT))
    truncates = f"COALESCE(SUM(CASE WHEN {change} = 'T' THEN 1 ELSE 0 END), 0)"
    partial = f"COALESCE(SUM(CASE WHEN {kept} LIKE '%1%' THEN 1 ELSE 0 END), 0)"
    return f"SELECT COUNT(*), {truncates}, {partial} FROM {raw.table} AS r"


def read_survey(answer: Sequence[int]) -> Survey:
    received, truncates, partial = map(int, answer)
    return Survey(received, cleared=truncates > 0, partial=partial > 0)


def is_sealed_as_it_came(raw: RawStage, how: Sealing) -> bool:
    """The raw table is itself the table of live rows, once the checks found nothing."""
    return not raw.tagged and (not how.key or how.duplicates is Duplicates.FAIL)


# ---------------------------------------------------------------------------- checks


def seal_checks(raw: RawStage, how: Sealing, found: Survey, dialect: Dialect) -> tuple[Check, ...]:
    """What must not be in the stage, in the order in which `dpone.stage.seal` refuses it."""
    if how.changes:
        return _change_checks(raw, how, found, dialect)
    if not how.key:
        return ()
    text = _doubled(raw, how, dialect) if how.duplicates is Duplicates.FAIL else _tied(raw, how, dialect)
    return (Check(text, duplicate_key((), how.key)),)


def _change_checks(raw: RawStage, how: Sealing, found: Survey, dialect: Dialect) -> tuple[Check, ...]:
    if found.cleared and how.on_truncate is OnTruncate.STOP:
        text = f"SELECT COUNT(*) FROM {raw.table} AS r WHERE r.{dialect.quote(CHANGE)} = 'T'"
        return (Check(text, truncated()),)
    if not how.key:
        return ()
    keyed = f"{_changes(raw, found, dialect)} AND {_known(how.key, 'r', dialect)}"
    group = f"{_keys(raw, how, 'r', dialect)}, r.{dialect.quote(SEQ)}"
    twice = f"SELECT 1 AS one FROM {raw.table} AS r WHERE {keyed} GROUP BY {group} HAVING COUNT(*) > 1"
    unordered = Check(f"SELECT COUNT(*) FROM ({twice}) AS q", duplicate_key((), how.key))
    return (unordered, _baseless(raw, how, found, keyed, dialect)) if found.partial else (unordered,)


def _baseless(raw: RawStage, how: Sealing, found: Survey, keyed: str, dialect: Dialect) -> Check:
    """Partial rows of which this very window says that there is nothing to lay them over."""
    change, kept, before = (dialect.quote(c) for c in (CHANGE, KEPT, _BEFORE))
    window = f"PARTITION BY {_keys(raw, how, 'r', dialect)} ORDER BY r.{dialect.quote(SEQ)}"
    entries = f"SELECT r.{change}, r.{kept}, LAG(r.{change}) OVER ({window}) AS {before} FROM {raw.table} AS r"
    gone = f"e.{before} = 'D'" + (f" OR e.{before} IS NULL" if found.cleared else "")
    return Check(
        f"SELECT COUNT(*) FROM ({entries} WHERE {keyed}) AS e"
        f" WHERE e.{change} = 'U' AND e.{kept} LIKE '%1%' AND ({gone})",
        partial_without_base(()),
    )


def _doubled(raw: RawStage, how: Sealing, dialect: Dialect) -> str:
    condition = f"{_rows(raw, dialect)} AND {_known(how.key, 'r', dialect)}"
    group = _keys(raw, how, "r", dialect)
    twice = f"SELECT 1 AS one FROM {raw.table} AS r WHERE {condition} GROUP BY {group} HAVING COUNT(*) > 1"
    return f"SELECT COUNT(*) FROM ({twice}) AS q"


def _tied(raw: RawStage, how: Sealing, dialect: Dialect) -> str:
    """Rows that share key and greatest order with the last one, and differ from it; only doubled keys are compared."""
    condition = f"{_rows(raw, dialect)} AND {_known(how.key, 'r', dialect)}"
    copies = dialect.quote("_dpone_copies")
    counted = f"COUNT(*) OVER (PARTITION BY {_keys(raw, how, 'r', dialect)}) AS {copies}"
    doubled = f"SELECT {_list(how.columns, 'r', dialect)}, {counted} FROM {raw.table} AS r WHERE {condition}"
    window = _greatest_first(raw, how, "d", dialect)
    types = {f.name: f.type for f in raw.columns}
    unlike = [
        dialect.differs(column, dialect.first_value(column, window), types.get(name))
        for name, column in ((name, f"d.{dialect.quote(name)}") for name in how.columns if name not in how.key)
    ]
    odd = f"CASE WHEN {' OR '.join(unlike) or '1 = 0'} THEN 1 ELSE 0 END"
    placed = f"SELECT {odd} AS odd, RANK() OVER ({window}) AS place FROM ({doubled}) AS d WHERE d.{copies} > 1"
    return f"SELECT COUNT(*) FROM ({placed}) AS f WHERE f.odd = 1 AND f.place = 1"


# ------------------------------------------------------------------- the sealed stage


def sealed_tables(
    raw: RawStage,
    how: Sealing,
    found: Survey,
    dialect: Dialect,
    make: Callable[[str, tuple[Field, ...], str], tuple[str, int]],
) -> tuple[SealedTables, Staged]:
    """The sealed stage: the raw table itself, or tables that `make` makes of a part's name, its columns and its query,
    and of each of which it says how many rows it has.
    """
    if is_sealed_as_it_came(raw, how):
        return SealedTables(found, raw.table), Staged(found.received, found.received)
    mask = (Field(KEPT, STRING),) if found.partial else ()
    live, rows = make("live", (*raw.columns, *mask), live_query(raw, how, found, dialect))
    key = tuple(f for name in how.key for f in raw.columns if f.name == name)
    dead, present = (
        (None, 0) if query is None else make(part, key, query)
        for part, query in (
            ("dead", dead_query(raw, how, found, dialect)),
            ("present", present_query(raw, how, found, dialect)),
        )
    )
    staged = Staged(found.received, rows, dead[1], present[1], cleared=found.cleared)
    return SealedTables(found, live, dead[0], present[0]), staged


def live_query(raw: RawStage, how: Sealing, found: Survey, dialect: Dialect) -> str:
    """The live rows: the content columns and, when the survey found partial rows, KEPT behind them."""
    if how.changes and how.key:
        return _live_changes(raw, how, found, dialect)
    names = [f.name for f in raw.columns] + ([KEPT] if found.partial else [])
    condition = _after_truncate(raw, found, dialect) if how.changes else _rows(raw, dialect)
    if how.changes:
        condition += f" AND r.{dialect.quote(CHANGE)} = 'U'"
    if not how.key or how.duplicates is Duplicates.FAIL:
        return f"SELECT {_list(names, 'r', dialect)} FROM {raw.table} AS r WHERE {condition}"
    rank = dialect.quote(_RANK)
    ranked = (
        f"SELECT {_list(names, 'r', dialect)}, ROW_NUMBER() OVER ({_greatest_first(raw, how, 'r', dialect)}) AS {rank}"
    )
    return (
        f"SELECT {_list(names, 'e', dialect)} FROM ({ranked} FROM {raw.table} AS r WHERE {condition}) AS e"
        f" WHERE e.{rank} = 1 OR {_null(how.key, 'e', dialect)}"
    )


def dead_query(raw: RawStage, how: Sealing, found: Survey, dialect: Dialect) -> str | None:
    """The dead keys; None for a stage that can hold none."""
    if not (how.changes and how.key):
        return None
    change, rank = dialect.quote(CHANGE), dialect.quote(_RANK)
    return (
        f"SELECT {_list(how.key, 'e', dialect)} FROM ({_ranked(raw, how, found, dialect)}) AS e"
        f" WHERE e.{change} = 'D' AND (e.{rank} = 1 OR {_null(how.key, 'e', dialect)})"
    )


def present_query(raw: RawStage, how: Sealing, found: Survey, dialect: Dialect) -> str | None:
    """The keys that the source says are there; None for a stage that can hold none."""
    if not (raw.tagged and how.key):
        return None
    condition = f"r.{dialect.quote(CHANGE)} = 'P' AND {_after_truncate(raw, found, dialect)}"
    return f"SELECT {_list(how.key, 'r', dialect)} FROM {raw.table} AS r WHERE {condition}"


def _live_changes(raw: RawStage, how: Sealing, found: Survey, dialect: Dialect) -> str:
    names = [f.name for f in raw.columns] + ([KEPT] if found.partial else [])
    change, rank, kept = (dialect.quote(c) for c in (CHANGE, _RANK, KEPT))
    last = f"e.{rank} = 1" + (f" AND COALESCE(e.{kept}, '0') NOT LIKE '%1%'" if found.partial else "")
    whole = (
        f"SELECT {_list(names, 'e', dialect)} FROM ({_ranked(raw, how, found, dialect)}) AS e"
        f" WHERE e.{change} = 'U' AND (({last}) OR {_null(how.key, 'e', dialect)})"
    )
    return f"{whole} UNION ALL {_folded(raw, how, found, dialect)}" if found.partial else whole


def _ranked(raw: RawStage, how: Sealing, found: Survey, dialect: Dialect) -> str:
    """The entries after the last TRUNCATE, the last one of each key ranked first."""
    names = [f.name for f in raw.columns] + [SEQ, CHANGE, KEPT]
    partition = f"PARTITION BY {_keys(raw, how, 'r', dialect)}"
    seq, change, kept = (f"r.{dialect.quote(c)}" for c in (SEQ, CHANGE, KEPT))
    parts = [
        _list(names, "r", dialect),
        f"ROW_NUMBER() OVER ({partition} ORDER BY {seq} DESC) AS {dialect.quote(_RANK)}",
    ]
    if found.partial:
        resets = f"CASE WHEN {change} = 'D' OR COALESCE({kept}, '0') NOT LIKE '%1%' THEN {seq} END"
        parts += [
            f"MAX({resets}) OVER ({partition}) AS {dialect.quote(_BASE)}",
            f"MAX({seq}) OVER ({partition}) AS {dialect.quote(_NEWEST)}",
        ]
    return f"SELECT {', '.join(parts)} FROM {raw.table} AS r WHERE {_changes(raw, found, dialect)}"


def _folded(raw: RawStage, how: Sealing, found: Survey, dialect: Dialect) -> str:
    """Keys whose last entry is partial: each column has the value that was sent last since the last whole row."""
    seq, base, newest, rank = (dialect.quote(c) for c in (SEQ, _BASE, _NEWEST, _RANK))
    partition = f"PARTITION BY {_keys(raw, how, 'e', dialect)}"
    values, flags = [], []
    for position, name in enumerate((f.name for f in raw.columns), start=1):
        column = dialect.quote(name)
        mask = dialect.one_character(f"e.{dialect.quote(KEPT)}", position)
        unsent = f"CASE WHEN COALESCE({mask}, '0') = '1' THEN 1 ELSE 0 END"
        latest = dialect.first_value(f"e.{column}", f"{partition} ORDER BY {unsent}, e.{seq} DESC")
        values.append(f"e.{column}" if name in how.key else f"{latest} AS {column}")
        flags.append(f"CASE WHEN MIN({unsent}) OVER ({partition}) = 1 THEN '1' ELSE '0' END")
    run = (
        f"SELECT {', '.join(values)}, {dialect.concatenate(flags)} AS {dialect.quote(KEPT)}, e.{rank}"
        f" FROM ({_ranked(raw, how, found, dialect)}) AS e WHERE {_known(how.key, 'e', dialect)}"
        f" AND (e.{base} IS NULL OR (e.{seq} >= e.{base} AND e.{base} < e.{newest}))"
    )
    names = [*(f.name for f in raw.columns), KEPT]
    return f"SELECT {_list(names, 'f', dialect)} FROM ({run}) AS f WHERE f.{rank} = 1"


# ------------------------------------------------------------------------------ parts


def _rows(raw: RawStage, dialect: Dialect) -> str:
    """Of a scan: the entries that are rows, not keys said to be present."""
    return f"r.{dialect.quote(CHANGE)} = 'U'" if raw.tagged else "1 = 1"


def _changes(raw: RawStage, found: Survey, dialect: Dialect) -> str:
    return f"r.{dialect.quote(CHANGE)} IN ('U', 'D') AND {_after_truncate(raw, found, dialect)}"


def _after_truncate(raw: RawStage, found: Survey, dialect: Dialect) -> str:
    if not found.cleared:
        return "1 = 1"
    seq, change = dialect.quote(SEQ), dialect.quote(CHANGE)
    return f"r.{seq} > (SELECT MAX(z.{seq}) FROM {raw.table} AS z WHERE z.{change} = 'T')"


def _greatest_first(raw: RawStage, how: Sealing, alias: str, dialect: Dialect) -> str:
    """A window that puts the row with the greatest order first; without an order, all rows of a key are peers."""
    types = {f.name: f.type for f in raw.columns}
    order = [dialect.greatest_first(f"{alias}.{dialect.quote(c)}", types.get(c)) for c in how.order]
    key = _keys(raw, how, alias, dialect)
    return f"PARTITION BY {key} ORDER BY {', '.join(order) or key}"


def _keys(raw: RawStage, how: Sealing, alias: str, dialect: Dialect) -> str:
    """The key as the terms by which rows are put together."""
    types = {f.name: f.type for f in raw.columns}
    return ", ".join(dialect.grouped(f"{alias}.{dialect.quote(c)}", types.get(c)) for c in how.key)


def _list(columns: Sequence[str], alias: str, dialect: Dialect) -> str:
    return ", ".join(f"{alias}.{dialect.quote(c)}" for c in columns)


def _known(key: Sequence[str], alias: str, dialect: Dialect) -> str:
    return " AND ".join(f"{alias}.{dialect.quote(c)} IS NOT NULL" for c in key)


def _null(key: Sequence[str], alias: str, dialect: Dialect) -> str:
    return f"({' OR '.join(f'{alias}.{dialect.quote(c)} IS NULL' for c in key)})"
