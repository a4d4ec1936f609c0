"""The checks on a small table: read while it is empty, filled, given a column, and emptied again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from dpone.connector import AddColumn
from dpone.schema import STRING, Field
from dpone.testing.testkit import Delete, Insert, Mutation, Truncate, Update
from dpone_certify.certification import asked
from dpone_certify.certification.at_volume import at
from dpone_certify.certification.comparing import Comparison
from dpone_certify.certification.running import Running, Step, compared_with, each, load, read_back, time_of
from dpone_certify.certification.seeded import KEY, WIDE, Row
from dpone_certify.certification.source import Source, update
from dpone_certify.postconditions.judge import expected
from dpone_certify.postconditions.options import Options, Refused

_ADDED = Field("added", STRING)


def carry_out_small(source: Source, running: Sequence[Running], told: Step) -> None:
    kit, endpoint = source.served.kit, source.served.endpoint
    kit.seed(endpoint, source.table())
    state: dict[str, bool] = {}
    each(running, "empty_source", told, lambda one: state.update({one.found.case.id: _from_nothing(one, source)}))
    kit.change(endpoint, source.table(), [Insert(source.values(row)) for row in source.before])
    extra: tuple[Field, ...] = ()
    running = [one for one in running if state[one.found.case.id]]
    if AddColumn in kit.alterations:
        filled = [one for one in running if _filled(one, source)]
        kit.alter(endpoint, source.table(), AddColumn(_ADDED))
        extra = (_ADDED,)
        kit.change(endpoint, source.table((), _ADDED), list(_additions(source)))
        each(filled, "added_column", told, lambda one: _added(one, source))
    else:
        for one in running:
            one.found.notes.append(f"{one.found.case.source} cannot add a column, nothing was added")
            if _filled(one, source):
                told(one.found.case, "added_column")
    ids = {row[KEY] for row in source.before}
    gone: list[Mutation] = [Truncate()] if Truncate in kit.mutations else [Delete({KEY: n}) for n in ids]
    if kit.mutations & {Truncate, Delete}:
        kit.change(endpoint, source.table((), *extra), gone)
        for one in running:
            _emptied(one, source, extra)


def _from_nothing(one: Running, source: Source) -> bool:
    strategy = asked.strategy_of(one.strategy, source.volume, first=True, by_cursor=source.by_cursor)

    def look() -> Comparison | str:
        if problem := load(one, one.small, source, strategy):
            return problem
        try:
            rows = source.speller(one.strategy).found(read_back(one.small))
        except LookupError:
            rows = []  # nothing was read, and no table was made for it
        return compared_with(one, "empty_source", source, [], rows)

    return one.found.check("empty_source", look)


def _filled(one: Running, source: Source) -> bool:
    """The small table has its rows; told as part of the check of the added column, which begins here."""
    strategy = asked.strategy_of(one.strategy, source.volume, first=True, by_cursor=source.by_cursor)
    problem = load(one, one.small, source, strategy)
    if problem is None:
        one.small_times.append(time_of(one, lambda: read_back(one.small)))
        return True
    one.found.not_run("added_column", problem)
    return False


def _expected_small(one: Running, source: Source) -> list[Row]:
    options = asked.options_of(
        one.strategy, source.volume, first=True, at=at(one.small_times, 0), by_cursor=source.by_cursor
    )
    return [dict(row) for row in expected(one.strategy, [], source.before, [], options)]


def _additions(source: Source) -> Iterable[Update]:
    return (update(source, row, added=f"new {row[KEY]}") for row in _updated(source))


def _updated(source: Source) -> list[Row]:
    return [row for row in source.after if row[WIDE] == (row[KEY], 1) and int(str(row[KEY])) <= source.volume.row_count]


def _altered(source: Source) -> list[Row]:
    """The small table after the column was added and some rows were given a value of it."""
    new = {row[KEY]: {**row, _ADDED.name: f"new {row[KEY]}"} for row in _updated(source)}
    return [new.get(row[KEY], row) for row in source.before]


def _options_added(one: Running, source: Source) -> Options:
    options = asked.options_of(
        one.strategy, source.volume, first=False, at=at(one.small_times, 1), by_cursor=source.by_cursor
    )
    touched = asked.keys_of(int(str(row[KEY])) for row in _updated(source))
    everywhere = asked.bounds_of(source.volume, first=True) if one.strategy == "backfill" else None
    return replace(options, columns=(*options.columns, _ADDED.name), touched=touched, bounds=everywhere)


def _added(one: Running, source: Source) -> None:
    strategy = asked.strategy_of(one.strategy, source.volume, first=True, by_cursor=source.by_cursor)

    def look() -> Comparison | str:
        if problem := load(one, one.small, source, strategy, _ADDED):
            return problem
        landed = read_back(one.small)
        one.small_times.append(time_of(one, lambda: landed))
        rows = source.speller(one.strategy, _ADDED).found(landed)
        must = expected(
            one.strategy, source.before, _altered(source), _expected_small(one, source), _options_added(one, source)
        )
        return compared_with(one, "added_column", source, must, rows, _ADDED)

    one.found.check("added_column", look)


def _emptied(one: Running, source: Source, extra: tuple[Field, ...]) -> None:
    """A source that lost all its rows: the load is refused, or the target is what the strategy says."""
    strategy = asked.strategy_of(one.strategy, source.volume, first=True, by_cursor=source.by_cursor)
    before = _altered(source) if extra else source.before
    target: Sequence[Mapping[str, object]] = _expected_small(one, source)
    if extra:
        target = expected(one.strategy, source.before, before, target, _options_added(one, source))

    def look() -> Comparison | str:
        options = replace(
            _options_added(one, source),
            at=None,
            since=None,
            truncated=Truncate in source.served.kit.mutations,
            touched=frozenset()
            if Truncate in source.served.kit.mutations
            else asked.keys_of(int(str(row[KEY])) for row in before),
        )
        must: Sequence[Mapping[str, object]]
        try:
            must, code = expected(one.strategy, before, [], target, options), None
        except Refused as refused:
            must, code = target, refused.code
        problem = load(one, one.small, source, strategy, *extra)
        found = one.last.error_code if one.last else None
        if found != code:
            return (
                f"an emptied source had to end with {code or 'a load'}, and ended with {found or 'a load'}: {problem}"
            )
        rows = source.speller(one.strategy, *extra).found(read_back(one.small))
        return compared_with(one, "empty_source", source, must, rows, *extra)

    earlier = next(c for c in one.found.checks if c.name == "empty_source")
    one.found.check("empty_source", look)
    latest = one.found.checks.pop()
    one.found.checks[one.found.checks.index(earlier)] = latest.model_copy(
        update={"duration_seconds": round(earlier.duration_seconds + latest.duration_seconds, 4)}
    )
