"""The checks at full volume: the first load, the second after the change, the same again, and the position."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dpone.strategies import STRATEGIES, Read
from dpone_certify.certification import asked
from dpone_certify.certification.comparing import Comparison, Digests, compare
from dpone_certify.certification.landed import Landed
from dpone_certify.certification.planning import text_of
from dpone_certify.certification.running import Running, Step, compared_with, each, if_so_far, load, read_back, time_of
from dpone_certify.certification.seeded import Row
from dpone_certify.certification.source import Source
from dpone_certify.certification.volume import rows_expected, versions_closed
from dpone_certify.postconditions.judge import expected


def carry_out_whole(source: Source, running: Sequence[Running], told: Step) -> None:
    kit, endpoint = source.served.kit, source.served.endpoint
    kit.seed(endpoint, source.table(source.before))
    each(running, "first_load", told, lambda one: _first(one, source))
    kit.change(endpoint, source.table(), source.changes())
    each(running, "second_load", told, lambda one: _second(one, source))
    each(running, "unchanged_rerun", told, lambda one: _rerun(one, source))
    each(running, "position", told, _position)


def _first(one: Running, source: Source) -> None:
    strategy = asked.strategy_of(one.strategy, source.volume, first=True, by_cursor=source.by_cursor)
    one.found.manifest = text_of(
        {
            "version": 1,
            "name": one.main.label,
            "source": {"type": one.found.case.source, "table": source.label},
            "sink": {"type": one.found.case.sink, "table": list(one.main.target.name)},
            "strategy": strategy,
        }
    )
    speller = source.speller(one.strategy)
    rows: list[Landed] = []

    def look() -> Comparison | str:
        if problem := load(one, one.main, source, strategy):
            return problem
        landed = read_back(one.main)
        rows.extend(speller.found(landed))
        stored = one.main.stored()
        one.stored = stored.position if stored else None
        one.times.append(time_of(one, lambda: landed))
        return compared_with(one, "first_load", source, _expected_first(one, source), rows)

    def wide() -> Comparison | str:
        must = speller.filled(speller.expected(_expected_first(one, source), source.sparse))
        if len(source.columns) != source.volume.wide_columns:
            return f"{len(source.columns)} wide columns, expected {source.volume.wide_columns}"
        if not all(count for _, count in must):
            return "a wide column holds nothing at all"
        return compare("wide_columns", must, speller.filled(rows), Digests(), lambda r: {r[0]: str(r[1])}, [])

    if one.found.check("first_load", look):
        one.found.check("wide_columns", wide)


def _expected_first(one: Running, source: Source) -> list[Row]:
    """Computed once for the case, when the time of its load is known."""
    if "first_load" not in one.wanted:
        one.wanted["first_load"] = _computed_first(one, source)
    return one.wanted["first_load"]


def _computed_first(one: Running, source: Source) -> list[Row]:
    options = asked.options_of(one.strategy, source.volume, first=True, at=at(one.times, 0), by_cursor=source.by_cursor)
    return [dict(row) for row in expected(one.strategy, [], source.before, [], options)]


def _expected_second(one: Running, source: Source) -> list[Row]:
    if "second_load" not in one.wanted:
        one.wanted["second_load"] = _computed_second(one, source)
    return one.wanted["second_load"]


def _computed_second(one: Running, source: Source) -> list[Row]:
    options = asked.options_of(
        one.strategy, source.volume, first=False, at=at(one.times, 1), by_cursor=source.by_cursor
    )
    found = expected(one.strategy, source.before, source.after, _expected_first(one, source), options)
    return [dict(row) for row in found]


def at(times: Sequence[datetime], n: int) -> datetime | None:
    return times[n] if n < len(times) else None


def _second(one: Running, source: Source) -> None:
    strategy = asked.strategy_of(one.strategy, source.volume, first=False, by_cursor=source.by_cursor)

    def look() -> Comparison | str:
        if problem := load(one, one.main, source, strategy):
            return problem
        landed = read_back(one.main)
        one.times.append(time_of(one, lambda: landed))
        rows = source.speller(one.strategy).found(landed)
        compared = compared_with(one, "second_load", source, _expected_second(one, source), rows)
        must = rows_expected(one.strategy, source.volume, by_cursor=source.by_cursor)
        if must is not None and compared.is_same and len(rows) != must:
            return f"{len(rows)} rows, and the volume model says {must}"
        closed = sum(row[-2] is not None for row in rows)
        if one.strategy == "scd2" and compared.is_same and closed != versions_closed(source.volume):
            return f"{closed} versions have ended, and the volume model says {versions_closed(source.volume)}"
        if one.strategy == "xmin" or (one.strategy == "incremental_merge" and source.by_cursor):
            one.found.notes.append(f"{one.strategy} does not see deletes: {source.volume.deleted} rows remain")
        return compared

    if_so_far(one, "second_load", look)


def _rerun(one: Running, source: Source) -> None:
    strategy = asked.strategy_of(one.strategy, source.volume, first=False, by_cursor=source.by_cursor)

    def look() -> Comparison | str:
        if problem := load(one, one.main, source, strategy):
            return problem
        assert one.last is not None
        rows = source.speller(one.strategy).found(read_back(one.main))
        read = STRATEGIES[one.strategy].read
        if read is not Read.SCAN and one.last.rows_live > 0 and one.strategy != "incremental_merge":
            return f"{one.last.rows_live} rows were read again, although nothing had changed"
        return compared_with(one, "unchanged_rerun", source, _expected_second(one, source), rows)

    if_so_far(one, "unchanged_rerun", look)


def _position(one: Running) -> None:
    """What the sink's state holds belongs to the last load that was committed, and has moved with each change."""

    def look() -> str | None:
        stored = one.main.stored()
        if stored is None:
            return "the state holds nothing of this pipeline"
        if stored.load_id not in one.loads:
            return f"the state holds the load {stored.load_id}, which was none of this pipeline's"
        read = STRATEGIES[one.strategy].read
        if read is Read.SCAN:
            return None if stored.position is None else f"a scan has no position, the state holds {stored.position}"
        if stored.position is None or stored.position.kind is not read:
            return f"the state holds {stored.position}, expected a position of {read.value}"
        if one.stored == stored.position:
            return "the position has not moved between two loads"
        return None

    if_so_far(one, "position", look)
