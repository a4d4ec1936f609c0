"""What `dpone doctor` says of BigQuery: whether we may run jobs, and where the dataset is."""

from __future__ import annotations

from collections.abc import Sequence

from dpone.connector import Finding
from dpone.errors import DponeError
from dpone_bigquery.config import BigQueryConfig
from dpone_bigquery.naming import Name
from dpone_bigquery.warehouse import connected


def examine(config: BigQueryConfig) -> Sequence[Finding]:
    """Each thing that a load needs, asked for by itself."""
    findings = []
    try:
        with connected(config) as warehouse:
            if config.dataset is None:
                datasets = warehouse.datasets(config.project)
                findings.append(Finding("datasets", bool(datasets), ", ".join(datasets) or "none", "make a dataset"))
                return findings
            at = Name(config.project, config.dataset, "")
            location = warehouse.location(at)
            findings.append(Finding("dataset", ok=True, found=f"{config.dataset} in {location}"))
            ((one,),) = warehouse.run("SELECT 1", at).rows
            findings.append(Finding("jobs", one == 1, f"a job ran in {config.project}"))
    except DponeError as error:
        findings.append(Finding("connection", ok=False, found=error.message, action=error.hint or ""))
    return findings
