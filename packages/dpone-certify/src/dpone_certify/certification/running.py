"""One case on its way, and what each of its steps consists of: load, read back, compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct, field

from dpone.connector import Position
from dpone.errors import DponeError
from dpone.integration_matrix import Case
from dpone.observe.record import StreamReport
from dpone.schema import Field
from dpone_certify.certification import asked
from dpone_certify.certification.comparing import Comparison, Digests, compare
from dpone_certify.certification.document import CheckName
from dpone_certify.certification.driving import Drive
from dpone_certify.certification.landed import Landed
from dpone_certify.certification.outcome import Outcome
from dpone_certify.certification.seeded import KEY, Row
from dpone_certify.certification.source import Source

Step = Callable[[Case, str], None]  # told of each step that a case has done

_SKEW = timedelta(minutes=5)  # of a server's clock


class Running(Struct):
    """One case on its way: its two pipelines, what was found so far, when its loads were."""

    found: Outcome
    main: Drive
    small: Drive
    digests: Digests[Landed] = field(default_factory=Digests)  # of rows that hold the times of this case's loads
    wanted: dict[str, list[Row]] = field(default_factory=dict)  # what must be there after each load
    times: list[datetime] = field(default_factory=list)
    small_times: list[datetime] = field(default_factory=list)
    last: StreamReport | None = None
    stored: Position | None = None  # after the first load
    loads: list[str] = field(default_factory=list)

    @property
    def strategy(self) -> str:
        return self.found.case.strategy


def each(running: Sequence[Running], step: str, told: Step, look: Callable[[Running], None]) -> None:
    for one in running:
        look(one)
        told(one.found.case, step)


def if_so_far(one: Running, name: CheckName, look: Callable[[], Comparison | str | None]) -> None:
    """The check is carried out when the loads before it were right."""
    wrong = [c.name for c in one.found.checks if c.state != "passed"]
    if wrong:
        one.found.not_run(name, f"{wrong[0]} did not pass")
    else:
        one.found.check(name, look)


def load(one: Running, drive: Drive, source: Source, strategy: Mapping[str, Any], *extra: Field) -> str | None:
    """Runs the load; what went wrong, if it did."""
    report = one.last = drive.load(source.table((), *extra), strategy)
    one.loads += report.loads
    if drive is one.main:
        one.found.program = tuple(op.op for op in report.operations) or one.found.program
    return None if report.error_code is None else f"{report.error_code}: {report.error}"


def read_back(drive: Drive) -> Any:
    return drive.sink.kit.rows(drive.sink.endpoint, drive.target)


def time_of(one: Running, read: Callable[[], Any]) -> datetime:
    """The time of the last load as its newest version tells it; a plausible one, or it is an error.

    `read` yields the rows of the target, which only a history is asked for.
    """
    now = datetime.now(UTC)
    if one.strategy != "scd2":
        return now
    moments = [m for m in read().column(asked.INTERVAL[0]).to_pylist() if m is not None]
    latest: datetime = max((m if m.tzinfo else m.replace(tzinfo=UTC) for m in moments), default=now)
    if not now - timedelta(hours=2) < latest < now + _SKEW:
        raise DponeError(f"a version begins at {latest}, and it is {now}", code="certification.implausible_time")
    return latest


def compared_with(
    one: Running,
    check: CheckName,
    source: Source,
    must: Iterable[Mapping[str, object]],
    rows: Sequence[Landed],
    *extra: Field,
) -> Comparison:
    speller = source.speller(one.strategy, *extra)
    digests = one.digests if one.strategy == "scd2" else source.digests
    return compare(check, speller.expected(must, source.sparse), rows, digests, speller.shown, [KEY])
