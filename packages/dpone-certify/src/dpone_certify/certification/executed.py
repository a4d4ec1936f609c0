"""Cases whose two ends are services: seeded, loaded, changed, loaded again, through the real runner and real drivers.

All cases of a group read the same source table, each writes a target of its own. They go through the same steps side
by side, so that the source is filled and changed once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from dpone.integration_matrix import Case
from dpone_certify.certification.altered import carry_out_small
from dpone_certify.certification.at_volume import carry_out_whole
from dpone_certify.certification.document import Ends, Providers, Volume
from dpone_certify.certification.driving import Drive
from dpone_certify.certification.faults import certify_faults
from dpone_certify.certification.outcome import Outcome
from dpone_certify.certification.running import Running, Step
from dpone_certify.certification.serving import Served
from dpone_certify.certification.source import Source
from dpone_certify.certification.volume import volume_of
from dpone_certify.certification.wide import wide_columns

STEPS = ("first_load", "second_load", "unchanged_rerun", "position", "empty_source", "added_column")
_SMALL = 40  # rows of the table that is emptied and altered
_FEW = 12  # wide columns of that table


class Group(Struct, frozen=True):
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
    carry_out_whole(Source(source, f"src_{token}", group.volume, columns), running, told)
    if group.brief:
        return [one.found for one in running]
    small = replace_wide(volume_of(_SMALL, 0.3, 0.1, group.volume.seed), _FEW)
    carry_out_small(Source(source, f"small_{token}", small, columns[:_FEW]), running, told)
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
