"""The commands that dpone-certify adds to `dpone`: the groups `ops` and `strategy`."""

from __future__ import annotations

from dpone_certify.cli.table import CommandTable

ops = CommandTable(
    "ops",
    commands={
        "certification-run": ("dpone_certify.cli.certification_run:certification_run", "Carry out the matrix."),
        "integration-matrix-report": (
            "dpone_certify.cli.integration_matrix_report:integration_matrix_report",
            "Merge the parts of a matrix run into one report.",
        ),
        "connector-certification": (
            "dpone_certify.cli.connector_certification:connector_certification",
            "Run the conformance suite of each connector.",
        ),
        "certification-mutation": (
            "dpone_certify.cli.certification_mutation:certification_mutation",
            "Plant bugs, and require that they are noticed.",
        ),
        "benchmark-run": ("dpone_certify.cli.benchmark_run:benchmark_run", "Measure dpone beside a control."),
        "benchmark-baseline": (
            "dpone_certify.cli.benchmark_baseline:benchmark_baseline",
            "Hold measured numbers to a baseline.",
        ),
        "certification-suite": (
            "dpone_certify.cli.certification_suite:certification_suite",
            "Judge all evidence of a certification.",
        ),
        "evidence-bundle": ("dpone_certify.cli.evidence_bundle:evidence_bundle", "Bundle the files of a release."),
        "artifact-index": ("dpone_certify.cli.artifact_index:artifact_index", "Hash every file of a release."),
        "evidence-chain": ("dpone_certify.cli.evidence_chain:evidence_chain", "Chain what a release rests on."),
        "evidence-chain-verify": (
            "dpone_certify.cli.evidence_chain:evidence_chain_verify",
            "Verify a chain and all its artifacts.",
        ),
        "certification-history": (
            "dpone_certify.cli.certification_history:certification_history",
            "Compare a certification with the one before.",
        ),
        "connector-badges": ("dpone_certify.cli.connector_badges:connector_badges", "Write a badge for each pair."),
        "certification-automation-plan": (
            "dpone_certify.cli.certification_automation_plan:certification_automation_plan",
            "Print or carry out the full chain of evidence.",
        ),
        "release-summary": ("dpone_certify.cli.release_summary:release_summary", "Give one verdict over a release."),
        "run-registry": ("dpone_certify.cli.run_registry:run_registry", "Register a run by its record."),
        "lineage-export": ("dpone_certify.cli.lineage_export:lineage_export", "Write a run's OpenLineage events."),
        "dbt-lineage": ("dpone_certify.cli.dbt_lineage:dbt_lineage", "Judge a dbt run, stitched to dpone's targets."),
    },
    help="Certify, judge evidence, decide releases.",
)

strategy = CommandTable(
    "strategy",
    commands={
        "certification-bundle": (
            "dpone_certify.cli.certification_bundle:certification_bundle",
            "Bundle the evidence of strategies.",
        ),
    },
    help="Bundle the evidence of a strategy.",
)
