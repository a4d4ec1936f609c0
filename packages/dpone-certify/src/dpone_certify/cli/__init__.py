"""The commands that dpone-certify adds to `dpone`: the groups `ops` and `strategy`."""

from __future__ import annotations

from dpone_certify.cli.table import CommandTable

ops = CommandTable(
    "ops",
    commands={
        "benchmark-run": ("dpone_certify.cli.benchmark_run:benchmark_run", "Measure dpone beside a control."),
    },
    help="Certify, judge evidence, decide releases.",
)

strategy = CommandTable("strategy", commands={}, help="Bundle the evidence of a strategy.")
