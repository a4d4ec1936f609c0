"""Whether a dbt run counts as evidence: every node that could run did, and none failed."""

from __future__ import annotations

from collections.abc import Iterator

from dpone_certify.dbt.artifacts import Manifest, Node, RunResults
from dpone_certify.documents.document import Blocker

# `compile` and `docs generate` write run results, too, in which nothing was executed
EXECUTING = {"build", "run", "test", "seed", "snapshot", "retry"}
PASSED = {"success", "pass", "warn", "no-op", "reused"}
CODES = {"fail": "failed", "error": "error", "runtime error": "error", "skipped": "skipped"}
RUNS = {"model", "seed", "snapshot", "test", "unit_test"}


def executable(manifest: Manifest) -> dict[str, Node]:
    """The nodes of which a whole run has a result."""
    nodes = {**manifest.nodes, **manifest.unit_tests}
    return {
        name: node
        for name, node in nodes.items()
        if node.resource_type in RUNS and node.config.materialized != "ephemeral"
    }


def judge(manifest: Manifest, results: RunResults) -> Iterator[Blocker]:
    """Every reason why this dbt run is no proof."""
    which = results.args.which
    if which not in EXECUTING:
        yield Blocker(
            code=f"dbt.not_executed:{which}",
            message=f"the results are of `dbt {which}`, which executes no model and no test",
            action="give the run_results.json of `dbt build`, before another command replaces it",
        )
    expected = executable(manifest)
    if not expected:
        yield Blocker(code="dbt.empty", message="the project has nothing to run", action="give a manifest with models")
    seen: set[str] = set()
    for result in results.results:
        if result.unique_id in seen:
            yield Blocker(
                code=f"dbt.duplicate_result:{result.unique_id}",
                message="two results for one node",
                action="let dbt write its results again",
            )
        seen.add(result.unique_id)
        if result.status not in PASSED:
            count = f", {result.failures} rows" if result.failures else ""
            yield Blocker(
                code=f"dbt.{CODES.get(result.status, 'not_passed')}:{result.unique_id}",
                message=f"{result.unique_id} is {result.status}{count}",
                action="correct the model or its data, and run `dbt build` again",
            )
        known = result.unique_id in expected or result.unique_id in manifest.nodes
        if not known and not result.unique_id.startswith("operation."):
            yield Blocker(
                code=f"dbt.unknown_node:{result.unique_id}",
                message="the manifest does not have it: the two files are of different projects or times",
                action="give manifest and results of one run",
            )
    for name in expected:
        if name not in seen:
            yield Blocker(
                code=f"dbt.missing_result:{name}",
                message=f"{name} was not run",
                action="run the whole project: `dbt build` without selection",
            )
