"""The BigQuery connector for dpone: its declaration, free of any driver."""

from __future__ import annotations

from dpone.connector import Connector, Profile, SinkSpec, lazy
from dpone.ops import OPS
from dpone_bigquery.config import BigQueryConfig
from dpone_bigquery.options import BigQuerySink
from dpone_bigquery.typemap import TYPES
from dpone_bigquery.wires import ACCEPTS

__all__ = ["BigQueryConfig", "BigQuerySink", "connector"]

connector = Connector(
    name="bigquery",
    distribution="dpone-connectors-bigquery",
    config=BigQueryConfig,
    types=TYPES,
    profile=Profile("bigquery_live", "credentials of Google Cloud are there, and the dataset that they may write to"),
    schemes=("bigquery",),
    sink=SinkSpec(
        ops=frozenset(OPS),
        accepts=ACCEPTS,
        options=BigQuerySink,
        open=lazy("dpone_bigquery.sink:connect"),
        atomic="transaction",
        dialect=lazy("dpone_bigquery.dialect:BigQueryDialect"),
    ),
)
