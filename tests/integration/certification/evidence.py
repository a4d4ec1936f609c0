"""All evidence of the full profile, from an empty folder by our own commands over real runs; nothing is made up.

The commands of the documentation are run as they stand there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dpone.testing.services.endpoint import Endpoint
from tests.integration.dbt.shop import MANIFEST, TABLES, carry_out, execute

PAGE = Path(__file__).parents[3] / "docs/how-to/certification-suite.md"
SUITE = "test_artifacts/certification/suite/certification_suite.json"
REPORT = "test_artifacts/certification/current/certification_report.json"
METRICS = "test_artifacts/benchmarks/current/benchmark_metrics.json"
BASELINE = "test_artifacts/benchmarks/current/benchmark_baseline.json"
LINEAGE = ".dpone/lineage/orders/run_01__openlineage_report.json"
DBT = ".dpone/dbt-lineage/orders/dbt_lineage.json"
STRATEGIES = "test_artifacts/strategy_certification/matrix/strategy_certification_bundle.json"
EVIDENCE = "test_artifacts/ops/evidence/ops_evidence_bundle.json"
REPLAYS = "test_artifacts/replay_integration"
ENTRY = ".dpone/run-registry/run_01__run_registry.json"
# As the documentation of the benchmark has it. A machine that does other work doubles a ratio; a quiet one is held to
# a tenth by `nox -s certify-full`.
HELD = '{"ratio_to_control":{"value":2.78,"direction":"lower"},"peak_memory_mb":{"value":100,"direction":"lower"}}'
MERGED = """\
version: 1
name: merged
source: {type: postgres, connection: shop, table: public.orders}
sink: {type: postgres, connection: shop, table: raw.merged}
strategy: {mode: incremental_merge, key: [id], cursor: {column: ordered_at, lag: 7d}}
"""


def block(heading: str) -> str:
    """The first commands below a heading of the page, as they stand there."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")
    return rest.partition("```bash\n")[2].partition("```")[0]


class Place(Struct, frozen=True):
    """A folder in which commands are typed, and what they may reach."""

    folder: Path
    server: Endpoint
    dbt: str

    def at(self, folder: Path) -> Place:
        return replace(self, folder=folder)

    def typed(self, commands: str, *, code: int = 0) -> str:
        """What the commands said on stdout; they ended with this code."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DPONE_", "OPENLINEAGE_"))}
        environ = {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(self.folder)}
        environ["DPONE_CONN_SHOP"] = self.server.url()
        shell = ["bash", "-euo", "pipefail", "-c", commands]
        done = subprocess.run(shell, cwd=self.folder, env=environ, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr[-3_000:]
        said = re.findall(r'"code": "([^"]+)"', done.stdout)  # of blockers, where a document was answered
        assert done.returncode == code, (said, commands, done.stdout[-2_000:], done.stderr[-2_000:])
        return done.stdout

    def dpone(self, words: str, *, code: int = 0) -> str:
        return self.typed(f"dpone {words}", code=code)

    def document(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / path).read_text(encoding="utf-8"))
        return found

    def write(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text, encoding="utf-8")

    def build(self) -> Path:
        """Where dbt left what it says of the project."""
        target = carry_out(self.dbt, "build", self.server, self.folder)
        return target.relative_to(self.folder)


def produce(here: Place) -> None:
    """The quickstart, and then everything that the full profile asks for."""
    here.typed(block("In three commands"))
    execute(here.server, TABLES)
    execute(here.server, "update public.orders set amount = 1 where id = 42")
    here.write("orders.yaml", MANIFEST.replace("name: shop", "name: orders"))
    run_and_lineage(here)
    replay(here)
    benchmark(here)
    here.dpone(
        f"strategy certification-bundle --output-dir {Path(STRATEGIES).parent} --matrix-artifact {REPORT} "
        f"--replay-evidence {REPLAYS}/resync_01_evidence.json --replay-evidence {REPLAYS}/resume_stopped_evidence.json "
        f"--benchmark-artifact {BASELINE} --signing-key signing.pem"
    )
    here.dpone("run orders.yaml --run-id run_02")  # a row has changed since
    here.dpone("diff orders.yaml --output diff.json")
    here.dpone(
        f"ops evidence-bundle --run-id run_01 --artifact run={ENTRY} --artifact lineage={LINEAGE} "
        "--artifact diff=diff.json --artifact manifest=orders.yaml --require run --require diff"
    )


def run_and_lineage(here: Place) -> None:
    """A real run, its record, what it read and wrote, and a dbt build over what it loaded."""
    here.typed(block("Signatures"))
    here.dpone("run orders.yaml --run-id run_01")
    here.dpone("ops run-registry --run-result .dpone/runs/run_01.json --signing-key signing.pem")
    here.dpone(f"ops lineage-export --run-registry-entry {ENTRY}")
    target = here.build()
    here.dpone(
        f"ops dbt-lineage --manifest {target}/manifest.json --run-results {target}/run_results.json "
        f"--run-registry-entry {ENTRY} --signing-key signing.pem"
    )


def replay(here: Place) -> None:
    """A load that a constraint of the target broke goes on from its stage; then one row is landed again."""
    here.write("merged.yaml", MERGED)
    here.dpone("run merged.yaml --run-id merged")
    execute(here.server, "alter table raw.merged add constraint no_seven check (id <> 7 or amount < 1000)")
    execute(here.server, "update public.orders set amount = 2000 where id = 7")
    here.dpone("run merged.yaml --run-id stopped", code=1)
    execute(here.server, "alter table raw.merged drop constraint no_seven")
    here.dpone(f"resume stopped --yes --artifact-dir {REPLAYS}")
    here.dpone(f"resync merged.yaml --key 7 --yes --run-id 01 --artifact-dir {REPLAYS}")


def benchmark(here: Place) -> None:
    here.dpone("ops benchmark-run --rounds 1 --signing-key signing.pem")
    here.dpone(
        f"ops benchmark-baseline --metrics-json @{METRICS} --baseline-json '{HELD}' --allowed-regression-ratio 0.9"
    )


def instead(commands: str, path: str, other: str | None) -> str:
    """The same commands with another file in a file's place, or without its option."""
    if other is not None:
        assert path in commands
        return commands.replace(path, other)
    changed, times = re.subn(rf"  --\S+ {re.escape(path)} \\\n", "", commands)
    assert times == 1
    return changed
