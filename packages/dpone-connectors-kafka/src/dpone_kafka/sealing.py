"""Sealing in memory: what the entries of a stage amount to, as `dpone.stage.seal` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from msgspec.structs import replace

from dpone.connector import CHANGE_FIELDS, StageSpec
from dpone.errors import DataError
from dpone.schema import Schema
from dpone.stage import ChangeKind, Duplicates, OnTruncate, duplicate_key, same, standing, truncated
from dpone_kafka.json_text import json_objects
from dpone_kafka.values import python_rows


class Sealed(Struct, frozen=True):
    """What a stage amounts to. Keys are encoded, one for each row of `live`; none where the load has no key."""

    live: pa.Table
    keys: list[bytes]
    dead: frozenset[bytes]
    present: frozenset[bytes]
    cleared: bool
    null_keys: int  # of dead and present entries


def seal(table: pa.Table, spec: StageSpec, schema: Schema) -> Sealed:
    """The stage that these entries amount to, as `dpone.stage.seal` has it."""
    how = spec.sealing
    if not (how.changes or spec.present):
        keys, whole = encoded(table, schema, how.key)
        live = _last_rows(table, keys, whole, spec, schema) if how.key else table
        kept = keys if live is table else [keys[i] for i in _positions(live)]
        return Sealed(_without_positions(live), kept, frozenset(), frozenset(), cleared=False, null_keys=0)
    return _sealed_changes(table, spec, schema)


_POSITION = "_dpone_position"


def _positions(live: pa.Table) -> list[int]:
    found: Any = live.column(_POSITION).to_pylist()
    return list(found)


def _without_positions(live: pa.Table) -> pa.Table:
    return live.drop_columns([_POSITION]) if _POSITION in live.column_names else live


def encoded(table: pa.Table, schema: Schema, key: tuple[str, ...]) -> tuple[list[bytes], Any]:
    """The keys of rows as messages have them, and which rows have a whole one; nothing where there is no key."""
    if not key:
        return [], None
    columns = [table.column(name).combine_chunks() for name in key]
    whole: Any = pa.array([True] * table.num_rows, pa.bool_())
    for column in columns:
        whole = pc.and_(whole, pc.is_valid(column))
    texts = json_objects(columns, [schema[name] for name in key])
    found: Any = pc.cast(texts, pa.binary()).to_pylist()
    return list(found), whole


def _last_rows(table: pa.Table, keys: list[bytes], whole: Any, spec: StageSpec, schema: Schema) -> pa.Table:
    """One row for each key, as the sealing says; rows with a NULL in it are left for the domain to refuse."""
    if len(set(keys)) == len(keys):
        return table
    groups: dict[bytes, list[int]] = {}
    loose: list[int] = []
    for at, (key, is_whole) in enumerate(zip(keys, whole.to_pylist(), strict=True)):
        groups.setdefault(key, []).append(at) if is_whole else loose.append(at)
    chosen = sorted([*loose, *_last_of_each(table, groups, spec, schema)])
    return taken(table, chosen).append_column(_POSITION, pa.array(chosen, pa.int64()))


def chosen(table: pa.Table, keys: Sequence[bytes], spec: StageSpec, schema: Schema) -> list[int]:
    """One row for each key."""
    groups: dict[bytes, list[int]] = {}
    for at, key in enumerate(keys):
        groups.setdefault(key, []).append(at)
    return _last_of_each(table, groups, spec, schema)


def _last_of_each(table: pa.Table, groups: Mapping[bytes, Sequence[int]], spec: StageSpec, schema: Schema) -> list[int]:
    """The row of each group that stays; an error where none of them may go."""
    how = spec.sealing
    several = next((ats for ats in groups.values() if len(ats) > 1), None)
    if several is not None and how.duplicates is Duplicates.FAIL:
        (row,) = python_rows(taken(table, several[:1]), schema.fields)
        raise duplicate_key(tuple(row[c] for c in how.key), how.key)
    return [ats[0] if len(ats) == 1 else _last_of(table, ats, spec, schema) for ats in groups.values()]


def _last_of(table: pa.Table, ats: Sequence[int], spec: StageSpec, schema: Schema) -> int:
    how = spec.sealing
    rows = python_rows(taken(table, list(ats)), schema.fields)
    ranks = [tuple(standing(row[c]) for c in how.order) for row in rows]
    greatest = max(ranks)
    last, *ties = [n for n, rank in enumerate(ranks) if rank == greatest]
    if any(not same(rows[last], rows[tie], how.columns) for tie in ties):
        raise duplicate_key(tuple(rows[last][c] for c in how.key), how.key)
    return ats[last]


_KINDS = tuple(k.value for k in (ChangeKind.UPSERT, ChangeKind.DELETE, ChangeKind.TRUNCATE, ChangeKind.PRESENT))


def _with_present(columns: pa.Table, kinds: list[str], spec: StageSpec, schema: Schema) -> Sealed:
    """Plain rows, and beside them the keys of all rows that the source has."""
    upsert, _, _, there = _KINDS
    rows = taken(columns, [i for i, kind in enumerate(kinds) if kind == upsert])
    sealed = seal(rows, replace(spec, present=False), schema)
    keys, whole = encoded(columns, schema, spec.sealing.key)
    present = [(key, ok) for key, ok, kind in zip(keys, whole.to_pylist(), kinds, strict=True) if kind == there]
    null_keys = sum(not ok for _, ok in present)
    return replace(sealed, present=frozenset(key for key, _ in present), null_keys=null_keys)


def refuse_partial(kept: Any) -> None:
    """Raises when a change does not say the whole row."""
    partial: Any = pc.match_substring(kept, "1")
    if pc.any(partial).as_py():
        raise DataError(
            "a change keeps columns of a row, and a message is the whole value of its key",
            code="stage.partial_without_base",
            hint="set REPLICA IDENTITY FULL on the source table",
        )


def _sealed_changes(table: pa.Table, spec: StageSpec, schema: Schema) -> Sealed:
    how = spec.sealing
    seq_name, kind_name, kept_name = CHANGE_FIELDS
    refuse_partial(table.column(kept_name))
    columns = table.select(list(spec.columns))
    kinds: Any = table.column(kind_name).to_pylist()
    numbers = [n or 0 for n in table.column(seq_name).to_pylist()]
    upsert, delete, truncate, present_ = _KINDS
    if not how.changes:
        return _with_present(columns, kinds, spec, schema)
    entries = sorted(range(len(kinds)), key=numbers.__getitem__)
    cleared = False
    for at in range(len(entries) - 1, -1, -1):
        if kinds[entries[at]] == truncate:
            if how.on_truncate is OnTruncate.STOP:
                raise truncated()
            entries, cleared = entries[at + 1 :], True
            break
    if not how.key:
        rows = [i for i in entries if kinds[i] == upsert]
        return Sealed(taken(columns, rows), [], frozenset(), frozenset(), cleared=cleared, null_keys=0)
    keys, whole = encoded(columns, schema, how.key)
    is_whole = whole.to_pylist()
    present = [i for i in entries if kinds[i] == present_]
    last: dict[bytes, int] = {}
    loose: list[int] = []
    null_keys = sum(not is_whole[i] for i in present)
    for i in entries:
        if kinds[i] not in {upsert, delete}:
            continue
        if not is_whole[i]:
            if kinds[i] == delete:
                null_keys += 1
            else:
                loose.append(i)
            continue
        key = keys[i]
        if key in last and numbers[last[key]] == numbers[i]:
            raise several_at_once(columns, i, spec, schema)
        last.pop(key, None)
        last[key] = i
    live = [*loose, *(i for i in last.values() if kinds[i] == upsert)]
    dead = frozenset(key for key, i in last.items() if kinds[i] == delete)
    return Sealed(
        taken(columns, live),
        [keys[i] for i in live],
        dead,
        frozenset(keys[i] for i in present),
        cleared=cleared,
        null_keys=null_keys,
    )


def several_at_once(columns: pa.Table, at: int, spec: StageSpec, schema: Schema) -> DataError:
    """Two changes of one key have one number, so that neither of them is the last."""
    (row,) = python_rows(taken(columns, [at]), schema.fields)
    return duplicate_key(tuple(row[c] for c in spec.sealing.key), spec.sealing.key)


def taken(table: pa.Table, rows: Sequence[int]) -> pa.Table:
    """These rows of the table, in this order; there may be none."""
    found: pa.Table = table.take(pa.array(rows, pa.int64()))
    return found
