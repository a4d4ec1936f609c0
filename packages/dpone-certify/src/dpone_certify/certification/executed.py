"""Cases whose two ends are services: seeded, loaded, changed, loaded again, through the real runner and real drivers.

All cases of a group read the same source table, each writes a target of its own. They go through the same steps side
by side, so that the source is filled and changed once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dpone.connector import AddColumn, Position
from dpone.errors import DponeError
from dpone.integration_matrix import Case
from dpone.observe.record import StreamReport
from dpone.schema import STRING, Field
from dpone.strategies import STRATEGIES, Read
from dpone.testing.testkit import Delete, Insert, Mutation, Truncate, Update
from dpone_certify.certification import asked
from dpone_certify.certification.comparing import Comparison, Digests, compare
from dpone_certify.certification.document import CheckName, Ends, Providers, Volume
from dpone_certify.certification.driving import Drive
from dpone_certify.certification.faults import certify_faults
from dpone_certify.certification.landed import Landed
from dpone_certify.certification.outcome import Outcome
from dpone_certify.certification.planning import text_of
from dpone_certify.certification.seeded import KEY, WIDE, Row
from dpone_certify.certification.serving import Served
from dpone_certify.certification.source import Source, update
from dpone_certify.certification.volume import rows_expected, versions_closed, volume_of
from dpone_certify.certification.wide import wide_columns
from dpone_certify.postconditions.judge import expected
from dpone_certify.postconditions.options import Options, Refused

Step = Callable[[Case, str], None]  # told of each step that a case has done

STEPS = ("first_load", "second_load", "unchanged_rerun", "position", "empty_source", "added_column")
_SMALL = 40  # rows of the table that is emptied and altered
_FEW = 12  # wide columns of that table
_ADDED = Field("added", STRING)
_SKEW = timedelta(minutes=5)  # of a server's clock


@dataclass(slots=True)
class Running:
    """One case on its way: its two pipelines, what was found so far, when its loads were."""

    found: Outcome
    main: Drive
    small: Drive
    digests: Digests[Landed] = field(default_factory=Digests)
    times: list[datetime] = field(default_factory=list)
    small_times: list[datetime] = field(default_factory=list)
    last: StreamReport | None = None
    stored: Position | None = None  # after the first load
    loads: list[str] = field(default_factory=list)

    @property
    def strategy(self) -> str:
        return self.found.case.strategy


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of one source with their services; `token` makes the names of their tables their own."""

    cases: Sequence[Case]
    source: Served
    sinks: Mapping[str, Served]
    volume: Volume
    token: str
    runs: Path
    kept_by: Sequence[Any]  # sinks, here or not, that must keep the types of the wide columns
    faults: bool = False
    brief: bool = False  # true leaves out the source that is emptied and altered


def certify_group(group: Group, told: Step) -> list[Outcome]:
    """Every case of the group, carried out and compared."""
    source, token = group.source, group.token
    known = {
        sample.native: sample.values for sample in source.kit.samples if sample.refused is None and sample.nullable
    }
    columns = tuple(
        wide_columns(
            source.kit.connector, group.kept_by, group.volume.wide_columns, lambda native: known.get(native, ())
        )
    )
    natives = sorted({str(c.field.native).partition(":")[2] for c in columns})
    running = [_running(case, source, group.sinks[case.sink], token, group.runs) for case in group.cases]
    for one in running:
        one.found.notes.append(f"{len(columns)} wide columns of {len(natives)} types: {', '.join(natives)}")
    _whole(Source(source, f"src_{token}", group.volume, columns), running, told)
    if group.brief:
        return [one.found for one in running]
    small = replace_wide(volume_of(_SMALL, 0.3, 0.1, group.volume.seed), _FEW)
    _small(Source(source, f"small_{token}", small, columns[:_FEW]), running, told)
    if group.faults:
        faulty = Source(source, f"faulty_{token}", small, columns[:_FEW])
        sound = [(one.found, one.small) for one in running if one.found.state == "passed"]
        certify_faults(faulty, sound, told)
    return [one.found for one in running]


def replace_wide(volume: Volume, many: int) -> Volume:
    return volume.model_copy(update={"wide_columns": many})


def _running(case: Case, source: Served, sink: Served, token: str, runs: Path) -> Running:
    fidelity = Ends(source=source.fidelity.value, sink=sink.fidelity.value)
    provider = Providers(source=source.endpoint.provider.value, sink=sink.endpoint.provider.value)
    found = Outcome(case, fidelity=fidelity, provider=provider)
    name = f"{case.strategy}_{case.source}_{case.sink}_{token}"  # of the pipeline too, whose slot is its own
    return Running(
        found,
        Drive(case, source, sink, f"c_{name}", runs),
        Drive(case, source, sink, f"e_{name}", runs),
    )


def _each(running: Sequence[Running], step: str, told: Step, look: Callable[[Running], None]) -> None:
    for one in running:
        look(one)
        told(one.found.case, step)


# ------------------------------------------------------------------- at full volume


def _whole(source: Source, running: Sequence[Running], told: Step) -> None:
    kit, endpoint = source.served.kit, source.served.endpoint
    kit.seed(endpoint, source.table(source.before))
    _each(running, "first_load", told, lambda one: _first(one, source))
    kit.change(endpoint, source.table(), source.changes())
    _each(running, "second_load", told, lambda one: _second(one, source))
    _each(running, "unchanged_rerun", told, lambda one: _rerun(one, source))
    _each(running, "position", told, _position)


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
        if problem := _load(one, one.main, source, strategy):
            return problem
        rows.extend(speller.found(_read(one.main)))
        stored = one.main.stored()
        one.stored = stored.position if stored else None
        one.times.append(_time_of(one, one.main))
        return _compare(one, "first_load", source, _expected_first(one, source), rows)

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
    options = asked.options_of(
        one.strategy, source.volume, first=True, at=_at(one.times, 0), by_cursor=source.by_cursor
    )
    return [dict(row) for row in expected(one.strategy, [], source.before, [], options)]


def _expected_second(one: Running, source: Source) -> list[Row]:
    options = asked.options_of(
        one.strategy, source.volume, first=False, at=_at(one.times, 1), by_cursor=source.by_cursor
    )
    found = expected(one.strategy, source.before, source.after, _expected_first(one, source), options)
    return [dict(row) for row in found]


def _at(times: Sequence[datetime], n: int) -> datetime | None:
    return times[n] if n < len(times) else None


def _second(one: Running, source: Source) -> None:
    strategy = asked.strategy_of(one.strategy, source.volume, first=False, by_cursor=source.by_cursor)

    def look() -> Comparison | str:
        if problem := _load(one, one.main, source, strategy):
            return problem
        one.times.append(_time_of(one, one.main))
        rows = source.speller(one.strategy).found(_read(one.main))
        compared = _compare(one, "second_load", source, _expected_second(one, source), rows)
        must = rows_expected(one.strategy, source.volume, by_cursor=source.by_cursor)
        if must is not None and compared.is_same and len(rows) != must:
            return f"{len(rows)} rows, and the volume model says {must}"
        closed = sum(row[-2] is not None for row in rows)
        if one.strategy == "scd2" and compared.is_same and closed != versions_closed(source.volume):
            return f"{closed} versions have ended, and the volume model says {versions_closed(source.volume)}"
        if one.strategy == "xmin" or (one.strategy == "incremental_merge" and source.by_cursor):
            one.found.notes.append(f"{one.strategy} does not see deletes: {source.volume.deleted} rows remain")
        return compared

    _if_so_far(one, "second_load", look)


def _rerun(one: Running, source: Source) -> None:
    strategy = asked.strategy_of(one.strategy, source.volume, first=False, by_cursor=source.by_cursor)

    def look() -> Comparison | str:
        if problem := _load(one, one.main, source, strategy):
            return problem
        assert one.last is not None
        rows = source.speller(one.strategy).found(_read(one.main))
        read = STRATEGIES[one.strategy].read
        if read is not Read.SCAN and one.last.rows_live > 0 and one.strategy != "incremental_merge":
            return f"{one.last.rows_live} rows were read again, although nothing had changed"
        return _compare(one, "unchanged_rerun", source, _expected_second(one, source), rows)

    _if_so_far(one, "unchanged_rerun", look)


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

    _if_so_far(one, "position", look)


# ---------------------------------------------------------- emptied, filled, altered


def _small(source: Source, running: Sequence[Running], told: Step) -> None:
    kit, endpoint = source.served.kit, source.served.endpoint
    kit.seed(endpoint, source.table())
    state: dict[str, bool] = {}
    _each(running, "empty_source", told, lambda one: state.update({one.found.case.id: _from_nothing(one, source)}))
    kit.change(endpoint, source.table(), [Insert(source.values(row)) for row in source.before])
    extra: tuple[Field, ...] = ()
    running = [one for one in running if state[one.found.case.id]]
    if AddColumn in kit.alterations:
        filled = [one for one in running if _filled(one, source)]
        kit.alter(endpoint, source.table(), AddColumn(_ADDED))
        extra = (_ADDED,)
        kit.change(endpoint, source.table((), _ADDED), list(_additions(source)))
        _each(filled, "added_column", told, lambda one: _added(one, source))
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
        if problem := _load(one, one.small, source, strategy):
            return problem
        try:
            rows = source.speller(one.strategy).found(_read(one.small))
        except LookupError:
            rows = []  # nothing was read, and no table was made for it
        return _compare(one, "empty_source", source, [], rows)

    return one.found.check("empty_source", look)


def _filled(one: Running, source: Source) -> bool:
    """The small table has its rows; told as part of the check of the added column, which begins here."""
    strategy = asked.strategy_of(one.strategy, source.volume, first=True, by_cursor=source.by_cursor)
    problem = _load(one, one.small, source, strategy)
    if problem is None:
        one.small_times.append(_time_of(one, one.small))
        return True
    one.found.not_run("added_column", problem)
    return False


def _expected_small(one: Running, source: Source) -> list[Row]:
    options = asked.options_of(
        one.strategy, source.volume, first=True, at=_at(one.small_times, 0), by_cursor=source.by_cursor
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
        one.strategy, source.volume, first=False, at=_at(one.small_times, 1), by_cursor=source.by_cursor
    )
    touched = asked.keys_of(int(str(row[KEY])) for row in _updated(source))
    everywhere = asked.bounds_of(source.volume, first=True) if one.strategy == "backfill" else None
    return replace(options, columns=(*options.columns, _ADDED.name), touched=touched, bounds=everywhere)


def _added(one: Running, source: Source) -> None:
    strategy = asked.strategy_of(one.strategy, source.volume, first=True, by_cursor=source.by_cursor)

    def look() -> Comparison | str:
        if problem := _load(one, one.small, source, strategy, _ADDED):
            return problem
        one.small_times.append(_time_of(one, one.small))
        rows = source.speller(one.strategy, _ADDED).found(_read(one.small))
        must = expected(
            one.strategy, source.before, _altered(source), _expected_small(one, source), _options_added(one, source)
        )
        return _compare(one, "added_column", source, must, rows, _ADDED)

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
        problem = _load(one, one.small, source, strategy, *extra)
        found = one.last.error_code if one.last else None
        if found != code:
            return (
                f"an emptied source had to end with {code or 'a load'}, and ended with {found or 'a load'}: {problem}"
            )
        rows = source.speller(one.strategy, *extra).found(_read(one.small))
        return _compare(one, "empty_source", source, must, rows, *extra)

    earlier = next(c for c in one.found.checks if c.name == "empty_source")
    one.found.check("empty_source", look)
    latest = one.found.checks.pop()
    one.found.checks[one.found.checks.index(earlier)] = latest.model_copy(
        update={"duration_seconds": round(earlier.duration_seconds + latest.duration_seconds, 4)}
    )


# --------------------------------------------------------------------------- parts


def _if_so_far(one: Running, name: CheckName, look: Callable[[], Comparison | str | None]) -> None:
    """The check is carried out when the loads before it were right."""
    wrong = [c.name for c in one.found.checks if c.state != "passed"]
    if wrong:
        one.found.not_run(name, f"{wrong[0]} did not pass")
    else:
        one.found.check(name, look)


def _load(one: Running, drive: Drive, source: Source, strategy: Mapping[str, Any], *extra: Field) -> str | None:
    """Runs the load; what went wrong, if it did."""
    report = one.last = drive.load(source.table((), *extra), strategy)
    one.loads += report.loads
    if drive is one.main:
        one.found.program = tuple(op.op for op in report.operations) or one.found.program
    return None if report.error_code is None else f"{report.error_code}: {report.error}"


def _read(drive: Drive) -> Any:
    return drive.sink.kit.rows(drive.sink.endpoint, drive.target)


def _time_of(one: Running, drive: Drive) -> datetime:
    """The time of the last load as its newest version tells it; a plausible one, or it is an error."""
    now = datetime.now(UTC)
    if one.strategy != "scd2":
        return now
    moments = [m for m in _read(drive).column(asked.INTERVAL[0]).to_pylist() if m is not None]
    latest: datetime = max((m if m.tzinfo else m.replace(tzinfo=UTC) for m in moments), default=now)
    if not now - timedelta(hours=2) < latest < now + _SKEW:
        raise DponeError(f"a version begins at {latest}, and it is {now}", code="certification.implausible_time")
    return latest


def _compare(
    one: Running,
    check: CheckName,
    source: Source,
    must: Iterable[Mapping[str, object]],
    rows: Sequence[Landed],
    *extra: Field,
) -> Comparison:
    speller = source.speller(one.strategy, *extra)
    return compare(check, speller.expected(must, source.sparse), rows, one.digests, speller.shown, [KEY])
