"""Loads that are cut off by an error, or killed, at each place where a run can end; then run again, and right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dpone.errors import RemoteError
from dpone.failpoints import RUN, arm
from dpone.integration_matrix import Case
from dpone_certify.certification import asked
from dpone_certify.certification.comparing import Comparison, Digests, compare
from dpone_certify.certification.document import CheckName
from dpone_certify.certification.driving import Drive
from dpone_certify.certification.outcome import Outcome
from dpone_certify.certification.seeded import KEY
from dpone_certify.certification.serving import packed, unpacked
from dpone_certify.certification.source import Source
from dpone_certify.postconditions.judge import expected

_LONGEST = 300  # seconds of a killed load


class Attempt(Struct, frozen=True):
    """A pipeline of its own, which ends at one place by an error or by SIGKILL."""

    check: CheckName
    place: str
    drive: Drive


_WAYS: tuple[tuple[CheckName, str], ...] = (("cut_off", "x"), ("killed", "k"))


def attempts_of(drive: Drive) -> list[Attempt]:
    """One for each place and each way to end there."""
    return [
        Attempt(check, place, replace(drive, label=f"{sign}{n}_{drive.label}"))
        for check, sign in _WAYS
        for n, place in enumerate(RUN)
    ]


def certify_faults(source: Source, cases: Sequence[tuple[Outcome, Drive]], told: Callable[[Case, str], None]) -> None:
    """Every case ends at every place once, and the run after that leaves what it must."""
    kit, endpoint = source.served.kit, source.served.endpoint
    kit.seed(endpoint, source.table(source.before))
    strategies = {
        found.case.id: asked.strategy_of(found.case.strategy, source.volume, first=True, by_cursor=source.by_cursor)
        for found, _ in cases
    }
    begun: dict[str, list[Attempt]] = {}
    for found, drive in cases:
        begun[found.case.id] = [
            one
            for one in attempts_of(drive)
            if one.drive.load(source.table(), strategies[found.case.id]).error_code is None
        ]
    kit.change(endpoint, source.table(), source.changes())
    for found, _ in cases:
        for check, _ in _WAYS:
            attempts = [one for one in begun[found.case.id] if one.check == check]
            found.check(check, partial(_all, found, attempts, source, strategies[found.case.id]))
            told(found.case, check)


def _all(found: Outcome, attempts: Sequence[Attempt], source: Source, strategy: Mapping[str, Any]) -> Comparison | str:
    """The last comparison when all were right, or the first that was not."""
    if len(attempts) != len(RUN):
        return f"{len(RUN) - len(attempts)} first loads failed"
    compared: Comparison | str = "nothing was compared"
    for one in attempts:
        compared = _one(found, one, source, strategy)
        if isinstance(compared, str) or not compared.is_same:
            return f"{one.place}: {compared}" if isinstance(compared, str) else compared
    return compared


def _one(found: Outcome, one: Attempt, source: Source, strategy: Mapping[str, Any]) -> Comparison | str:
    ended = _cut(one, source, strategy) if one.check == "cut_off" else _kill(one, source, strategy)
    if not ended:
        found.notes.append(f"{one.check}: {one.place} is not on the way of this load")
    report = one.drive.load(source.table(), strategy)
    if report.error_code is not None:
        return f"the run after it: {report.error_code}: {report.error}"
    name = found.case.strategy
    speller = source.speller(name)
    rows = speller.found(one.drive.sink.kit.rows(one.drive.sink.endpoint, one.drive.target))
    times = sorted({text for row in rows for text in row[-3:-2] if text}) if name == "scd2" else []
    first = asked.options_of(name, source.volume, first=True, at=None, by_cursor=source.by_cursor)
    target = expected(name, [], source.before, [], first)
    options = asked.options_of(name, source.volume, first=False, at=None, by_cursor=source.by_cursor)
    if name == "backfill":
        options = replace(options, bounds=asked.bounds_of(source.volume, first=True))
    must = speller.expected(expected(name, source.before, source.after, target, options), source.sparse)
    if name == "scd2":  # when the loads were is not known here: that a version began and ended is compared
        must, rows = ([_dated(row) for row in which] for which in (must, rows))
        if len(times) > 2:  # noqa: PLR2004 -- two loads
            return f"versions begin at {len(times)} times, and two loads were carried out"
    return compare(one.check, must, rows, Digests(), speller.shown, [KEY])


def _dated(row: tuple[Any, ...]) -> tuple[Any, ...]:
    *values, begun, ended, pairs = row
    return (*values, None if begun is None else "a time", None if ended is None else "a time", pairs)


def _cut(one: Attempt, source: Source, strategy: Mapping[str, Any]) -> bool:
    hits: list[str] = []

    def end() -> None:
        hits.append(one.place)
        raise RemoteError("the connection was cut here by the certification", code="sink.unreachable", retryable=False)

    with arm(one.place, end):
        one.drive.load(source.table(), strategy)
    return bool(hits)


def _kill(one: Attempt, source: Source, strategy: Mapping[str, Any]) -> bool:
    """A process of its own carries out the load and is killed at the place."""
    order = {
        "case": [one.drive.case.source, one.drive.case.sink, one.drive.case.strategy],
        "source": packed(one.drive.source),
        "sink": packed(one.drive.sink),
        "label": one.drive.label,
        "runs": str(one.drive.runs),
        "strategy": dict(strategy),
        "table": source.label,
        "columns": [[c.field.name, str(c.field.type), c.field.native] for c in source.columns],
    }
    done = subprocess.run(
        [sys.executable, "-m", "dpone_certify.certification.faulted"],
        input=json.dumps(order).encode(),
        env={**os.environ, "DPONE_FAILPOINT": one.place},
        capture_output=True,
        timeout=_LONGEST,
        check=False,
    )
    return done.returncode == -signal.SIGKILL


def drive_of(order: Mapping[str, Any]) -> Drive:
    """The pipeline that another process told of."""
    return Drive(
        Case(*order["case"]),
        unpacked(order["source"]),
        unpacked(order["sink"]),
        order["label"],
        Path(order["runs"]),
    )
