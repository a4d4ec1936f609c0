from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from dpone.errors import DponeError
from dpone.integration_matrix import SPECIFIED, capabilities
from dpone.manifest.connections import from_url
from dpone_bigquery import BigQueryConfig, BigQuerySink, connector

CANARY = '{"private_key": "cAnArY-71"}'


def config(**given: object) -> BigQueryConfig:
    return BigQueryConfig.model_validate({"project": "my-project", **given})


def test_it_declares_what_the_matrix_specifies() -> None:
    assert capabilities(connector) == next(c for c in SPECIFIED if c.name == "bigquery")


def test_declaring_needs_no_driver_and_no_arrow() -> None:
    code = "import sys, dpone_bigquery; print({'google.cloud', 'google.auth', 'pyarrow', 'duckdb'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


# ------------------------------------------------------------------------ connection


def test_credentials_are_never_shown() -> None:
    found = config(auth="key", credentials=CANARY)
    assert "cAnArY-71" not in repr(found) + str(found) + found.model_dump_json() + found.label
    with pytest.raises(ValidationError) as refused:
        config(credentials=CANARY)
    with pytest.raises(ValidationError) as unknown:
        config(credentialz=CANARY)
    assert "cAnArY-71" not in str(refused.value) + repr(refused.value) + str(unknown.value)


@pytest.mark.parametrize(
    "given",
    [
        {"auth": "key"},
        {"auth": "key", "credentials": CANARY, "credentials_file": "/key.json"},
        {"credentials_file": "/key.json"},
        {"auth": "anonymous"},
        {"endpoint": "http://bigquery.example.org"},
        {"endpoint": "http://localhost.example.org"},
        {"endpoint": "ftp://localhost"},
        {"endpoint": "https://"},
        {"endpoint": "https://me:secret@bigquery.example.org"},
        {"project": ""},
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        config(**given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"auth": "key", "credentials_file": "/key.json", "impersonate": "loader@my-project.iam.gserviceaccount.com"},
        {"auth": "anonymous", "endpoint": "http://127.0.0.1:9050"},
        {"endpoint": "https://bigquery-private.example.org"},
        {"quota_project": "other", "location": "EU", "maximum_bytes_billed": 10**9},
    ],
)
def test_every_way_of_saying_who_we_are_can_be_written(given: dict[str, object]) -> None:
    assert config(**given).label == "my-project"


def test_every_field_says_what_it_is() -> None:
    for model in (BigQueryConfig, BigQuerySink):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_url_says_the_same_as_its_parts(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.touch()
    url = f"bigquery://my-project/raw?location=EU&auth=key&credentials_file={key}"
    expected = config(dataset="raw", location="EU", auth="key", credentials_file=key)
    assert from_url(url, connector).resolve({}) == expected
    assert expected.label == "my-project.raw"
    with pytest.raises(DponeError):
        from_url("bigquery://me:secret@my-project/raw", connector)


# ---------------------------------------------------------------------------- options


def test_a_table_is_named_by_up_to_three_parts() -> None:
    assert BigQuerySink(table="orders").target().name == ("orders",)
    assert BigQuerySink(table='"my-project".raw.orders').target().name == ("my-project", "raw", "orders")


def test_storage_is_told_as_data() -> None:
    sink = BigQuerySink.model_validate(
        {
            "table": "raw.orders",
            "partition_by": {"column": "created", "grain": "month"},
            "cluster_by": ("customer", "country"),
            "partition_expiration": "90d",
            "labels": {"team": "sales"},
            "kms_key": "projects/p/locations/eu/keyRings/r/cryptoKeys/k",
        }
    )
    assert sink.target().options["partition_by"] == {"column": "created", "grain": "month"}
    ranges = {"table": "t", "partition_by": {"column": "id", "start": 0, "end": 100, "step": 10}}
    assert BigQuerySink.model_validate(ranges).target().options["partition_by"]["step"] == 10


@pytest.mark.parametrize(
    "given",
    [
        {"table": "a.b.c.d"},
        {"table": "t", "cluster_by": ("a", "b", "c", "d", "e")},
        {"table": "t", "require_partition_filter": True},
        {"table": "t", "partition_by": {"column": "id", "start": 0}},
        {"table": "t", "partition_by": {"column": "id", "start": 5, "end": 5, "step": 1}},
        {"table": "t", "partition_by": {"column": "id", "start": 0, "end": 5, "step": 1, "grain": "day"}},
        {"table": "t", "labels": {"Team": "x"}},
        {"table": "t", "kms_key": "k') --"},
    ],
)
def test_what_bigquery_has_not_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BigQuerySink.model_validate(given)
