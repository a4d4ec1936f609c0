"""The wire format that BigQuery takes: Arrow batches, which the sink writes as Parquet files for load jobs."""

from __future__ import annotations

from dpone.batch import ARROW, Wire

ACCEPTS = (Wire(ARROW),)
