"""The verdict of each kind of document, recomputed: what was changed in it by hand, and the reason in its words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from dpone.diff.report import Both, DiffReport, StreamDiff
from dpone_certify.baseline.document import BenchmarkBaseline, Given, hold
from dpone_certify.baseline.judge import compare
from dpone_certify.benchmark.document import BenchmarkMetrics
from dpone_certify.benchmark.targets import CONTROL, DPONE, IN_PROCESS
from dpone_certify.bundles.documents import EvidenceBundle, EvidenceItem, StrategyBundle, StrategyItem
from dpone_certify.dbt.document import DbtLineage
from dpone_certify.documents.document import Artifact, Blocker, now
from dpone_certify.evidence import recomputing
from dpone_certify.evidence.tree import Evidence, Flaw
from dpone_certify.lineage.document import LineageReport, events_of, judge_events
from evidence import made

if TYPE_CHECKING:
    from pydantic import BaseModel

Json = Any
PATH = Path("d.json")
BY_HAND = "produce it again; do not change it by hand"
FIRST = made.results()[0]
HEAD: dict[str, Any] = {
    "created_at": now(),
    "producer": "a test",
    "subject": made.here(),
    "passed": True,
    "blockers": (),
}


def of(document: BaseModel, *parts: Evidence) -> Evidence:
    return Evidence("d", PATH, "a" * 64, {}, document, parts=parts)


def data(name: str, value: object) -> Evidence:
    """Bytes that the judge of a document looks at."""
    return Evidence(name, Path(name), "a" * 64, value)


def reasons(judge: Callable[[Evidence], Iterator[Flaw]], evidence: Evidence) -> list[str]:
    """What contradicts the document, each told in the same way."""
    found = list(judge(evidence))
    assert all(flaw == Flaw("not_passed", flaw.message, BY_HAND) for flaw in found)
    assert all(flaw.message.startswith("d.json: ") for flaw in found)
    return [flaw.message.removeprefix("d.json: ") for flaw in found]


def test_what_its_model_says_is_all_there_is_to_say() -> None:
    assert list(recomputing.of_nothing(of(made.behavior(FIRST)))) == []


class TestReport:
    def test_one_that_holds_wherever_its_artifacts_lie(self) -> None:
        elsewhere = FIRST.model_copy(update={"artifact_path": "other.json", "repro": "another command"})
        artifact = replace(of(made.behavior(elsewhere)), name=FIRST.case_id)
        assert list(recomputing.of_report(of(made.report(), artifact, data("log", {})))) == []

    def test_what_its_cases_say_of_it(self) -> None:
        red = FIRST.model_copy(update={"state": "failed"})
        found = list(recomputing.of_report(of(made.report((red, *made.results()[1:])))))
        again = "produce the report again with `dpone ops certification-run`; do not change it by hand"
        assert found == [
            Flaw(
                "not_passed",
                "certification_report.not_passed: it says that it passed, its results say otherwise",
                again,
            ),
            Flaw(
                "not_passed",
                f"certification_report.case_not_passed:{FIRST.case_id}: its state is failed",
                f"look at {FIRST.artifact_path}; {FIRST.repro}",
            ),
        ]

    @pytest.mark.parametrize(
        "changes, code",
        [
            ({"results": made.results()[1:], "case_count": 199, "executed_count": 199}, "coverage_missing"),
            ({"case_count": 201}, "count_differs"),
            ({"registry_digest": "b" * 64}, "registry_differs"),
            (
                {"results": (*made.results(), FIRST), "case_count": 201, "executed_count": 201},
                "duplicate_case",
            ),
        ],
    )
    def test_what_is_wrong_with_its_form_keeps_its_own_name(self, changes: dict[str, Any], code: str) -> None:
        _, found = recomputing.of_report(of(made.report(**changes)))
        assert found.detail is not None
        assert found.detail.code.startswith(f"certification_report.{code}")
        assert found == Flaw(
            "not_passed", f"{found.detail.code}: {found.detail.message}", found.detail.action, found.detail
        )

    def test_a_case_without_an_artifact(self) -> None:
        bare = FIRST.model_copy(update={"artifact_path": None})
        assert list(recomputing.of_report(of(made.report((bare, *made.results()[1:]))))) == [
            Flaw("not_passed", f"{FIRST.case_id} has no artifact", BY_HAND)
        ]

    def test_an_artifact_that_says_something_else(self) -> None:
        other = FIRST.model_copy(update={"actual_row_count": 9})
        artifact = replace(of(made.behavior(other)), name=FIRST.case_id)
        message = f"{FIRST.artifact_path} says something else of {FIRST.case_id} than the report"
        code = f"certification_report.artifact_differs:{FIRST.case_id}"
        assert list(recomputing.of_report(of(made.report(), artifact))) == [
            Flaw("invalid", message, BY_HAND, Blocker(code=code, message=message, action=BY_HAND))
        ]


class TestConnectors:
    def test_those_that_hold(self) -> None:
        assert list(recomputing.of_connectors(of(made.connectors()))) == []

    def test_a_count_keeps_its_own_name_among_those_of_a_report(self) -> None:
        first, *others = made.connectors().connectors
        wrong = first.model_copy(update={"test_count": 9})
        message = "its counts are not those of its 1 tests"
        action = "produce it again with `dpone ops connector-certification`; do not change it by hand"
        code = f"count_differs:{first.connector}"
        assert list(recomputing.of_connectors(of(made.connectors(connectors=(wrong, *others))))) == [
            Flaw(
                "not_passed",
                f"connector_certification.{code}: {message}",
                action,
                Blocker(code=f"certification_report.{code}", message=message, action=action),
            )
        ]

    def test_a_connector_that_did_not_pass(self) -> None:
        first, *others = made.connectors().connectors
        wrong = first.model_copy(update={"passed": False})
        name = first.connector
        assert list(recomputing.of_connectors(of(made.connectors(connectors=(wrong, *others))))) == [
            Flaw(
                "not_passed",
                f"connector_certification.connector_not_passed:{name}: {name}: it says that it did not pass",
                f"dpone ops connector-certification --connector {name}",
            )
        ]


def test_the_mutants_decide() -> None:
    assert list(recomputing.of_mutation(of(made.mutation()))) == []
    assert list(recomputing.of_mutation(of(made.mutation(1)))) == [
        Flaw(
            "not_passed",
            "certification_mutation.survived:bug_0:full_refresh: bug_0 under full_refresh was not noticed",
            "let a check look at what this bug changes",
        )
    ]


COPY = 2  # the comparison of made.metrics() that copies rows


def metrics(change: Callable[[Json], object] = lambda _: None, **more: Any) -> list[str]:
    """What contradicts measurements that were changed in this way."""
    plain = made.metrics(**more).model_dump(mode="json")
    change(plain)
    return reasons(recomputing.of_metrics, of(BenchmarkMetrics.model_validate(plain)))


def side(name: str, **changes: Any) -> Callable[[Json], None]:
    """This contestant of the copy says something else."""
    return lambda m: m["comparisons"][COPY]["contestants"][name].update(changes)


class TestMetrics:
    ROWS = "full_refresh_1000000"

    def test_those_that_hold(self) -> None:
        assert metrics() == []
        assert metrics(wall=5.0) == [], "a target that is missed is told"
        assert metrics(lambda m: m.update(throughput_rows_per_second=m["throughput_rows_per_second"] * 1.015)) == []

    @pytest.mark.parametrize(
        "change, reason",
        [
            (
                lambda m: [c.update(rows=None) for c in m["comparisons"]],
                "it measured no copy",
            ),
            (lambda m: m["comparisons"][COPY]["contestants"].pop(DPONE), "dpone did not take part"),
            (lambda m: m["comparisons"][COPY]["contestants"].pop(CONTROL), f"{ROWS} has no control"),
            (lambda m: m["comparisons"][0]["contestants"].pop(CONTROL), "start_up has no control"),
            (
                lambda m: m.update(throughput_rows_per_second=900_000),
                "its throughput is not that of its turns",
            ),
            (
                lambda m: m.update(ratio_to_control=0.5),
                "its ratio to the control is not that of its turns",
            ),
            (side(IN_PROCESS, turns=[]), f"{ROWS}, in_process has no turns"),
            (side(IN_PROCESS, wall_seconds=3.0), f"{ROWS}, in_process: the median is not that of its turns"),
            (side(CONTROL, wall_seconds=3.0), f"{ROWS}, control: the median is not that of its turns"),
            (side(IN_PROCESS, memory_mb=40.0), f"{ROWS}, in_process: the memory is not that of its turns"),
            (side(IN_PROCESS, wall_ratio=None), f"{ROWS}, in_process: it is not told beside the control"),
            (side("first_load", cpu_ratio=None), f"{ROWS}, first_load: it is not told beside the control"),
            (
                lambda m: m["comparisons"][COPY]["contestants"][IN_PROCESS]["turns"].append(
                    {"wall_seconds": 3.2, "cpu_seconds": 1.0, "memory_mb": 50.0}
                ),
                f"{ROWS}, in_process: its turns are not those of the control",
            ),
            (
                lambda m: m["comparisons"][COPY]["contestants"][IN_PROCESS]["wall_ratio"].update(median=0.5),
                f"{ROWS}, in_process: the ratio is not that of its turns",
            ),
            (
                lambda m: [t.update(met=False) for t in m["targets"] if t["name"] == "start_up"],
                "it does not say truthfully whether the target start_up is met",
            ),
            (
                lambda m: m.update(targets=[t for t in m["targets"] if t["name"] != "wall_pg_ch"]),
                "it does not say truthfully whether the target wall_pg_ch is met",
            ),
        ],
    )
    def test_those_that_were_changed(self, change: Callable[[Json], object], reason: str) -> None:
        assert reason in metrics(change)

    def test_turns_without_time_are_no_turns_to_compare_with(self) -> None:
        def stop(plain: Json) -> None:
            control = plain["comparisons"][COPY]["contestants"][CONTROL]
            control["wall_seconds"] = 0.0
            for turn in control["turns"]:
                turn["wall_seconds"] = 0.0

        assert metrics(stop) == [
            f"{self.ROWS}, {name}: its turns are not those of the control" for name in (DPONE, "first_load", IN_PROCESS)
        ]

    def test_who_needs_no_time_has_no_throughput(self) -> None:
        def stop(plain: Json) -> None:
            ours = plain["comparisons"][COPY]["contestants"][DPONE]
            ours["wall_seconds"] = ours["wall_ratio"]["median"] = plain["ratio_to_control"] = 0.0
            for turn in ours["turns"]:
                turn["wall_seconds"] = 0.0

        assert metrics(stop) == ["its throughput is not that of its turns"]

    def test_the_largest_copy_counts(self) -> None:
        def smaller(plain: Json) -> None:
            copy = plain["comparisons"][COPY]
            plain["comparisons"].append({**copy, "name": "another", "rows": 10})
            plain["comparisons"].append({**copy, "name": "as large"})

        assert metrics(smaller) == []

    def test_medians_of_little_are_rounded(self) -> None:
        def little(plain: Json) -> None:
            plain["comparisons"][0]["contestants"][CONTROL]["wall_seconds"] += 0.0015

        assert metrics(little) == []

    def test_a_target_that_had_to_be_met_and_is_missed(self) -> None:
        assert metrics(targets_required=True) == []
        assert metrics(wall=5.0, targets_required=True) == ["the target wall_1m is missed"]
        assert metrics(lambda m: m.update(targets_required=True), wall=5.0) == ["the target wall_1m is missed"]

    def test_a_target_said_to_be_met_that_is_missed(self) -> None:
        def met(plain: Json) -> None:
            for target in plain["targets"]:
                target["met"] = True if target["met"] is False else target["met"]

        assert metrics(met, wall=5.0) == ["it does not say truthfully whether the target wall_1m is met"]


RATE = "throughput_rows_per_second"
HELD = {RATE: {"value": 200_000, "direction": "higher"}}


def baseline(**more: Any) -> BenchmarkBaseline:
    found = hold(Given({RATE: 250_000}), Given(HELD), 0.1, Path(), made.here())
    return found.model_copy(update=more)


class TestBaseline:
    def test_typed_numbers_that_hold(self) -> None:
        assert reasons(recomputing.of_baseline, of(baseline())) == []

    def measured(self, found: BenchmarkMetrics, **more: Any) -> list[str]:
        value = found.model_dump(mode="json")
        items = compare(value, HELD, 0.1).items
        document = baseline(**{"provenance": "measured", "items": items, **more})
        part = Evidence("benchmark_metrics", Path("m.json"), "a" * 64, value, found)
        return reasons(recomputing.of_baseline, of(document, part))

    def test_measured_numbers_that_hold(self) -> None:
        assert self.measured(made.metrics()) == []
        assert self.measured(made.metrics(wall=5.0), targets_missed=("wall_1m",), baseline={
            RATE: {"value": 200_000, "direction": "higher"}}) == []  # fmt: skip

    def test_a_missed_target_that_is_not_named(self) -> None:
        assert self.measured(made.metrics(wall=5.0)) == ["it does not name the targets that its measurement missed"]

    def test_numbers_of_a_measurement_that_is_not_there(self) -> None:
        wrong = ["it says that its numbers were measured, and names no measurement"]
        document = baseline(provenance="measured")
        assert reasons(recomputing.of_baseline, of(document)) == wrong
        assert reasons(recomputing.of_baseline, of(document, data("benchmark_metrics", {}))) == wrong

    def test_numbers_that_are_not_those_of_the_measurement(self) -> None:
        better = compare({RATE: 900_000}, HELD, 0.1).items
        assert self.measured(made.metrics(), items=better) == ["its items do not follow from its numbers"]

    def test_numbers_that_do_not_hold(self) -> None:
        items = compare({RATE: 100_000}, HELD, 0.1).items
        assert reasons(recomputing.of_baseline, of(baseline(items=items))) == [
            f"{RATE} is 100000, at least 180000 is allowed (10% from 200000)"
        ]
        assert reasons(recomputing.of_baseline, of(baseline(items=()))) == [
            f"{RATE} was not measured",
            "its items do not follow from its numbers",
        ]

    def test_an_item_without_a_number_was_not_measured(self) -> None:
        (item,) = baseline().items
        (first, *_) = reasons(recomputing.of_baseline, of(baseline(items=(item.model_copy(update={"actual": None}),))))
        assert first == f"{RATE} was not measured"

    def test_the_ratio_is_that_of_the_document(self) -> None:
        lower = {RATE: {"value": 260_000, "direction": "higher"}}
        items = compare({RATE: 250_000}, lower, 0.1).items
        strict = baseline(baseline=lower, items=items, allowed_regression_ratio=0.01)
        assert reasons(recomputing.of_baseline, of(strict)) == [
            f"{RATE} is 250000, at least 257400 is allowed (1% from 260000)",
            "its items do not follow from its numbers",
        ]


NAMESPACE = "dpone"
RECORD = Evidence("run_result", Path("one.json"), "a" * 64, {}, made.run())


def lineage(
    change: Callable[[Json], object] = lambda _: None, *parts: Evidence, record: Evidence | None = RECORD
) -> list[Flaw]:
    """What is found of a report whose events were changed, and which follows them as far as it can."""
    events = events_of(made.run(), NAMESPACE)
    jobs, _ = judge_events(events)
    report = LineageReport(
        **HEAD,
        run_id="one",
        pipeline="orders",
        namespace=NAMESPACE,
        inputs=(),
        events=Artifact(name="openlineage", path="e.json", sha256=None),
        event_count=len(events),
        jobs=tuple(jobs),
    )
    change(events)
    there = () if record is None else (record,)
    return list(recomputing.of_lineage(of(report, *(parts or (data("openlineage", events),)), *there)))


def messages(found: list[Flaw]) -> list[str]:
    return [flaw.message for flaw in found]


class TestLineage:
    OTHER = "d.json: its events are not those that the record of its run gives"

    def test_events_that_the_record_gives(self) -> None:
        assert lineage() == []
        entry = replace(of(made.behavior(FIRST), RECORD), name="run_registry_entry")
        assert lineage(record=entry) == [], "the record lies below the entry"

    def test_where_the_manifest_lay_does_not_matter(self) -> None:
        assert lineage(lambda e: e[0]["job"].update(facets={})) == []

    @pytest.mark.parametrize("part", [data("openlineage", None), data("openlineage", {}), data("other", [])])
    def test_no_events(self, part: Evidence) -> None:
        assert lineage(lambda _: None, part) == [Flaw("not_passed", "d.json: its events are not there", BY_HAND)]

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda e: e.insert(0, {}), id="without a job"),
            pytest.param(lambda e: e.insert(0, "START"), id="a text"),
            pytest.param(lambda e: e[1].update(inputs=["orders"]), id="a text as input"),
            pytest.param(lambda e: e[1].update(inputs=5), id="a number as inputs"),
            pytest.param(lambda e: e[-1].update(inputs=[{"namespace": 5, "name": "x"}]), id="a number as namespace"),
            pytest.param(lambda e: e[0]["job"].update(name=[]), id="a list as name"),
        ],
    )
    def test_events_that_are_none(self, change: Callable[[Json], object]) -> None:
        assert lineage(change) == [Flaw("invalid", "the events of d.json are no OpenLineage events", BY_HAND)]

    def test_no_record(self) -> None:
        assert messages(lineage(record=None)) == ["d.json: the record of its run is not there"]

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda e: e[0].update(eventTime="2020-01-01T00:00:00Z"), id="at another time"),
            pytest.param(lambda e: e[0].pop("eventTime"), id="at no time"),
            pytest.param(lambda e: e[0]["job"].update(namespace="other"), id="of a job elsewhere"),
            pytest.param(lambda e: e[0]["job"].pop("namespace"), id="of a job nowhere"),
            pytest.param(lambda e: e[1].pop("inputs"), id="without inputs"),
            pytest.param(lambda e: e[1].pop("outputs"), id="without outputs"),
            pytest.param(lambda e: e[1]["inputs"][0].update(name="other"), id="of another input"),
            pytest.param(lambda e: e[1]["inputs"][0].pop("name"), id="of an input without a name"),
            pytest.param(lambda e: e[1]["inputs"][0].update(namespace="other"), id="of another namespace"),
            pytest.param(lambda e: e[1]["outputs"][0].update(name="other"), id="of another output"),
        ],
    )
    def test_events_that_the_record_does_not_give(self, change: Callable[[Json], object]) -> None:
        assert lineage(change) == [Flaw("not_passed", self.OTHER, BY_HAND)]

    def test_jobs_that_are_not_those_of_the_events(self) -> None:
        def other(events: Json) -> None:
            for event in events:
                event["run"]["runId"] = "another"

        assert messages(lineage(other))[-2:] == ["d.json: its jobs are not those of its events", self.OTHER]

        def twice(events: Json) -> None:
            events.append(events[-1])

        found = messages(lineage(twice))
        assert len(found) == 3
        assert "one START and one COMPLETE are expected" in found[0]

    def test_a_job_that_failed(self) -> None:
        found = messages(lineage(lambda e: e[-1].update(eventType="FAIL")))
        assert "says START, FAIL, where one START and one COMPLETE are expected" in found[0]


def dbt(**parts: object) -> list[str]:
    document = DbtLineage(
        **HEAD,
        project="shop",
        adapter=None,
        dbt_version=None,
        invocation_id=None,
        inputs=(),
        events=Artifact(name="events", path="e.json", sha256=None),
        statuses={},
        nodes=(),
        edges=(),
        tests=(),
        stitched=(),
    )
    return reasons(recomputing.of_dbt, of(document, *(data(name, value) for name, value in parts.items())))


SCHEMAS = "https://schemas.getdbt.com/dbt"
MANIFEST: Json = {
    "metadata": {"dbt_schema_version": f"{SCHEMAS}/manifest/v12.json"},
    "nodes": {"a": {"unique_id": "a", "resource_type": "model", "name": "a"}},
}
RESULTS: Json = {
    "metadata": {"dbt_schema_version": f"{SCHEMAS}/run-results/v6.json"},
    "results": [{"unique_id": "a", "status": "success"}],
    "args": {"which": "build"},
}


class TestDbt:
    def test_a_run_that_is_whole(self) -> None:
        assert dbt(dbt_manifest=MANIFEST, dbt_run_results=RESULTS) == []

    def test_a_run_that_is_not(self) -> None:
        red = {**RESULTS, "results": [{"unique_id": "a", "status": "error"}]}
        assert dbt(dbt_manifest=MANIFEST, dbt_run_results=red) == ["a is error"]

    @pytest.mark.parametrize(
        "parts",
        [
            {},
            {"dbt_manifest": MANIFEST},
            {"dbt_run_results": RESULTS},
            {"dbt_manifest": MANIFEST, "dbt_run_results": []},
            {"dbt_manifest": {"metadata": {}}, "dbt_run_results": RESULTS},
            {"dbt_manifest": MANIFEST, "dbt_run_results": {**RESULTS, "results": "none"}},
        ],
    )
    def test_artifacts_that_are_not_there(self, parts: dict[str, object]) -> None:
        assert dbt(**parts) == ["the artifacts of dbt are not there, or cannot be read"]


class TestRuns:
    def test_the_record_of_a_run_is_there(self) -> None:
        entry = made.behavior(FIRST)  # any document: its parts are asked
        broken = Evidence("run_result", PATH, flaws=(Flaw("invalid", "it is no JSON", "write JSON"),))
        for part in (RECORD, broken):
            assert reasons(recomputing.of_run, of(entry, part)) == []
        for parts in ((), (data("run_result", {}),), (replace(RECORD, name="other"),)):
            assert reasons(recomputing.of_run, of(entry, *parts)) == ["the record of the run is not there"]

    def test_the_record_decides(self) -> None:
        assert list(recomputing.of_record(RECORD)) == []
        assert list(recomputing.of_record(of(made.run(status="lost")))) == [
            Flaw("not_passed", "run one is lost", "`dpone runs show` says where it stopped; run again")
        ]

    def test_a_replay_was_carried_out(self) -> None:
        assert reasons(recomputing.of_replay, of(made.replay())) == []
        assert reasons(recomputing.of_replay, of(made.planned_replay())) == ["it was planned and not carried out"]


def stream(name: str = "orders", **more: Any) -> StreamDiff:
    none = Both(source=0, target=0)
    values: dict[str, Any] = {
        "name": name,
        "source": "a",
        "sink": "b",
        "strategy": "full_refresh",
        "comparable": "all",
        "method": "rows",
        "columns": ("id",),
        "key": ("id",),
        "rows": none,
        "rows_fetched": none,
        "bytes_fetched": none,
        "equal": True,
        "seconds": 1.0,
    }
    return StreamDiff.model_validate({**values, **more})


@pytest.mark.parametrize(
    "streams, expected",
    [
        ((stream(), stream("other")), []),
        ((), ["nothing was compared"]),
        ((stream(), stream("other", equal=False)), ["other is not equal"]),
        ((stream(missing=({"id": 1},)),), ["diff.rows_differ:orders: 1 keys differ"]),
        (
            (stream(steady=False, equal=False),),
            ["diff.not_steady:orders: rows came or went while they were compared", "orders is not equal"],
        ),
    ],
)
def test_every_stream_is_equal(streams: tuple[StreamDiff, ...], expected: list[str]) -> None:
    report = DiffReport(**HEAD, manifest="orders.yaml", streams=streams)
    assert reasons(recomputing.of_diff, of(report)) == expected


def file_of(name: str, **more: Any) -> EvidenceItem:
    values: dict[str, Any] = {
        "name": name,
        "path": f"{name}.json",
        "present": True,
        "required": False,
        "opaque": False,
        "passed": True,
        "sha256": None,
        "summary": "",
    }
    return EvidenceItem.model_validate({**values, **more})


def bundle(*items: EvidenceItem) -> EvidenceBundle:
    return EvidenceBundle(**HEAD, run_id="one", items=items)


RUN = replace(RECORD, name="run")


class TestBundle:
    def test_one_that_holds_beside_files_that_nobody_judges(self) -> None:
        log = file_of("log", opaque=True, passed=False)
        assert reasons(recomputing.of_bundle, of(bundle(file_of("run"), log), RUN, data("log", {}))) == []

    def test_one_in_which_something_did_not_pass(self) -> None:
        items = (file_of("run"), file_of("other", passed=False))
        assert reasons(recomputing.of_bundle, of(bundle(*items), RUN)) == ["other did not pass"]

    def test_one_that_takes_a_text_for_a_document(self) -> None:
        items = (file_of("run"), file_of("text"))
        assert reasons(recomputing.of_bundle, of(bundle(*items), RUN, data("text", {}))) == ["text is no document"]

    @pytest.mark.parametrize("parts", [(), (data("log", {}),)])
    def test_one_in_which_there_is_nothing(self, parts: tuple[Evidence, ...]) -> None:
        assert reasons(recomputing.of_bundle, of(bundle(), *parts)) == ["there is nothing in it that can be judged"]

    def test_one_of_strategies(self) -> None:
        item = StrategyItem(
            kind="matrix", name="run", path="r.json", present=True, passed=False, sha256=None, summary=""
        )
        found = StrategyBundle(**HEAD, bundle_id="one", items=(item,), docs_links=())
        assert reasons(recomputing.of_bundle, of(found, RUN)) == ["run did not pass"]
