"""What a person writes with google-cloud-bigquery alone: one load job of the JSON objects that come, one a line.

A program of its own, which the benchmark measures dpone beside: `python plain.py PROJECT DATASET TABLE [ENDPOINT]`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile


def main(project: str, dataset: str, table: str, endpoint: str | None = None) -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    nobody = AnonymousCredentials() if endpoint else None  # type: ignore[no-untyped-call]  # the library has no types
    where = {"api_endpoint": endpoint} if endpoint else None
    client = bigquery.Client(project, credentials=nobody, client_options=where)
    to = client.get_table(f"{project}.{dataset}.{table}")
    how = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON, schema=to.schema, write_disposition="WRITE_APPEND"
    )
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        client.load_table_from_file(file, to.reference, rewind=True, job_config=how).result()


if __name__ == "__main__":
    main(*sys.argv[1:])
