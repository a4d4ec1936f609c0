"""BIGNUMERIC in the emulator: 38 digits on each side of the point, wherever a load may meet one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core.exceptions import BadRequest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpone_bigquery.emulator.numbers import shifted, spelled
from dpone_bigquery.emulator.service import DATASET, PROJECT, EmulatedBigQuery

WIDE = "1" * 38 + "." + "9" * 37 + "8"
SMALLEST = "0." + "0" * 37 + "1"
GREATEST = "578960446186580977117854925043439539266.34992332820282019728792003956564819967"  # as the documentation says
LEAST = "-578960446186580977117854925043439539266.34992332820282019728792003956564819968"
EXACT = Context(prec=100)


@pytest.fixture(scope="module")
def client() -> Iterator[bigquery.Client]:
    with EmulatedBigQuery() as endpoint:
        yield bigquery.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]  # the library leaves it open
            client_options={"api_endpoint": f"http://{endpoint.host}:{endpoint.port}"},
        )


def run(client: bigquery.Client, statement: str) -> list[tuple[Any, ...]]:
    config = bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.{DATASET}")
    return [tuple(row) for row in client.query(statement, config, job_retry=None).result(job_retry=None)]


def one(client: bigquery.Client, expression: str) -> Any:
    return run(client, f"SELECT {expression}")[0][0]


@pytest.mark.parametrize("number", [WIDE, SMALLEST, "-" + SMALLEST, GREATEST, LEAST, "0", "-7.5"])
def test_a_number_is_stored_and_answered_to_its_last_digit(client: bigquery.Client, number: str) -> None:
    run(client, "CREATE OR REPLACE TABLE held (n BIGNUMERIC)")
    run(client, f"INSERT INTO held (n) VALUES (BIGNUMERIC '{number}')")
    assert run(client, f"SELECT n FROM held WHERE n = BIGNUMERIC '{number}'") == [(Decimal(number),)]
    assert client.get_table(f"{PROJECT}.{DATASET}.held").schema[0].field_type == "BIGNUMERIC"
    listed = client.list_rows(f"{PROJECT}.{DATASET}.held")
    assert [row[0] for row in listed] == [Decimal(number)]


@pytest.mark.parametrize("beyond", [GREATEST[:-1] + "8", LEAST[:-1] + "9", "1" + "0" * 39])
def test_a_number_beyond_the_bounds_is_refused(client: bigquery.Client, beyond: str) -> None:
    with pytest.raises(BadRequest, match="BIGNUMERIC"):
        one(client, f"BIGNUMERIC '{beyond}'")
    with pytest.raises(BadRequest, match="BIGNUMERIC"):
        one(client, f"CAST(CONCAT('{beyond}', '') AS BIGNUMERIC)")


NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal(-(10**38)), max_value=Decimal(10**38))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(NUMBERS.map(lambda n: n.quantize(Decimal(SMALLEST), context=EXACT)), min_size=1, max_size=5))
def test_order_and_sum_are_those_of_the_numbers(client: bigquery.Client, numbers: list[Decimal]) -> None:
    rows = ", ".join(f"BIGNUMERIC '{number:f}'" for number in numbers)
    found = run(client, f"SELECT n, SUM(n) OVER () FROM UNNEST([{rows}]) AS n ORDER BY n")
    assert [row[0] for row in found] == sorted(numbers)
    total = numbers[0]
    for number in numbers[1:]:
        total = EXACT.add(total, number)
    assert found[0][1] == total
    assert all(Decimal(spelled(shifted(f"{number:f}") or "")) == number for number in numbers)


@pytest.mark.parametrize(
    "expression, value",
    [
        ("BIGNUMERIC '1.5' = 1.5", True),
        ("BIGNUMERIC '2' = 2", True),
        ("2 < BIGNUMERIC '2.00000000000000000000000000000000000001'", True),
        ("BIGNUMERIC '2' IS DISTINCT FROM NUMERIC '2'", False),
        ("BIGNUMERIC '2' IN (1, 2, 3)", True),
        ("BIGNUMERIC '2.5' BETWEEN 2 AND 3", True),
        ("COALESCE(CAST(NULL AS BIGNUMERIC), 7)", Decimal(7)),
        ("CASE WHEN TRUE THEN 3 ELSE BIGNUMERIC '1' END", Decimal(3)),
        ("IF(FALSE, 3, BIGNUMERIC '1')", Decimal(1)),
        ("GREATEST(BIGNUMERIC '1.5', 2)", Decimal(2)),
        ("BIGNUMERIC '1.5' + 2", Decimal("3.5")),
        ("2 - BIGNUMERIC '1.5'", Decimal("0.5")),
        ("-BIGNUMERIC '1.5'", Decimal("-1.5")),
        ("CAST(BIGNUMERIC '1.50' AS STRING)", "1.5"),
        ("CAST(BIGNUMERIC '-0.5' AS FLOAT64)", -0.5),
        ("CAST(BIGNUMERIC '12' AS INT64)", 12),
        ("CAST(BIGNUMERIC '2.0000000005' AS NUMERIC)", Decimal("2.000000001")),
        ("CAST(1.5 AS BIGNUMERIC)", Decimal("1.5")),
        ("CAST('1.5' AS BIGNUMERIC)", Decimal("1.5")),
        ("CAST(2.345 AS BIGNUMERIC(3, 2))", Decimal("2.35")),
        ("(SELECT MAX(n) FROM UNNEST([BIGNUMERIC '1', BIGNUMERIC '3']) AS n)", Decimal(3)),
        ("(SELECT t + 1 FROM (SELECT SUM(n) AS t FROM UNNEST([BIGNUMERIC '1', BIGNUMERIC '3']) AS n))", Decimal(5)),
        ("TO_JSON_STRING(BIGNUMERIC '1.5')", "1.5"),
    ],
)
def test_it_meets_other_numbers_as_a_number(client: bigquery.Client, expression: str, value: object) -> None:
    assert one(client, expression) == value


@pytest.mark.parametrize("expression", ["ABS(n)", "AVG(n)", "n * 2", "ROUND(n)", "CONCAT(n, '')", "SQRT(n + 1)"])
def test_what_it_lacks_is_refused_and_never_wrong(client: bigquery.Client, expression: str) -> None:
    run(client, "CREATE OR REPLACE TABLE lacking AS SELECT BIGNUMERIC '1.5' AS n")
    with pytest.raises(BadRequest, match="emulator has no"):
        run(client, f"SELECT {expression} FROM lacking")
    with pytest.raises(BadRequest, match="emulator unites no"):
        run(client, "SELECT n FROM lacking UNION ALL SELECT 1")


def test_every_way_of_writing_takes_any_number(client: bigquery.Client) -> None:
    run(client, "CREATE OR REPLACE TABLE written (id INT64, n BIGNUMERIC, m BIGNUMERIC(5, 2))")
    run(client, "INSERT INTO written VALUES (1, 1, 2), (2, NUMERIC '1.5', 2.345)")
    run(client, "INSERT INTO written (m, id) SELECT 7, 3")
    run(client, "UPDATE written SET n = 9 WHERE id = 3")
    run(
        client,
        """MERGE INTO written AS t USING (SELECT 1 AS id, 5 AS n UNION ALL SELECT 4, 6) AS s ON t.id = s.id
        WHEN MATCHED AND t.n IS DISTINCT FROM s.n THEN UPDATE SET n = s.n, m = s.n
        WHEN NOT MATCHED THEN INSERT (id, n, m) VALUES (s.id, s.n, 1)""",
    )
    found = [tuple(map(str, row)) for row in run(client, "SELECT id, n, m FROM written ORDER BY id")]
    assert found == [("1", "5", "5"), ("2", "1.5", "2.35"), ("3", "9", "7"), ("4", "6", "1")]
    with pytest.raises(BadRequest, match="range"):
        run(client, "INSERT INTO written (id, m) VALUES (5, 1000)")


def test_a_column_becomes_one(client: bigquery.Client) -> None:
    run(client, "CREATE OR REPLACE TABLE widened AS SELECT 12 AS n UNION ALL SELECT NULL")
    run(client, "ALTER TABLE widened ALTER COLUMN n SET DATA TYPE BIGNUMERIC")
    assert run(client, "SELECT n FROM widened WHERE n = 12") == [(Decimal(12),)]
    run(client, f"INSERT INTO widened VALUES (BIGNUMERIC '{WIDE}')")
    run(client, "CREATE OR REPLACE TABLE widened_copy COPY widened")
    assert one(client, "(SELECT MAX(n) FROM widened_copy)") == Decimal(WIDE)


def test_a_load_job_brings_76_digits_also_inside_of_lists_and_records(client: bigquery.Client) -> None:
    wide, narrow = Decimal(WIDE), Decimal("1.25")
    rows = pa.table(
        {
            "n": pa.array([wide, None], pa.decimal256(76, 38)),
            "m": pa.array([narrow, -narrow], pa.decimal128(10, 2)),
            "l": pa.array([[wide, narrow], []], pa.list_(pa.decimal256(76, 38))),
            "r": pa.array(
                [{"a": wide, "b": 1}, {"a": None, "b": 2}], pa.struct([("a", pa.decimal256(76, 38)), ("b", pa.int64())])
            ),
        }
    )
    file = io.BytesIO()
    pq.write_table(rows, file)
    file.seek(0)
    schema = [
        bigquery.SchemaField("n", "BIGNUMERIC"),
        bigquery.SchemaField("m", "BIGNUMERIC"),
        bigquery.SchemaField("l", "BIGNUMERIC", mode="REPEATED"),
        bigquery.SchemaField(
            "r", "RECORD", fields=[bigquery.SchemaField("a", "BIGNUMERIC"), bigquery.SchemaField("b", "INT64")]
        ),
    ]
    config = bigquery.LoadJobConfig(schema=schema, source_format="PARQUET")
    client.load_table_from_file(file, f"{PROJECT}.{DATASET}.loaded", job_config=config).result()
    assert run(client, "SELECT n, m, l, r FROM loaded ORDER BY m DESC") == [
        (wide, narrow, [wide, narrow], {"a": wide, "b": 1}),
        (None, -narrow, [], {"a": None, "b": 2}),
    ]
