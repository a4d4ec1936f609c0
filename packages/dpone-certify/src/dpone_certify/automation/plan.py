"""The commands that produce and judge all evidence of a certification, in order. Pure: equal wishes, equal plan."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from msgspec import Struct

from dpone_certify.certification.document import Profile

EVIDENCE = PurePosixPath("test_artifacts")
RUN = ".dpone/demo/runs/first.json"
# What profile quick measured when the baseline was last taken (docs/testing/benchmark-baseline.md), and not what is
# aimed at. A ratio holds on any machine, rows per second do not.
BASELINE = {"ratio_to_control": {"value": 2.78, "direction": "lower", "unit": "× control"}}


class Wish(Struct, frozen=True):
    """What the plan is for. Keys are named as a person names them: a file, or env:NAME."""

    profile: Profile
    row_count: int
    release_id: str
    signing_key: str | None = None
    public_key: str | None = None


class Command(Struct, frozen=True):
    """A step: what it is for, its words, and the file that it leaves."""

    name: str
    words: tuple[str, ...]
    produces: str


def plan(wish: Wish) -> tuple[Command, ...]:
    """Every command of the chain; each reads what those before it wrote."""
    signed = ("--signing-key", wish.signing_key) if wish.signing_key else ()
    trusted = ("--public-key", wish.public_key) if wish.public_key else ()
    real = ("--minimum-fidelity", "vendor") if wish.profile == "vendor_live" else ()
    current, bench = EVIDENCE / "certification/current", EVIDENCE / "benchmarks/current"
    # the demo gives its runs the same ids each time, and a registry knows an id once
    registry, lineage = EVIDENCE / "run_registry" / wish.release_id, EVIDENCE / "lineage" / wish.release_id
    strategies, files = EVIDENCE / "strategies/certification_bundle", EVIDENCE / "ops/evidence"
    mutation = EVIDENCE / "certification/mutation"
    suite, chain = EVIDENCE / "certification/suite", EVIDENCE / "evidence_chain" / wish.release_id
    report, metrics = current / "certification_report.json", bench / "benchmark_metrics.json"
    baseline, entry = bench / "benchmark_baseline.json", registry / "first__run_registry.json"
    told, bundle = lineage / "first__openlineage_report.json", strategies / "strategy_certification_bundle.json"
    found, judged = files / "ops_evidence_bundle.json", suite / "certification_suite.json"
    index, head = chain / "artifact_index.json", chain / "evidence_chain_index.json"
    planted = mutation / "certification_mutation.json"
    roots = (current, mutation, bench, registry, lineage, strategies, files, suite)
    return (
        _ops(
            *("matrix", report, "certification-run", "--artifact-dir", current, "--profile", wish.profile),
            *("--row-count", str(wish.row_count), *signed),
        ),
        _ops("mutation", planted, "certification-mutation", "--artifact-dir", mutation, *signed),
        _ops("benchmark", metrics, "benchmark-run", "--output-dir", bench, "--profile", "quick", *signed),
        _ops(
            *("baseline", baseline, "benchmark-baseline", "--output-dir", bench, "--metrics-json", f"@{metrics}"),
            *("--baseline-json", json.dumps(BASELINE, ensure_ascii=False)),
        ),
        Command("run", ("python", "-m", "dpone.testing.demo"), RUN),
        _ops("registry", entry, "run-registry", "--run-result", RUN, "--output-dir", registry, *signed),
        _ops("lineage", told, "lineage-export", "--run-registry-entry", entry, "--output-dir", lineage),
        _ops(
            *("evidence", found, "evidence-bundle", "--run-id", wish.release_id, "--output-dir", files),
            *("--artifact", f"run={entry}", "--artifact", f"lineage={told}", "--artifact", f"baseline={baseline}"),
            *("--require", "run", "--require", "lineage"),
        ),
        Command(
            "strategies",
            (
                *("dpone", "strategy", "certification-bundle", "--bundle-id", wish.release_id),
                *("--output-dir", str(strategies), "--matrix-artifact", str(report)),
                *("--benchmark-artifact", str(baseline)),
            ),
            str(bundle),
        ),
        _ops(
            *("suite", judged, "certification-suite", "--output-dir", suite, "--suite-id", wish.release_id),
            *("--release-id", wish.release_id, "--certification-report", report, "--benchmark-baseline", baseline),
            *("--lineage-report", told, "--strategy-certification-bundle", bundle, "--evidence-bundle", found),
            *("--mutation-report", planted, "--minimum-mutation-score", "1"),
            *("--require-benchmark", "--require-measured", "--require-lineage"),
            *("--require-strategy-certification", "--require-evidence", *real, *trusted),
        ),
        _ops(
            *("index", index, "artifact-index", "--output-dir", chain, "--release-id", wish.release_id),
            *(word for root in roots for word in ("--root", root)),
        ),
        _ops(
            *("chain", head, "evidence-chain", "--release-id", wish.release_id, "--artifact-index", index),
            *("--chain-dir", chain, *signed),
        ),
        _ops("verify", head, "evidence-chain-verify", "--chain-dir", chain, *trusted),
    )


def _ops(name: str, produces: str | PurePosixPath, command: str, *words: str | PurePosixPath) -> Command:
    return Command(name, ("dpone", "ops", command, *map(str, words)), str(produces))
