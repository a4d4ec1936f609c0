"""A manifest's streams, compared one after another: the method is chosen, the ends are asked, the report is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from time import monotonic

from msgspec import Struct, field

from dpone.api import loaded, opened
from dpone.compile import compile_plan
from dpone.connector import Segmented, Sink, Source
from dpone.diff.descent import Ends, differing_keys
from dpone.diff.report import Both, Differing, DiffReport, KeyValues, Range, StreamDiff, blockers_of
from dpone.diff.spelling import written
from dpone.diff.streaming import Rows, source_batches, target_batches, unreadable
from dpone.diff.subject import Difference, Subject, Texts, Verdict, subject_of
from dpone.diff.waiting import Waiting
from dpone.errors import DataError
from dpone.evidence.document import now, verdict
from dpone.evidence.subject import subject as evidence_subject
from dpone.manifest import Manifest, Stream
from dpone.names import print_name
from dpone.segments import Segments, Shape

LIMIT = 10_000


class Options(Struct, frozen=True):
    """`key` overrides the strategy's, `skip` names columns to leave out, `limit` ends the search (0: never)."""

    key: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    limit: int = LIMIT


def diff(manifest: str | Path | Manifest, *, select: Sequence[str] = (), options: Options | None = None) -> DiffReport:
    """Every selected stream is compared. No row is written anywhere."""
    found = loaded(manifest, select)
    streams = tuple(_compare(stream, options or Options()) for stream in found.streams)
    return DiffReport(
        created_at=now(),
        producer=f"dpone-core {version('dpone-core')}",
        subject=evidence_subject(),
        manifest=found.path.name if found.path else found.name,
        streams=streams,
        **verdict(blocker for stream in streams for blocker in blockers_of(stream)),
    )


class Tally(Struct):
    """Differences as they come, each in its place, until there are enough of them."""

    subject: Subject
    waiting: Waiting
    limit: int
    missing: list[KeyValues] = field(default_factory=list)
    extra: list[KeyValues] = field(default_factory=list)
    different: list[Differing] = field(default_factory=list)
    waits: int = 0
    kept: int = 0
    complete: bool = True

    def take(self, differences: Iterator[Difference]) -> None:
        for found in differences:
            if self.limit and len(self.missing) + len(self.extra) + len(self.different) >= self.limit:
                self.complete = False
                return
            self._sort(found)

    def _sort(self, found: Difference) -> None:
        match found.verdict:
            case Verdict.KEPT:
                self.kept += 1
            case Verdict.EXTRA:
                self.extra.append(self._values(found.key))
            case _ if found.key in self.waiting.keys:
                self.waits += 1
            case Verdict.MISSING:
                self.missing.append(self._values(found.key))
            case _:
                self.different.append(Differing(key=self._values(found.key), columns=found.columns))

    def _values(self, key: Texts) -> KeyValues:
        columns = (self.subject.columns[place] for place in self.subject.key_places)
        return {column.name: written(text, column.type) for column, text in zip(columns, key, strict=True)}


class Outcome(Struct, frozen=True):
    """What a method measured."""

    rows: Both
    fetched: Both
    nbytes: Both
    compared: int = 0
    differing: int = 0
    key_range: Range | None = None
    steady: bool | None = True


def _compare(stream: Stream, options: Options) -> StreamDiff:
    begun = monotonic()
    if stream.sink.connector.sink is not None and stream.sink.connector.sink.atomic == "log":
        raise unreadable(stream.sink.connector.name)  # it holds what came, and not what is
    with opened(stream) as (source, sink):
        plan = compile_plan(stream, source.describe(stream.source.options.dataset()))
        layout = sink.inspect(plan.target)
        if layout is None:
            raise DataError(
                f"{plan.sink.label} has no table {print_name(plan.target.name)}",
                code="diff.target_missing",
                hint="run the manifest once; before that there is nothing to compare",
            )
        subject = subject_of(plan, layout, key=options.key, skip=options.skip)
        waiting = Waiting(subject, source, sink, stream.source.connector, stream.sink.connector)
        tally = Tally(subject, waiting, options.limit)
        with _segmented(subject, source, sink) as (ends, why_rows):
            outcome = _by_rows(stream, subject, source, tally) if ends is None else _by_checksums(subject, ends, tally)
    result = StreamDiff(
        name=stream.name,
        source=str(stream.source.connection),
        sink=str(stream.sink.connection),
        strategy=plan.strategy,
        comparable=subject.rule.comparable,
        method="rows" if ends is None else "checksums",
        why_rows=why_rows,
        columns=tuple(c.name for c in subject.columns),
        skipped=subject.skipped,
        columns_absent=subject.absent,
        key=tuple(subject.columns[place].name for place in subject.key_places),
        key_range=outcome.key_range,
        rows=outcome.rows,
        segments_compared=outcome.compared,
        segments_differing=outcome.differing,
        rows_fetched=outcome.fetched,
        bytes_fetched=outcome.nbytes,
        missing=tuple(tally.missing),
        extra=tuple(tally.extra),
        different=tuple(tally.different),
        waiting=tally.waits,
        kept=tally.kept,
        kept_because=subject.rule.keeps if tally.kept else None,
        complete=tally.complete,
        steady=outcome.steady,
        equal=False,
        seconds=round(monotonic() - begun, 3),
    )
    return result.model_copy(update={"equal": not blockers_of(result)})


# ----------------------------------------------------------------------- checksums


@contextmanager
def _segmented(
    subject: Subject, source: Source, sink: Sink
) -> Iterator[tuple[tuple[Segments, Segments] | None, tuple[str, ...]]]:
    """Both ends, open for questions; or None, and why all rows have to be read."""
    reasons = [f"{name}: {why}" for name, why in subject.why_not_segmented.items()]
    ends: Mapping[str, object] = {subject.plan.source.connector: source, subject.plan.sink.connector: sink}
    reasons += [f"{name} computes no checksums" for name, end in ends.items() if not isinstance(end, Segmented)]
    if reasons or not isinstance(source, Segmented) or not isinstance(sink, Segmented):
        yield None, tuple(reasons)
        return
    with source.segments(subject.source_extent()) as one, sink.segments(subject.target_extent()) as other:
        refused = tuple(f"{name}: {why}" for end in (one, other) for name, why in end.refused.items())
        yield None if refused else (one, other), refused


def _by_checksums(subject: Subject, segments: tuple[Segments, Segments], tally: Tally) -> Outcome:
    with ThreadPoolExecutor(1, thread_name_prefix="dpone-diff") as threads:
        ends = Ends(*segments, threads)
        shapes = ends.both(lambda end: end.shape())
        _refuse_null_keys(subject, [shape.null_keys for shape in shapes])
        tally.take(differing_keys(ends, subject, shapes))
    counted = tuple(shape.rows for shape in shapes)
    return Outcome(
        rows=Both(source=counted[0], target=counted[1]),
        fetched=Both(source=ends.fetched[0], target=ends.fetched[1]),
        nbytes=Both(source=segments[0].nbytes, target=segments[1].nbytes),
        compared=ends.compared,
        differing=ends.differing,
        key_range=_range(subject, shapes),
        steady=_steady(segments, ends.covered in {None, counted}),
    )


def _refuse_null_keys(subject: Subject, found: Sequence[int]) -> None:
    if subject.keyed and any(found):
        raise DataError(
            f"{found[0]} rows of the source and {found[1]} of the target have NULL in {', '.join(subject.key)}, "
            "so that rows cannot be told apart",
            code="diff.null_key",
            hint="name a key that is always set with --key",
        )


def _range(subject: Subject, shapes: tuple[Shape, Shape]) -> Range | None:
    if (axis := subject.axis) is None:
        return None
    one, other = ((shape.least, shape.greatest) for shape in shapes)
    return Range(column=axis.name, source=one, target=other)


def _steady(segments: tuple[Segments, Segments], covered: bool) -> bool | None:  # noqa: FBT001 -- the answer itself
    """False where rows came or went meanwhile, None where an end cannot tell."""
    found = [end.is_steady() for end in segments]
    if not covered or False in found:
        return False
    return None if None in found else True


# ----------------------------------------------------------------------------- rows


def _by_rows(stream: Stream, subject: Subject, source: Source, tally: Tally) -> Outcome:
    connector = stream.sink.connector
    if connector.source is None:
        raise unreadable(connector.name)
    with closing(Rows(subject)) as rows:
        rows.take(0, source_batches(subject, source, stream.source.connector))
        with connector.source.open(stream.sink.connection.resolve()) as opened_target:
            rows.take(1, target_batches(subject, opened_target, connector))
        _refuse_null_keys(subject, rows.null_keys)
        tally.take(rows.differences())
        counts = Both(source=rows.counts[0], target=rows.counts[1])
        return Outcome(counts, counts, Both(source=rows.nbytes[0], target=rows.nbytes[1]), steady=None)
