"""Wire formats: what a source emits a sink takes, and the rows that arrive are those that were seeded."""

from __future__ import annotations

from random import Random

import pytest

from dpone.batch import ARROW, negotiate
from dpone.strategies import Read
from dpone.testing.suite.copying import copy
from dpone.testing.suite.plain import ROWS, many
from dpone.testing.suite.rig import SinkRig, SourceRig
from dpone.testing.suite.shapes import MIXED, holdable, random_rows
from dpone.testing.testkit import PLAIN


def _own_sink(source: SourceRig) -> SinkRig:
    if source.connector.sink is None:
        pytest.skip(f"{source.connector.name} is no sink, so only others take its own formats")
    return SinkRig(source.spec, source.kit, source.endpoint)


def _as_source(sink: SinkRig) -> SourceRig:
    if sink.connector.source is None:
        pytest.skip(f"{sink.connector.name} is no source, so only others give its own formats")
    return SourceRig(sink.spec, sink.kit, sink.endpoint)


def test_rows_go_to_memory_by_arrow(source: SourceRig, memory_sink: SinkRig) -> None:
    for rows in (ROWS, [], many(300)):
        seeded = source.seed(PLAIN, rows)
        copy(seeded, memory_sink, ARROW)


def test_rows_come_from_memory_by_arrow(memory_source: SourceRig, sink: SinkRig) -> None:
    for rows in (ROWS, [], many(300)):
        seeded = memory_source.seed(PLAIN, rows)
        copy(seeded, sink, ARROW)


def test_rows_go_home_by_each_own_format(source: SourceRig) -> None:
    sink = _own_sink(source)
    taken = {wire.format for wire in sink.spec_of_sink.accepts}
    both = [wire.format for wire in source.spec_of_source.emits if wire.format in taken]
    assert both, f"{source.connector.name} does not take what it gives"
    for form in both:
        for rows in (ROWS, [], many(300)):
            copy(source.seed(PLAIN, rows), sink, form)


def test_splits_go_home_by_each_own_format(source: SourceRig) -> None:
    sink = _own_sink(source)
    taken = {wire.format for wire in sink.spec_of_sink.accepts}
    for form in [wire.format for wire in source.spec_of_source.emits if wire.format in taken]:
        copy(source.seed(PLAIN, many(300)), sink, form, splits=3)


def test_changes_go_home_by_each_own_format(source: SourceRig) -> None:
    """What a change log gives has change fields behind its columns, in every format."""
    source.require(Read.CHANGES)
    sink = _own_sink(source)
    taken = {wire.format for wire in sink.spec_of_sink.accepts}
    for form in [wire.format for wire in source.spec_of_source.emits if wire.format in taken]:
        copy(source.seed(PLAIN, many(20), Read.CHANGES), sink, form, read=Read.CHANGES)


def test_random_rows_go_round(memory_source: SourceRig, sink: SinkRig) -> None:
    """From memory into the sink, and where it is a source too from there back into rows."""
    rows = holdable(sink.kit, random_rows(Random(7), 12, 12))  # noqa: S311 - rows are not secrets
    copy(memory_source.seed(MIXED, rows), sink, ARROW)


def test_every_emitted_format_carries_something(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, [])
    with source.source() as connected:
        described = connected.describe(seeded.dataset)
    landing = [(field, source.connector.types.land(field)) for field in described]
    for wire in source.spec_of_source.emits:
        assert any(wire.refuses(field, land) is None for field, land in landing), f"{wire.format} carries no column"


def test_the_best_common_format_is_chosen(source: SourceRig) -> None:
    sink = _own_sink(source)
    types = source.connector.types
    columns = [(field, types.land(field)) for field in PLAIN]
    choice = negotiate(source.spec_of_source.emits, sink.spec_of_sink.accepts, columns)
    copy(source.seed(PLAIN, ROWS), sink, choice.format)
