"""`dpone ops lineage-export`: the OpenLineage events of a run, from its record."""

from __future__ import annotations

from pathlib import Path

import click

from dpone.cli.options import RUNS, output_format


@click.command("lineage-export")
@click.option("--run-registry-entry", type=click.Path(path_type=Path), help="<run id>__run_registry.json of the run.")
@click.option("--run-id", metavar="ID", help="The run, by its id under .dpone/runs, instead of an entry.")
@click.option("--namespace", default="dpone", show_default=True, help="The namespace of dpone's jobs.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the events and the report go.  [default: .dpone/lineage/<pipeline>]",
)
@output_format(markdown=True)
def lineage_export(
    *, run_registry_entry: Path | None, run_id: str | None, namespace: str, output_dir: Path | None, output_format: str
) -> None:
    """Write a run's lineage; exit 1 unless the run succeeded and every job of it is COMPLETE."""
    from dpone.observe.record import refuse_bad_run_id
    from dpone_certify.cli.answers import conclude, file_name
    from dpone_certify.documents.canonical import write
    from dpone_certify.documents.reading import missing
    from dpone_certify.documents.subject import subject
    from dpone_certify.lineage.document import Registered, export, markdown_of, of_entry, of_record

    if run_registry_entry is not None and run_id is not None:
        raise click.UsageError("give --run-registry-entry or --run-id, not both")
    if run_registry_entry is not None:
        run = of_entry(run_registry_entry)
    elif run_id is not None:
        refuse_bad_run_id(run_id)
        run = of_record(RUNS / f"{run_id}.json")
    else:
        run = Registered(run_id="unknown", result=None, blockers=(missing("run_registry_entry", None),))
    pipeline = run.result.pipeline if run.result else run.run_id
    folder = output_dir or Path(".dpone/lineage") / file_name(pipeline)
    name = file_name(run.run_id)
    events_path, report_path = folder / f"{name}__openlineage.json", folder / f"{name}__openlineage_report.json"
    report, events = export(run, namespace, events_path, subject())
    write(events_path, events)
    write(report_path, report.to_json())
    conclude(report, markdown_of(report), output_format, [events_path, report_path])
