"""A program as the records of a compacted log, and what is left of a log for who reads it from its beginning.

The rendering here is the certification's own, with nothing of any connector: a key and its latest value, a tombstone
for a key that is gone, records without a key where rows have none. It stands beside the Kafka connector's renderer by
intent, as an independent oracle: the contract is certified where no connector is installed, and what was rendered by
the connector's own rules would approve the connector's own mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from dpone.ops import (
    Append,
    DeleteAbsent,
    DeleteKeys,
    DeletePolicy,
    Flag,
    Hard,
    Ignore,
    Op,
    Program,
    Recreate,
    ReplaceAll,
    Upsert,
)
from dpone.oracle import guard_against
from dpone.stage import Key, Sealed, key_of, same, standing
from dpone.where import Row, matches


class Record(Struct, frozen=True):
    """One message; without a value it is a tombstone."""

    key: Key | None
    value: Row | None


def fold(records: Iterable[Record]) -> list[Row]:
    """The rows that a reader of the whole log ends with: the last value of each key, and all without a key."""
    latest: dict[Key, Row] = {}
    loose: list[Row] = []
    for record in records:
        if record.key is None:
            loose += [record.value] if record.value is not None else []
        elif record.value is None:
            latest.pop(record.key, None)
        else:
            latest[record.key] = record.value
    return [*latest.values(), *loose]


def log_of(rows: Iterable[Row], key: Sequence[str]) -> list[Record]:
    """Rows as the log that holds them."""
    return [Record(key_of(row, key) if key else None, row) for row in rows]


def carried_out(
    program: Program, log: Sequence[Record], stage: Sealed, columns: Sequence[str], key: Sequence[str]
) -> list[Record]:
    """The log with the records of the program behind it; what is already so is not said again."""
    found = list(log)
    for op in program:
        found += _records(op, fold(found), stage, columns, key)
    return found


def _records(
    op: Op, rows: Sequence[Row], stage: Sealed, columns: Sequence[str], key: Sequence[str]
) -> Iterator[Record]:
    live = {key_of(entry.row, key): _landed(entry.row, columns) for entry in stage.live} if key else {}
    match op:
        case Recreate() | ReplaceAll():
            reach = [row for row in rows if isinstance(op, Recreate) or matches(row, op.where)]
            guard_against(op.guard, before=len(reach), after=len(live), removed=max(0, len(reach) - len(live)))
            yield from (Record(k, None) for row in reach if (k := key_of(row, key)) not in live)
            yield from (Record(k, row) for k, row in live.items())
        case Append(unless=unless):
            there = {key_of(row, unless) for row in rows} if unless else set()
            for entry in stage.live:
                if not unless or key_of(entry.row, unless) not in there:
                    yield Record(key_of(entry.row, unless) if unless else None, _landed(entry.row, columns))
        case Upsert():
            stored = {key_of(row, key): row for row in rows}
            for k, row in live.items():
                if _is_news(op, row, stored.get(k), columns):
                    yield Record(k, row)
        case DeleteKeys(how=how):
            dead = set(stage.dead)
            yield from _gone(rows, key, how, lambda k: k in dead or (stage.cleared and k not in live))
        case DeleteAbsent(how=how, guard=guard, within=within):
            there = live.keys() | set(stage.present)
            reach = [row for row in rows if matches(row, within)]
            lost = sum(key_of(row, key) not in there for row in reach)
            guard_against(guard, before=len(reach), after=len(there), removed=lost)
            yield from _gone(reach, key, how, lambda k: k not in there)
        case _:
            raise NotImplementedError(f"a log cannot carry out {type(op).__name__}")


def _gone(
    rows: Iterable[Row], key: Sequence[str], how: DeletePolicy, is_gone: Callable[[Key], bool]
) -> Iterator[Record]:
    for row in rows:
        k = key_of(row, key)
        if not is_gone(k):
            continue
        match how:
            case Hard():
                yield Record(k, None)
            case Flag(column=column, at=at) if row.get(column) is None:
                yield Record(k, {**row, column: at})
            case Flag() | Ignore():
                pass


def _is_news(op: Upsert, row: Row, stored: Row | None, columns: Sequence[str]) -> bool:
    if stored is None:
        return True
    if op.newer is not None and standing(row[op.newer]) < standing(stored[op.newer]):
        return False
    return not same(row, stored, columns) or (op.flag is not None and stored.get(op.flag) is not None)


def _landed(row: Row, columns: Sequence[str]) -> Row:
    return {c: row.get(c) for c in columns}
