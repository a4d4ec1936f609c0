"""The emulator behaves as the documentation says where a load depends on it, and refuses what it cannot do."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from dpone.testing.services.ports import LOOPBACK
from dpone_bigquery.emulator import GAPS
from dpone_bigquery.emulator.answers import Refused
from dpone_bigquery.emulator.definitions import parse_copy, parse_options
from dpone_bigquery.emulator.service import DATASET, PROJECT, EmulatedBigQuery
from dpone_bigquery.emulator.statements import split


@pytest.fixture(scope="module")
def client() -> Iterator[bigquery.Client]:
    with EmulatedBigQuery() as endpoint:
        assert endpoint.host == LOOPBACK
        yield bigquery.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]  # the library leaves it open
            client_options={"api_endpoint": f"http://{endpoint.host}:{endpoint.port}"},
        )


def run(client: bigquery.Client, statement: str, session: str | None = None, **more: Any) -> Any:
    config = bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.{DATASET}")
    if session:
        config.connection_properties = [bigquery.ConnectionProperty("session_id", session)]
    job = client.query(statement, config, job_retry=None, **more)
    job.result(job_retry=None)
    return job


def rows(client: bigquery.Client, query: str, session: str | None = None) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in run(client, query, session).result()]


def opened(client: bigquery.Client) -> str:
    job = client.query("BEGIN TRANSACTION", bigquery.QueryJobConfig(create_session=True))
    job.result()
    assert job.session_info is not None
    return str(job.session_info.session_id)


def test_the_page_names_every_gap() -> None:
    page = Path(__file__).parents[3] / "docs/testing/bigquery-emulators.md"
    listed = [line[2:] for line in page.read_text("utf-8").splitlines() if line.startswith("- ")]
    assert listed == list(GAPS)


def test_an_id_of_a_job_is_used_once(client: bigquery.Client) -> None:
    run(client, "SELECT 1", job_id="once")
    with pytest.raises(Conflict):
        run(client, "SELECT 1", job_id="once")


def test_a_transaction_is_seen_by_its_session_alone_until_it_is_committed(client: bigquery.Client) -> None:
    run(client, "CREATE TABLE seen AS SELECT 1 AS id")
    session = opened(client)
    run(client, "INSERT INTO seen SELECT 2", session)
    assert rows(client, "SELECT COUNT(*) FROM seen", session) == [(2,)]
    assert rows(client, "SELECT COUNT(*) FROM seen") == [(1,)]
    run(client, "COMMIT TRANSACTION", session)
    assert rows(client, "SELECT COUNT(*) FROM seen") == [(2,)]


def test_what_an_aborted_session_did_is_undone(client: bigquery.Client) -> None:
    run(client, "CREATE TABLE undone AS SELECT 1 AS id")
    session = opened(client)
    run(client, "DELETE FROM undone WHERE TRUE", session)
    run(client, f"CALL BQ.ABORT_SESSION('{session}')")
    assert rows(client, "SELECT id FROM undone") == [(1,)]
    with pytest.raises(NotFound):
        run(client, "COMMIT TRANSACTION", session)


def test_a_script_that_fails_in_a_transaction_leaves_nothing(client: bigquery.Client) -> None:
    run(client, "CREATE TABLE scripted AS SELECT 1 AS id")
    with pytest.raises(NotFound):
        run(client, "BEGIN TRANSACTION; INSERT INTO scripted SELECT 2; SELECT 1 / (SELECT id FROM nowhere.x); COMMIT")
    assert rows(client, "SELECT id FROM scripted") == [(1,)]


def test_two_transactions_do_not_change_one_table(client: bigquery.Client) -> None:
    run(client, "CREATE TABLE contended AS SELECT id FROM UNNEST([1, 2]) AS id")
    first, second = opened(client), opened(client)
    run(client, "UPDATE contended SET id = 10 WHERE id = 1", first)
    with pytest.raises(BadRequest, match="concurrent"):
        run(client, "UPDATE contended SET id = 20 WHERE id = 2", second)
    run(client, "COMMIT TRANSACTION", first)


def test_a_transaction_does_not_change_what_changed_since_it_began(client: bigquery.Client) -> None:
    run(client, "CREATE TABLE moved AS SELECT 1 AS id")
    session = opened(client)
    run(client, "UPDATE moved SET id = 2 WHERE TRUE")
    with pytest.raises(BadRequest, match="concurrent"):
        run(client, "UPDATE moved SET id = 3 WHERE TRUE", session)


def test_transactions_that_only_add_rows_do_not_disturb_each_other(client: bigquery.Client) -> None:
    run(client, "CREATE TABLE added AS SELECT 1 AS id")
    sessions = [opened(client), opened(client)]
    for session in sessions:
        run(client, "INSERT INTO added SELECT 2", session)
    for session in sessions:
        run(client, "COMMIT TRANSACTION", session)
    assert rows(client, "SELECT COUNT(*) FROM added") == [(3,)]


def test_a_transaction_takes_no_definition(client: bigquery.Client) -> None:
    session = opened(client)
    with pytest.raises(BadRequest, match="DDL"):
        run(client, "CREATE TABLE never (id INT64)", session)


def test_a_merge_tells_apart_what_it_did(client: bigquery.Client) -> None:
    run(client, "CREATE TABLE merged AS SELECT id, 'a' AS v FROM UNNEST([1, 2, 3]) AS id")
    merge = """MERGE INTO merged AS t USING (SELECT id, 'b' AS v FROM UNNEST([2, 3, 4]) AS id) AS s ON t.id = s.id
      WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v)"""
    stats = run(client, merge).dml_stats
    assert (stats.inserted_row_count, stats.updated_row_count, stats.deleted_row_count) == (1, 2, 0)


def test_a_copy_takes_rows_columns_and_labels_along(client: bigquery.Client) -> None:
    run(client, "CREATE TABLE original (id INT64 NOT NULL, n NUMERIC(10, 2)) OPTIONS (labels = [('a', 'b')])")
    run(client, "INSERT INTO original VALUES (1, NUMERIC '2.50')")
    run(client, "CREATE TABLE copied AS SELECT 9 AS other")
    run(client, "CREATE OR REPLACE TABLE copied COPY original")
    found = client.get_table(f"{PROJECT}.{DATASET}.copied")
    assert found.labels == {"a": "b"}
    assert [(f.name, f.mode, f.precision) for f in found.schema] == [("id", "REQUIRED", None), ("n", "NULLABLE", 10)]
    assert found.num_rows == 1


def test_lines_of_json_are_loaded_all_or_none(client: bigquery.Client) -> None:
    schema = [
        bigquery.SchemaField("id", "INTEGER", "REQUIRED"),
        bigquery.SchemaField("price", "NUMERIC", precision=12, scale=2),
        bigquery.SchemaField("at", "TIMESTAMP"),
        bigquery.SchemaField("details", "JSON"),
    ]
    table = client.create_table(bigquery.Table(f"{PROJECT}.{DATASET}.lines", schema))
    how = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", schema=schema)

    def load(text: str) -> Any:
        return client.load_table_from_file(io.BytesIO(text.encode()), table.reference, job_config=how).result()

    first = '{"id": 1, "price": 1.25, "at": "2026-01-02T03:04:05.000006Z", "details": {"a": [1, null]}}\n'
    assert load(first + '{"id": 2}\n').output_rows == 2
    with pytest.raises(BadRequest):
        load('{"id": 3}\n{"id": null}\n')
    with pytest.raises(BadRequest):
        load('{"id": "three"}\n')
    found = rows(client, f"SELECT id, CAST(price AS STRING), at, details FROM `{DATASET}.lines` ORDER BY id")
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert found == [(1, "1.25", moment, {"a": [1, None]}), (2, None, None, None)]


def test_no_comparison_is_true_of_nan(client: bigquery.Client) -> None:
    run(client, "CREATE TABLE floats AS SELECT CAST('NaN' AS FLOAT64) AS x UNION ALL SELECT 1.5")
    for condition, found in {"x > 0": 1, "x < 9": 1, "x = x": 1, "x <> x": 1, "IS_NAN(x)": 1, "x >= 2": 0}.items():
        assert rows(client, f"SELECT COUNT(*) FROM floats WHERE {condition}") == [(found,)], condition


@pytest.mark.parametrize(
    "statement", ["SELEC 1", "DROP SCHEMA x", "CREATE VIEW v AS SELECT 1", "SELECT * FROM `a`.`b`"]
)
def test_what_it_cannot_do_is_an_error(client: bigquery.Client, statement: str) -> None:
    with pytest.raises(GoogleAPICallError):
        run(client, statement)


def test_a_table_is_known_to_the_catalog(client: bigquery.Client) -> None:
    run(client, "CREATE TABLE listed (id INT64)")
    query = f"SELECT COUNT(*) FROM `{DATASET}`.INFORMATION_SCHEMA.TABLES WHERE table_name = 'listed'"
    assert rows(client, query) == [(1,)]


# ------------------------------------------------------------------------------ its reading


def test_statements_are_told_apart_by_semicolons_outside_of_texts() -> None:
    assert split("SELECT ';' ; SELECT `a;b` FROM `t`;\n") == ["SELECT ';'", "SELECT `a;b` FROM `t`"]


def test_copies_are_read_with_their_options() -> None:
    found = parse_copy("CREATE OR REPLACE TABLE `p`.`d`.`a b` COPY `p`.`d`.`c` OPTIONS (description = 'it\\'s')")
    assert found is not None
    assert found.source is not None
    assert found.source.name == "c"
    assert parse_options(found.text) == {"description": "it's"}
    assert parse_copy("CREATE TABLE a AS SELECT 1") is None
    with pytest.raises(Refused):
        parse_options("CREATE TABLE a (b INT64) OPTIONS (nothing_known = 1)")
