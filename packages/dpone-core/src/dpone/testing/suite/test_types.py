"""Every native type with its edge values, and every type of core: each value arrives unchanged, or is refused by
name.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from dpone.batch import ARROW
from dpone.errors import DponeError, PlanError
from dpone.ops import Append, Recreate
from dpone.schema import INT64, Field, Landing, Schema, Verdict, parse_type
from dpone.testing.memory.samples import SAMPLES
from dpone.testing.suite.compare import assert_same, plain_rows
from dpone.testing.suite.copying import copy
from dpone.testing.suite.jobs import deliver, programmed
from dpone.testing.suite.readings import gather, request_of
from dpone.testing.suite.refusals import refused
from dpone.testing.suite.rig import Seeded, SinkRig, SourceRig
from dpone.testing.suite.shapes import FREE
from dpone.testing.suite.streams import stream_of
from dpone.testing.testkit import Sample
from dpone.where import Row


def _rows(values: Sequence[object]) -> list[Row]:
    return [{"id": number, "value": value} for number, value in enumerate([*values, None])]


def _seed(source: SourceRig, sample: Sample) -> Seeded:
    of = source.connector.types.read(sample.native)
    value = Field("value", of, nullable=sample.nullable, native=f"{source.connector.name}:{sample.native}")
    rows = _rows(sample.values)
    return source.seed(
        Schema((Field("id", INT64, nullable=False), value), key=("id",)), rows if sample.nullable else rows[:-1]
    )


# ---------------------------------------------------------------------- native types


def test_a_native_type_is_read_as_it_is(source: SourceRig, sample: Sample) -> None:
    if sample.refused is not None:
        with refused(sample.refused):
            seeded = _seed(source, sample)
            gather(seeded, request_of(seeded))
        return
    seeded = _seed(source, sample)
    gathered = gather(seeded, request_of(seeded))
    fields = gathered.schema.fields
    assert_same(plain_rows(gathered.rows, fields), plain_rows(seeded.rows, fields), fields, sample.native)


def test_a_native_type_is_described_by_itself(source: SourceRig, readable: Sample) -> None:
    """What `describe` calls the column is a type that the engine makes the same column of."""
    seeded = _seed(source, readable)
    with source.source() as connected:
        found = connected.describe(seeded.dataset)["value"]
    native = found.native_of(source.connector.name)
    if native is None:
        pytest.skip(f"{source.connector.name} has no native types")
    again = replace(readable, native=native)
    with source.source() as connected:
        assert connected.describe(_seed(source, again).dataset)["value"].native == found.native


def test_a_native_type_goes_home_by_every_format(source: SourceRig, readable: Sample) -> None:
    if source.connector.sink is None:
        pytest.skip(f"{source.connector.name} is no sink")
    sink = SinkRig(source.spec, source.kit, source.endpoint)
    seeded = _seed(source, readable)
    with source.source() as connected:
        field = connected.describe(seeded.dataset)["value"]
    landing = _landing(sink, field)
    if landing is None:
        return
    taken = {wire.format: wire for wire in sink.spec_of_sink.accepts}
    for wire in source.spec_of_source.emits:
        accepted = taken.get(wire.format)
        if accepted is None or wire.refuses(field, landing) or accepted.refuses(field, landing):
            continue
        as_read = replace(seeded, table=replace(seeded.table, schema=_with_value(seeded.schema, field)))
        copy(as_read, sink, wire.format, alike=sink.target(seeded.table.label))


def _with_value(schema: Schema, value: Field) -> Schema:
    return replace(schema, fields=(schema["id"], value))


def _landing(sink: SinkRig, field: Field) -> Landing | None:
    """Where the field lands without losing anything; None when the loss is said, with its reason."""
    try:
        landing = sink.connector.types.land(field)
    except PlanError as error:
        if field.name not in str(error):
            raise  # a column is refused by its name
        return None
    if landing.verdict is Verdict.LOSSY:
        assert landing.why, f"{field.type} loses something as {landing.native}, and no reason is given"
        return None
    return landing


# -------------------------------------------------------------------- types of core


@pytest.mark.parametrize("known", SAMPLES, ids=lambda known: known.native)
def test_a_type_of_core_lands_unchanged_or_is_refused(sink: SinkRig, known: Sample) -> None:
    field = Field("value", parse_type(known.native))
    if _landing(sink, field) is None:
        return
    if _lands(sink, field, known.values):
        return
    for value in known.values:
        _lands(sink, field, [value])  # some may be refused, and those that are not must arrive


def _lands(sink: SinkRig, field: Field, values: Sequence[object]) -> bool:
    """Whether the values were taken; those that were are in the target as they were sent."""
    sink.require(Recreate)
    shape = Schema((Field("id", INT64, nullable=False), field), key=("id",))
    the_job = replace(programmed(sink, (Recreate(FREE),), shape), format=ARROW)
    rows = _rows(values)
    try:
        deliver(sink, the_job, rows)
    except DponeError as error:
        if error.code == "source.value_unfit":
            raise  # the fault is the corpus's own
        return False
    sink.assert_rows(the_job.target, rows, shape.fields, str(field.type))
    return True


def test_a_value_that_does_not_fit_its_column_is_refused(sink: SinkRig) -> None:
    """A target's column may be narrower than what comes; a value is then refused, and never cut or wrapped."""
    narrow = Schema((Field("id", INT64, nullable=False), Field("value", parse_type("string(5)"))))
    landing = sink.connector.types.land(narrow["value"])
    s = stream_of(sink, (Append("first"),), narrow)
    s.load([{"id": 1, "value": "fits"}])
    s.job = stream_of(sink, (Append("second"),), narrow, target=s.job.target).job
    entries: list[Row] = [{"id": 2, "value": "does not fit"}]
    try:
        done = deliver(sink, s.job, entries)
    except DponeError:
        s.check("target after a refused value")
    else:
        s.expect(s.job, entries, done.load)
        s.check(f"a value longer than string(5) as {landing.native}")
