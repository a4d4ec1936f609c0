"""Numbers of runs, as Prometheus and OpenTelemetry want them."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

import dpone
from dpone.observe import metrics
from dpone.observe.metrics import LAST_SUCCESS, OpenTelemetry, PrometheusFile, exposition, read_samples
from dpone.testing.shop import MANIFEST, Shop
from dpone.testing.testkit import Update

ORDERS = ("orders", "orders")


@pytest.fixture
def file(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DPONE_METRICS_FILE", "node/dpone.prom")
    return shop.folder / "node/dpone.prom"


def test_the_last_run_is_in_the_file(shop: Shop, file: Path) -> None:
    dpone.run("orders.yaml")
    found = read_samples(file.read_text(encoding="utf-8"))[ORDERS]
    assert found["dpone_last_run_succeeded"] == 1
    assert (found["dpone_last_run_read_rows"], found["dpone_last_run_inserted_rows"]) == (10, 10)
    assert found["dpone_target_rows"] == 10
    assert found["dpone_last_run_duration_seconds"] > 0
    assert found[LAST_SUCCESS] == found["dpone_last_run_timestamp_seconds"]
    assert [path.name for path in file.parent.iterdir() if path.suffix == ".prom"] == ["dpone.prom"]
    assert not list(file.parent.glob(".*.part"))


def test_a_failed_run_keeps_the_time_of_the_last_success(shop: Shop, file: Path) -> None:
    dpone.run("orders.yaml")
    before = read_samples(file.read_text(encoding="utf-8"))[ORDERS]
    shop.change(Update({"id": 3}, {"v": None}))
    shop.write(
        MANIFEST.replace("incremental_merge", "snapshot_diff").partition("  cursor")[0] + "checks: [{not_null: [v]}]\n"
    )
    dpone.run("orders.yaml")
    after = read_samples(file.read_text(encoding="utf-8"))[ORDERS]
    assert after["dpone_last_run_succeeded"] == 0
    assert after[LAST_SUCCESS] == before[LAST_SUCCESS] < after["dpone_last_run_timestamp_seconds"]
    assert after["dpone_last_run_inserted_rows"] == 0
    assert after["dpone_target_rows"] == 10


def test_other_manifests_stay_in_the_file(shop: Shop, file: Path) -> None:
    dpone.run("orders.yaml")
    shop.write(MANIFEST.replace("name: orders", 'name: "other"').replace("raw.orders", "raw.other"))
    dpone.run("orders.yaml")
    assert read_samples(file.read_text(encoding="utf-8")).keys() == {ORDERS, ("other", "other")}


def test_hostile_names_come_back_as_they_were() -> None:
    samples = {('a"b\\n', "c\nd} 1"): {LAST_SUCCESS: 1.5}, ("ü", "x"): {"dpone_target_rows": 3.0}}
    text = exposition(samples)
    assert read_samples(text) == samples
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines[0] == 'dpone_last_success_timestamp_seconds{manifest="a\\"b\\\\n",stream="c\\nd} 1"} 1.5'


def test_each_metric_has_its_help_and_type_once() -> None:
    samples = {(name, name): {LAST_SUCCESS: 1.0} for name in ("b", "a")}
    assert exposition(samples).splitlines()[:2] == [
        f"# HELP {LAST_SUCCESS} When a run of the stream last succeeded.",
        f"# TYPE {LAST_SUCCESS} gauge",
    ]
    assert exposition(samples).count("# TYPE") == 1


def test_a_file_that_cannot_be_written_is_reported_and_fails_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (shop.folder / "node").write_text("not a folder")
    monkeypatch.setenv("DPONE_METRICS_FILE", "node/dpone.prom")
    assert dpone.run("orders.yaml").succeeded
    assert "metrics could not be written" in caplog.text


def test_opentelemetry_counts_runs_rows_and_bytes(shop: Shop) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.metrics", reason="needs dpone-core[otel]")
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    observer = OpenTelemetry(sdk.MeterProvider([reader], shutdown_on_exit=False), "orders")
    assert dpone.run("orders.yaml", observers=[observer]).succeeded
    found: dict[str, list[Any]] = {}
    data = reader.get_metrics_data()
    assert data is not None
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        found[metric.name] = list(metric.data.data_points)
    rows = {point.attributes["dpone.operation"]: point.value for point in found["dpone.rows"]}
    assert rows == {"read": 10, "inserted": 10, "updated": 0, "deleted": 0}
    (run,) = found["dpone.runs"]
    assert (run.value, run.attributes["dpone.status"], run.attributes["dpone.stream"]) == (1, "succeeded", "orders")
    assert found["dpone.run.duration"][0].count == 1
    observer.close()


def test_a_missing_sdk_is_reported_with_its_pip_line(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics", None)
    with caplog.at_level(logging.WARNING):
        assert dpone.run("orders.yaml").succeeded
    assert "pip install 'dpone-core[otel]'" in caplog.text


def test_nothing_is_observed_unless_asked(shop: Shop) -> None:
    assert metrics.observers_of("orders", {}) == []
    assert metrics.observers_of("orders", {"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_SDK_DISABLED": "true"}) == []
    (only,) = metrics.observers_of("orders", {"DPONE_METRICS_FILE": "x"})
    assert isinstance(only, PrometheusFile)
