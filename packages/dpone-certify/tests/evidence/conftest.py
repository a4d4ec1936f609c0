"""The command line, key pairs as files, and a folder in which all evidence of a release is green."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from msgspec import Struct

from dpone.cli import main
from dpone.testing.shop import Answer, Dpone, open_shop
from dpone_certify.signing.envelope import write_signed
from dpone_certify.signing.keys import signer_of
from evidence import made

Pair = tuple[Path, Path]
ARTIFACTS = Path(__file__).parents[1] / "dbt" / "artifacts"

CURRENT = "test_artifacts/certification/current"
REPORT = f"{CURRENT}/certification_report.json"
METRICS = "test_artifacts/benchmarks/current/benchmark_metrics.json"
BASELINE = "test_artifacts/benchmarks/current/benchmark_baseline.json"
ENTRY = ".dpone/run-registry/run_01__run_registry.json"
LINEAGE = ".dpone/lineage/orders/run_01__openlineage_report.json"
DBT = ".dpone/dbt-lineage/orders/dbt_lineage.json"
REPLAY = "test_artifacts/replay_integration/resync_01_evidence.json"
STRATEGY = "test_artifacts/strategy_certification/matrix/strategy_certification_bundle.json"
EVIDENCE = "test_artifacts/ops/evidence/ops_evidence_bundle.json"
SUITE = "test_artifacts/certification/suite/certification_suite.json"
CONNECTORS = "test_artifacts/connectors/connector_certification.json"
MUTATION = "test_artifacts/mutation/certification_mutation.json"
RELEASE = "v1"
SUITES = {kind: f"test_artifacts/suite/{kind}/certification_suite.json" for kind in ("matrix", "connectors")}
CHAINS = {kind: f"test_artifacts/evidence_chain/{kind}" for kind in ("replay", "matrix", "connectors")}
ROOTS = {
    "replay": ["test_artifacts/replay_integration"],
    "matrix": [CURRENT, "test_artifacts/strategy_certification/matrix", "test_artifacts/suite/matrix"],
    "connectors": ["test_artifacts/connectors", "test_artifacts/suite/connectors"],
}
RATE = '{"throughput_rows_per_second": {"value": 280000, "direction": "higher"}}'


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Dpone:
    def answer(*args: str) -> Answer:
        capsys.readouterr()  # of commands that prepared this one
        code = run(*args)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        if out.startswith("{"):
            said = {b["code"].partition(":")[0] for b in json.loads(out).get("blockers", ())}
            assert said <= anchors(), "a blocker without an anchor: run `python .ci/blockers_page.py`"
        return Answer(code, out, err)

    return answer


@functools.cache
def anchors() -> frozenset[str]:
    """The blockers that the documentation explains."""
    page = Path(__file__).parents[4] / "docs/reference/blockers.md"
    return frozenset(re.findall(r"\{: #(\S+) \}", page.read_text(encoding="utf-8")))


def run(*args: str) -> int:
    os.environ.pop("DPONE_SPEAKS_JSON", None)
    with pytest.raises(SystemExit) as ended:
        main(list(args))
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return code or 0


def make_pair(folder: Path, name: str) -> Pair:
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def pair(tmp_path: Path) -> Callable[[str], Pair]:
    """Makes a pair: the file of the private and the file of the public key."""
    return lambda name: make_pair(tmp_path, name)


class World(Struct, frozen=True):
    """A folder of evidence, and the pair of keys with which its raw results were signed."""

    folder: Path
    private: Path
    public: Path

    def __truediv__(self, path: str) -> Path:
        return self.folder / path


@pytest.fixture(scope="session")
def green(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Everything that the full profile asks for, produced by our commands where they are quick, and signed."""
    folder = tmp_path_factory.mktemp("green")
    (folder / "keys").mkdir()
    private, public = make_pair(folder / "keys", "ours")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        for name in ("OPENLINEAGE_URL", "DPONE_LINEAGE", "DPONE_METRICS_FILE"):
            patch.delenv(name, raising=False)
        patch.setenv("DPONE_TESTING", "1")
        produce(folder, private)
    return World(folder, private, public)


def produce(folder: Path, private: Path) -> None:
    import dpone

    signer = signer_of(str(private))
    found = made.results()
    write_signed(folder / REPORT, made.report(found).to_json(), signer)
    for each in found:
        write_signed(folder / CURRENT / f"{each.case_id}__behavior.json", made.behavior(each).to_json(), None)
    write_signed(folder / METRICS, made.metrics().to_json(), signer)
    write_signed(folder / CONNECTORS, made.connectors().to_json(), signer)
    write_signed(folder / MUTATION, made.mutation().to_json(), signer)
    open_shop(folder)
    dpone.run("orders.yaml", run_id="run_01")
    replayed = ("resync", "orders.yaml", "--all", "--yes", "--run-id", "01", "--artifact-dir", str(Path(REPLAY).parent))
    assert run(*replayed) == 0
    shutil.copytree(ARTIFACTS / "v12_green", folder / "target")
    key = ("--signing-key", str(private))
    commands = (
        ("ops", "run-registry", "--run-result", ".dpone/runs/run_01.json", *key),
        ("ops", "lineage-export", "--run-registry-entry", ENTRY),
        (
            *("ops", "dbt-lineage", "--manifest", "target/manifest.json"),
            *("--run-results", "target/run_results.json", "--output-dir", str(Path(DBT).parent), *key),
        ),
        ("ops", "benchmark-baseline", "--metrics-json", f"@{METRICS}", "--baseline-json", RATE),
        (
            *("strategy", "certification-bundle", "--output-dir", str(Path(STRATEGY).parent)),
            *("--matrix-artifact", REPORT, "--benchmark-artifact", BASELINE, "--replay-evidence", REPLAY, *key),
        ),
        (
            *("ops", "evidence-bundle", "--artifact", f"run={ENTRY}", "--artifact", f"lineage={LINEAGE}"),
            *("--artifact", "manifest=orders.yaml", "--require", "run"),
        ),
    )
    for command in (*commands, *release_commands(private)):
        assert run(*command) == 0, command


def release_commands(private: Path | None, release: str = RELEASE) -> list[tuple[str, ...]]:
    """Two suites and three chains, from the reports that are there."""
    key = ("--signing-key", str(private)) if private is not None else ()
    return [suite_command(kind, release) for kind in SUITES] + [
        command for kind in CHAINS for command in chain_commands(kind, release, key)
    ]


def suite_command(kind: str, release: str = RELEASE) -> tuple[str, ...]:
    bundle = ("--strategy-certification-bundle", STRATEGY) if kind == "matrix" else ()
    return (
        *("ops", "certification-suite", "--suite-id", f"{kind}_{release}", "--release-id", release),
        *("--output-dir", str(Path(SUITES[kind]).parent)),
        *("--certification-report", REPORT if kind == "matrix" else CONNECTORS, *bundle),
    )


def chain_commands(kind: str, release: str = RELEASE, key: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    roots = [word for root in ROOTS[kind] for word in ("--root", root)]
    index = f"{CHAINS[kind]}/{release}_index"
    return [
        ("ops", "artifact-index", *roots, "--output-dir", index, "--release-id", release),
        (
            *("ops", "evidence-chain", "--release-id", release, "--chain-dir", CHAINS[kind]),
            *("--artifact-index", f"{index}/artifact_index.json", *key),
        ),
    ]


def summary(*more: str) -> tuple[str, ...]:
    """The verdict over the release."""
    return (
        *("ops", "release-summary", "--release-id", RELEASE, "--replay-chain-dir", CHAINS["replay"]),
        *("--matrix-suite", SUITES["matrix"], "--matrix-chain-dir", CHAINS["matrix"]),
        *("--connector-suite", SUITES["connectors"], "--connector-chain-dir", CHAINS["connectors"]),
        *("--format", "json", *more),
    )


def verify(kind: str = "matrix", *more: str) -> tuple[str, ...]:
    return ("ops", "evidence-chain-verify", "--chain-dir", CHAINS[kind], "--format", "json", *more)


@pytest.fixture
def world(green: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A copy of the green folder, to be broken."""
    folder = tmp_path / "world"
    shutil.copytree(green.folder, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return World(folder, folder / "keys/ours.pem", folder / "keys/ours.pub")


def full(*more: str) -> tuple[str, ...]:
    """The full evidence profile."""
    return (
        *("ops", "certification-suite", "--suite-id", "oss_release_candidate", "--certification-report", REPORT),
        *("--benchmark-baseline", BASELINE, "--lineage-report", LINEAGE, "--dbt-lineage-report", DBT),
        *("--strategy-certification-bundle", STRATEGY, "--evidence-bundle", EVIDENCE),
        *("--require-benchmark", "--require-lineage", "--require-dbt-lineage"),
        *("--require-strategy-certification", "--require-evidence", "--format", "json", *more),
    )
