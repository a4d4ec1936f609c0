"""Names that people really give: quotes, spaces, Unicode, reserved words, and names that do not fit, which are never
cut.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dpone.connector import Column
from dpone.errors import DponeError, PlanError, UsageError
from dpone.ops import Upsert
from dpone.schema import INT64, STRING, Field, Schema
from dpone.testing.suite.jobs import deliver
from dpone.testing.suite.readings import assert_read, gather, request_of
from dpone.testing.suite.refusals import refused_before_work
from dpone.testing.suite.rig import Rig, SinkRig, SourceRig
from dpone.testing.suite.shapes import MIXED, changed, gone, rows
from dpone.testing.suite.streams import stream, stream_of, tagged
from dpone.testing.testkit import HOSTILE_LABELS, PLAIN
from dpone.where import Row

LABELS = [*HOSTILE_LABELS, "the longest"]


def _label(rig: Rig, label: str, limits: str) -> str:
    names = getattr(rig.kit, limits)
    return names.longest if label == "the longest" else label


def _is_refused(rig: Rig, label: str, limits: str) -> bool:
    return label in getattr(rig.kit, limits).refused


# ----------------------------------------------------------------------------- sinks


@pytest.mark.parametrize("label", LABELS)
def test_a_target_of_any_name_is_written(sink: SinkRig, label: str) -> None:
    target = sink.target(_label(sink, label, "tables"))
    if _is_refused(sink, label, "tables"):
        with refused_before_work():
            deliver(sink, stream_of(sink, (Upsert(("id",)),), MIXED, target=target, key=("id",)).job, rows(1))
        return
    s = tagged(stream(sink, "incremental_merge", MIXED, target=target))
    s.load([changed(1, 1), changed(2, 2)])
    s.load([gone(1, 1), changed(3, 2)])


@pytest.mark.parametrize("label", LABELS)
def test_columns_of_any_name_are_written(sink: SinkRig, label: str) -> None:
    name = _label(sink, label, "columns")
    shape = Schema((Field(name, INT64, nullable=False), Field("plain", STRING)), key=(name,))
    s = stream_of(sink, (Upsert((name,)),), shape, key=(name,))
    entries: list[Row] = [{name: 1, "plain": "a"}, {name: 2, "plain": None}]
    if _is_refused(sink, label, "columns"):
        with refused_before_work():
            deliver(sink, s.job, entries)
        assert not sink.exists(s.job.target)
        return
    s.load(entries)
    s.load([{name: 2, "plain": "b"}])


def test_a_target_whose_name_does_not_fit_is_refused(sink: SinkRig) -> None:
    if sink.kit.tables.too_long is None:
        pytest.skip(f"no name is too long for {sink.connector.name}")
    with refused_before_work():
        the_job = stream_of(sink, (Upsert(("id",)),), MIXED, target=sink.target(sink.kit.tables.too_long)).job
        deliver(sink, the_job, rows(1))


def test_a_column_whose_name_does_not_fit_is_refused(sink: SinkRig) -> None:
    if sink.kit.columns.too_long is None:
        pytest.skip(f"no name is too long for {sink.connector.name}")
    shape = Schema((Field("id", INT64, nullable=False), Field(sink.kit.columns.too_long, STRING)))
    s = stream_of(sink, (Upsert(("id",)),), shape, key=("id",))
    with refused_before_work():
        deliver(sink, s.job, [{"id": 1, sink.kit.columns.too_long: "a"}])
    assert not sink.exists(s.job.target)


def test_targets_whose_names_differ_little_are_two(sink: SinkRig) -> None:
    longest = sink.kit.tables.longest
    stem = sink.fresh()
    names = [longest[:-1] + "x", longest[:-1] + "y", f"{stem}-a", f"{stem}-b"]
    if not sink.kit.tables.folds_case:
        names.append(f"{stem}-A")
    made = [stream_of(sink, (Upsert(("id",)),), MIXED, target=sink.target(n), key=("id",)) for n in names]
    for number, s in enumerate(made):
        s.load(rows(number))
    for s in made:
        s.check()


def test_texts_that_look_like_code_are_only_texts(sink: SinkRig) -> None:
    s = tagged(stream(sink, "incremental_merge", MIXED))
    texts = [
        *HOSTILE_LABELS,
        "'; DROP TABLE x; --",
        "\\N",
        "NULL",
        "\t\n\r\x1f",
        "\\",
        "''",
        "{}",
        "a\u2028b",
        "\ufeff",
    ]
    s.load([changed(n, n, region=text) for n, text in enumerate(texts)])
    s.load([changed(n, n, region=text + "'") for n, text in enumerate(texts)])


# --------------------------------------------------------------------------- sources


@pytest.mark.parametrize("label", LABELS)
def test_a_source_of_any_name_is_read(source: SourceRig, label: str) -> None:
    if _is_refused(source, label, "tables"):
        pytest.skip(f"{source.connector.name} has no table of this name")
    seeded = source.seed(PLAIN, [{"id": 1, "name": label}], label=_label(source, label, "tables"))
    assert_read(seeded, gather(seeded, request_of(seeded)).rows, seeded.rows)


@pytest.mark.parametrize("label", LABELS)
def test_source_columns_of_any_name_are_read(source: SourceRig, label: str) -> None:
    if _is_refused(source, label, "columns"):
        pytest.skip(f"{source.connector.name} has no column of this name")
    name = _label(source, label, "columns")
    shape = Schema((Field("id", INT64, nullable=False), Field(name, STRING)), key=("id",))
    seeded = source.seed(shape, [{"id": 1, name: "a"}, {"id": 2, name: None}])
    assert_read(seeded, gather(seeded, request_of(seeded)).rows, seeded.rows)


def test_a_source_that_is_not_there_is_refused(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, [])
    absent = replace(seeded, table=replace(seeded.table, label=source.fresh("absent")))
    with pytest.raises(DponeError), source.source() as connected:
        connected.describe(absent.dataset)


def test_a_column_that_is_not_there_is_refused(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, [{"id": 1}])
    request = replace(request_of(seeded), columns=(Column("id", "id"), Column("absent", "absent")))
    with pytest.raises((UsageError, PlanError)):
        gather(seeded, request)
