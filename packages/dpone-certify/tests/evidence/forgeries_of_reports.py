"""What somebody may try with a report, a baseline, lineage, dbt, a replay or a bundle."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from dpone_certify.certification.document import Ends
from dpone_certify.documents.canonical import sha256_of
from dpone_certify.signing.envelope import envelope_of, write_signed
from evidence import made
from evidence.conftest import (
    ARTIFACTS,
    BASELINE,
    CONNECTORS,
    CURRENT,
    DBT,
    ENTRY,
    EVIDENCE,
    LINEAGE,
    METRICS,
    MUTATION,
    REPLAY,
    REPORT,
    STRATEGY,
    World,
    full,
)
from evidence.forging import Forgery, Json, both, edit, edited, put, rebase, rebundle, reported, whitewash

CASE = "postgres_to_postgres__full_refresh"
EVENTS = ".dpone/lineage/orders/run_01__openlineage.json"
RATE = "throughput_rows_per_second"
SLOW = '{"throughput_rows_per_second": {"value": 200000, "direction": "higher"}}'
HIGHER = f'{{"{RATE}": {{"value": 1, "direction": "higher"}}}}'


def held(metrics: str, baseline: str = HIGHER) -> tuple[str, ...]:
    return (
        *("ops", "benchmark-baseline", "--metrics-json", metrics, "--baseline-json", baseline),
        *("--output-dir", "held", "--format", "json"),
    )


def bundle(*options: str) -> tuple[str, ...]:
    return ("strategy", "certification-bundle", *options, "--output-dir", "bundled", "--format", "json")


def without(case_id: str) -> Any:
    def change(report: Json) -> None:
        report["results"] = [r for r in report["results"] if r["case_id"] != case_id]
        report["case_count"] = report["executed_count"] = len(report["results"])

    return change


def doubled(report: Json) -> None:
    report["results"].append(report["results"][0])
    report["case_count"] = report["executed_count"] = len(report["results"])


def invented(report: Json) -> None:
    report["results"].append({**report["results"][0], "case_id": "postgres_to_oracle__full_refresh", "sink": "oracle"})
    report["case_count"] = report["executed_count"] = len(report["results"])


def emptied(report: Json) -> None:
    report.update(results=[], case_count=0, executed_count=0)


def failing(result: Json) -> None:
    result.update(state="failed", passed=False, actual_row_count=9_999)


def by_hand(world: World) -> None:
    """A whole report that nobody measured, with an artifact for each case."""
    found = made.results()
    write_signed(world / REPORT, made.report(found).to_json(), None)
    rebundle()


def raised(world: World) -> None:
    """What was proven by contract alone is said to be real."""
    found = tuple(r.model_copy(update={"fidelity": Ends(source="vendor", sink="vendor")}) for r in made.results())
    write_signed(world / REPORT, made.report(found).to_json(), None)
    for each in found:
        write_signed(world / CURRENT / f"{each.case_id}__behavior.json", made.behavior(each).to_json(), None)
    rebundle()


def signature_of_another(world: World) -> None:
    by_hand(world)
    shutil.copy(envelope_of(world / ENTRY), envelope_of(world / REPORT))


def faster(world: World) -> None:
    """Only the number at the top is better than what was measured."""
    edit(world / METRICS, put(900_000, RATE))
    rebase(world)


def target_met_by_word(world: World) -> None:
    """A measurement that missed a target says that it met it."""
    missed_a_target(world)
    edit(world / METRICS, put(True, "targets", 0, "met"))
    rebase(world, SLOW)


def missed_target_untold(world: World) -> None:
    missed_a_target(world)
    edit(world / BASELINE, put([], "targets_missed"))
    rebundle()


def missed_a_target(world: World) -> None:
    """The baseline holds all the same, and names the target."""
    write_signed(world / METRICS, made.metrics(wall=5.0).to_json(), None)
    rebase(world, SLOW)


def measured_by_nobody(world: World) -> None:
    write_signed(world / METRICS, made.metrics(wall=2.0).to_json(), None)
    rebase(world)


def huge(world: World) -> None:
    with (world / REPORT).open("r+b") as file:
        file.truncate(200_000_000)


def linked(world: World) -> None:
    (world / REPORT).rename(world / CURRENT / "real.json")
    (world / REPORT).symlink_to("real.json")


def twice_said(world: World) -> None:
    text = (world / REPORT).read_text()
    (world / REPORT).write_text(text.replace('"passed": true,', '"passed": true, "passed": true,', 1))


def red_dbt(world: World) -> None:
    """The results are those of a run with errors, and the document over them knows their hashes and says green."""
    for name in ("manifest.json", "run_results.json"):
        shutil.copy(ARTIFACTS / "v12_red" / name, world / "target" / name)

    def change(document: Json) -> None:
        for artifact in document["inputs"]:
            path = (world / DBT).parent / artifact["path"]
            artifact["sha256"] = sha256_of(path)

    edit(world / DBT, change)


def failed_event(world: World) -> None:
    """One job ended with FAIL, and the report knows the hash of that."""
    events = json.loads((world / EVENTS).read_text())
    events[-1]["eventType"] = "FAIL"
    (world / EVENTS).write_text(json.dumps(events))
    edit(world / LINEAGE, put(sha256_of(world / EVENTS), "events", "sha256"))


def failed_run(world: World) -> None:
    """The run failed; its entry, its events and their report say that it did not."""
    record = world / ".dpone/runs/run_01.json"
    edit(record, lambda r: r.update(status="failed"))
    edit(world / ENTRY, put(sha256_of(record), "run_result", "sha256"))
    edit(world / LINEAGE, put(sha256_of(world / ENTRY), "inputs", 0, "sha256"))


def unread(name: str) -> Any:
    """A bundle over a text that nobody can judge."""

    def forge(world: World) -> None:
        (world / "README.md").write_text("all is well")
        edit(
            world / STRATEGY,
            lambda b: b["items"][0].update(path="../../../README.md", sha256=sha256_of(world / "README.md")),
        )

    return forge


def fifo(world: World) -> None:
    (world / REPORT).unlink()
    os.mkfifo(world / REPORT)


SCORE = full("--mutation-report", MUTATION, "--minimum-mutation-score", "1")
COUNTS = "certification_report.count_differs"

REPORTS = [
    Forgery("a hand-written report", by_hand, "certification_report.unsigned", needs_key=True),
    Forgery(
        "fidelity raised to vendor",
        raised,
        "certification_report.unsigned",
        full("--minimum-fidelity", "vendor"),
        needs_key=True,
    ),
    Forgery("the signature of another document", signature_of_another, "certification_report.unsigned", needs_key=True),
    Forgery("zero cases", reported(emptied), "certification_report.empty"),
    Forgery("one case missing", reported(without(CASE)), f"certification_report.coverage_missing:{CASE}"),
    Forgery(
        "an unknown case", reported(invented), "certification_report.unknown_case:postgres_to_oracle__full_refresh"
    ),
    Forgery("a case twice", reported(doubled), "certification_report.duplicate_case"),
    Forgery(
        "one case missing, by a selection",
        reported(lambda r: (without(CASE)(r), put("postgres_to_postgres__replace", "selection", "case_id")(r))),
        f"certification_report.coverage_missing:{CASE}",
    ),
    Forgery(
        "a report of another commit",
        reported(put("0" * 40, "subject", "commit")),
        "certification_report.subject_mismatch",
    ),
    Forgery(
        "a report about nothing",
        reported(lambda r: r["subject"].update(distributions={}, commit=None, dirty=None, lock_digest=None)),
        "certification_report.subject_mismatch",
    ),
    Forgery("a changed count", reported(put(201, "case_count")), f"{COUNTS}:case_count"),
    Forgery(
        "contract cases counted as executed",
        reported(lambda r: r.update(executed_count=199, contract_count=1)),
        f"{COUNTS}:executed_count",
    ),
    Forgery(
        "passed over a failed result",
        reported(lambda r: failing(r["results"][3]), artifacts=True),
        "certification_report.not_passed",
    ),
    Forgery(
        "passed over rows that differ",
        reported(put(9_999, "results", 3, "actual_row_count"), artifacts=True),
        "certification_report.not_passed",
    ),
    Forgery(
        "nothing was checked",
        reported(put([], "results", 3, "checks"), artifacts=True),
        "certification_report.not_passed",
    ),
    Forgery(
        "a result that its artifact does not know",
        reported(put("b" * 64, "results", 3, "expected_checksum")),
        "certification_report.artifact_differs",
    ),
    Forgery(
        "a case under another's name",
        reported(put("replace", "results", 0, "strategy"), artifacts=True),
        "certification_report.invalid",
    ),
    Forgery("another matrix", reported(put("0" * 64, "registry_digest")), "certification_report.registry_differs"),
    Forgery(
        "no artifact of a case",
        lambda w: (w / CURRENT / f"{CASE}__behavior.json").unlink(),
        "certification_report.not_passed",
    ),
    Forgery(
        "an artifact elsewhere",
        reported(put("/etc/passwd", "results", 0, "artifact_path")),
        "certification_report.invalid",
    ),
    Forgery(
        "a stale report",
        reported(put("2020-01-01T00:00:00Z", "created_at")),
        "certification_report.stale",
        full("--max-age", "24h"),
    ),
    Forgery(
        "a report from the future", reported(put("2100-01-01T00:00:00Z", "created_at")), "certification_report.invalid"
    ),
    Forgery("duplicated keys", twice_said, "certification_report.invalid"),
    Forgery("a document of 200 MB", huge, "certification_report.invalid"),
    Forgery("a link instead of a report", linked, "certification_report.invalid"),
    Forgery("a pipe instead of a report", fifo, "certification_report.invalid"),
    Forgery(
        "a state that does not exist", reported(put("certainly", "results", 0, "state")), "certification_report.invalid"
    ),
    Forgery(
        "an infinite number",
        lambda w: (w / REPORT).write_text(
            (w / REPORT).read_text().replace('"duration_seconds": 50.0', '"duration_seconds": 1e999')
        ),
        "certification_report.invalid",
    ),
    Forgery(
        "a narrowed scope is no way around a case",
        reported(without(CASE)),
        f"certification_report.coverage_missing:{CASE}",
        full("--scope", "postgres_to_*"),
    ),
    Forgery(
        "survivors hidden",
        edited(MUTATION, lambda m: m["mutants"][0].update(state="survived")),
        "mutation_report.not_passed",
        SCORE,
    ),
    Forgery(
        "a score raised",
        lambda w: write_signed(
            w / MUTATION,
            made.mutation(3).model_copy(update={"score": 1.0, "passed": True, "blockers": ()}).to_json(),
            None,
        ),
        "mutation_report.score_below",
        SCORE,
    ),
]

NUMBERS = [
    Forgery("NaN", lambda _: None, "benchmark_metrics.invalid", held(f'{{"{RATE}": NaN}}')),
    Forgery("-Infinity", lambda _: None, "benchmark_metrics.invalid", held(f'{{"{RATE}": -Infinity}}')),
    Forgery("a number beyond all numbers", lambda _: None, "benchmark_metrics.invalid", held(f'{{"{RATE}": 1e999}}')),
    Forgery("a number said twice", lambda _: None, "benchmark_metrics.invalid", held(f'{{"{RATE}": 0, "{RATE}": 9}}')),
    Forgery("a missing metric", lambda _: None, f"benchmark.missing_metric:{RATE}", held("{}")),
    Forgery(
        "an unknown direction",
        lambda _: None,
        "benchmark.unknown_direction:m",
        held('{"m": 1}', '{"m": {"value": 1, "direction": "better"}}'),
    ),
    Forgery("an empty baseline", lambda _: None, "benchmark.empty_baseline", held('{"m": 1}', "{}")),
    Forgery(
        "true as a number",
        lambda _: None,
        "benchmark.invalid_metric:m",
        held('{"m": true}', '{"m": {"value": 1, "direction": "higher"}}'),
    ),
    Forgery(
        "a better number in the baseline",
        edited(BASELINE, put(900_000, "items", 0, "actual")),
        "benchmark_baseline.not_passed",
    ),
    Forgery("a missed target said to be met", target_met_by_word, "benchmark_baseline.not_passed"),
    Forgery("a missed target left out", missed_target_untold, "benchmark_baseline.not_passed"),
    Forgery("metrics changed afterwards", edited(METRICS, put(900_000, RATE)), "benchmark_baseline.invalid"),
    Forgery("a number that its turns do not give", faster, "benchmark_baseline.not_passed"),
    Forgery("a measurement that nobody made", measured_by_nobody, "benchmark_baseline.unsigned", needs_key=True),
    Forgery(
        "typed numbers said to be measured",
        lambda _: None,
        "benchmark_baseline.not_measured",
        full("--benchmark-baseline", "typed/benchmark_baseline.json", "--require-measured"),
    ),
]

RUNS = [
    Forgery("a dbt run with an error", red_dbt, "dbt_lineage_report.not_passed"),
    Forgery("no results of dbt", lambda w: (w / "target/run_results.json").unlink(), "dbt_lineage_report.not_passed"),
    Forgery("a FAIL event", failed_event, "lineage_report.not_passed"),
    Forgery("lineage of a run that failed", failed_run, "lineage_report.not_passed"),
    Forgery("lineage without its events", lambda w: (w / EVENTS).unlink(), "lineage_report.not_passed"),
    Forgery(
        "a replay that never ran",
        edited(REPLAY, put("plan", "mode")),
        f"replay.invalid:{REPLAY}",
        bundle("--replay-evidence", REPLAY),
    ),
    Forgery(
        "a replay that did not finish",
        edited(REPLAY, put("planned", "operations", 3, "status")),
        f"replay.invalid:{REPLAY}",
        bundle("--replay-evidence", REPLAY),
    ),
    Forgery(
        "a replay edited under its bundle",
        edited(REPLAY, put("other", "run_id")),
        "strategy_certification_bundle.invalid",
    ),
    Forgery("an empty strategy bundle", lambda _: None, "strategy_bundle.empty", bundle()),
    Forgery(
        "an emptied strategy bundle", edited(STRATEGY, put([], "items")), "strategy_certification_bundle.not_passed"
    ),
    Forgery("a text as evidence", unread("README.md"), "strategy_certification_bundle.invalid"),
    Forgery(
        "a report as another kind of evidence",
        lambda _: None,
        f"matrix.invalid:{REPLAY}",
        bundle("--matrix-artifact", REPLAY),
    ),
    Forgery(
        "an empty evidence bundle",
        lambda _: None,
        "evidence_bundle.empty",
        ("ops", "evidence-bundle", "--output-dir", "bundled", "--format", "json"),
    ),
    Forgery(
        "an evidence bundle of opaque files",
        lambda _: None,
        "evidence_bundle.empty",
        ("ops", "evidence-bundle", "--artifact", "a=orders.yaml", "--output-dir", "bundled", "--format", "json"),
    ),
    Forgery(
        "an evidence bundle that says that it passes",
        both(edited(".dpone/runs/run_01.json", put("failed", "status")), whitewash(EVIDENCE)),
        "evidence_bundle.not_passed",
    ),
    Forgery(
        "a run nobody signed", lambda w: envelope_of(w / ENTRY).unlink(), "lineage_report.unsigned", needs_key=True
    ),
    Forgery(
        "a connector left out",
        edited(CONNECTORS, lambda c: c["connectors"].pop()),
        "certification_report.connector_missing:bigquery",
        full("--certification-report", CONNECTORS),
    ),
    Forgery(
        "a failed test in a green connector",
        edited(
            CONNECTORS,
            lambda c: c["connectors"][0]["tests"].append(
                {**c["connectors"][0]["tests"][0], "name": "another", "state": "failed"}
            ),
        ),
        "certification_report.not_passed",
        full("--certification-report", CONNECTORS),
    ),
]


def prepare(world: World) -> None:
    """What some forgeries find there: numbers that were typed."""
    from evidence.conftest import run

    run("ops", "benchmark-baseline", "--metrics-json", '{"m": 1}', "--baseline-json",
        '{"m": {"value": 1, "direction": "higher"}}', "--output-dir", str(Path("typed")))  # fmt: skip
