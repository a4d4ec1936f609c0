"""A table from one end to the other, through the two protocols, and the rows that arrived against those that were
seeded.
"""

from __future__ import annotations

from msgspec.structs import replace

from dpone.batch import Format
from dpone.connector import Target
from dpone.ops import Recreate
from dpone.schema import Schema
from dpone.strategies import Read
from dpone.testing.suite.compare import assert_same, plain_arrow
from dpone.testing.suite.jobs import Attempt, programmed
from dpone.testing.suite.readings import request_of
from dpone.testing.suite.rig import Seeded, SinkRig
from dpone.testing.suite.shapes import FREE


def copy(
    seeded: Seeded,
    sink: SinkRig,
    form: Format,
    *,
    splits: int | None = None,
    read: Read = Read.SCAN,
    alike: Target | None = None,
) -> None:
    """The seeded table is read whole in this format into a new target, which then holds the same rows.

    With `alike`, an independent reader sees in the target just what it sees there, in the engine's own words.
    """
    sink.require(Recreate)
    request = replace(request_of(seeded, read, splits=splits), format=form)
    with seeded.rig.source() as source, source.open(request) as reading, sink.sink() as connected:
        the_job = programmed(sink, (Recreate(FREE),), Schema(reading.schema.fields, seeded.schema.key))
        the_job = replace(the_job, format=form, changes=reading.changes)
        if reading.changes:
            the_job = the_job.with_load(key=seeded.schema.key)
        with connected.lease(the_job.target, the_job.pipeline) as lease:
            attempt = Attempt.begin(sink, the_job, connected, lease)
            with connected.stage(attempt.spec) as stage:
                for split in reading.splits:
                    with connected.writer(stage.ref, split.id) as writer:
                        for batch in source.read(request, split):
                            assert batch.format == form
                            writer.write(batch)
                staged = stage.seal()
                assert staged.received == len(seeded.rows)
                attempt.publish(stage, None)
    where = f"{form} from {seeded.rig.connector.name}"
    if alike is None:
        sink.assert_rows(the_job.target, seeded.rows, seeded.schema.fields, where)
    else:
        found, original = (plain_arrow(sink.sink_kit.rows(sink.endpoint, t)) for t in (the_job.target, alike))
        assert_same(found, original, seeded.schema.fields, where)
