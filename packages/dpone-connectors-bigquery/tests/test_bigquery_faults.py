from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.auth.credentials import AnonymousCredentials
from requests.exceptions import ConnectionError as BrokenConnection

from dpone.errors import DponeError, RemoteError
from dpone_bigquery import BigQueryConfig
from dpone_bigquery.credentials import credentials_of
from dpone_bigquery.faults import translated
from dpone_bigquery.warehouse import connected, job_id

SECRET = "cAnArY-72"
UNTYPED: Any = SimpleNamespace(**{**vars(exceptions), **vars(auth_exceptions)})
SCOPES = ("https://www.googleapis.com/auth/bigquery",)


def answered(status: int, reason: str | None, message: str = SECRET) -> exceptions.GoogleAPICallError:
    errors = [{"reason": reason, "message": message}] if reason else []
    made: Any = exceptions.from_http_status  # the library has no types
    error: exceptions.GoogleAPICallError = made(status, message, errors=errors)
    return error


def translation(error: Exception) -> DponeError:
    with pytest.raises(DponeError) as caught, translated("my-project"):
        raise error
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(
    "status, reason, code, retryable",
    [
        (404, "notFound", "sink.table_missing", False),
        (401, "authError", "sink.login_refused", False),
        (403, "accessDenied", "sink.not_allowed", False),
        (403, "billingNotEnabled", "sink.not_allowed", False),
        (403, "quotaExceeded", "sink.limit", False),
        (403, "bytesBilledLimitExceeded", "sink.limit", False),
        (403, "rateLimitExceeded", "sink.unavailable", True),
        (400, "jobRateLimitExceeded", "sink.unavailable", True),
        (500, "internalError", "sink.unavailable", True),
        (503, "backendError", "sink.unavailable", True),
        (503, None, "sink.unavailable", True),
        (409, "duplicate", "sink.concurrent_writer", False),
        (400, "invalid", "sink.rejected_rows", False),
        (400, "invalidQuery", "sink.rejected_rows", False),
        (499, "stopped", "sink.cancelled", True),
        (400, "timeout", "sink.timeout", False),
        (400, "resourceInUse", "sink.in_use", True),
        (400, "somethingNew", "sink.refused", False),
    ],
)
def test_an_answer_is_translated_by_its_reason(
    status: int,
    reason: str | None,
    code: str,
    retryable: bool,  # noqa: FBT001 - a case
) -> None:
    error = translation(answered(status, reason))
    assert error.code == code
    assert getattr(error, "retryable", False) is retryable


@pytest.mark.parametrize(
    "message",
    [
        "Transaction is aborted due to concurrent update against table p:d.t. Transaction ID: 1",
        "Could not serialize access to table p:d.t due to concurrent update",
    ],
)
def test_a_transaction_that_gave_way_is_carried_out_anew(message: str) -> None:
    error = translation(answered(400, "invalidQuery", message))
    assert isinstance(error, RemoteError)
    assert (error.code, error.retryable) == ("sink.serialization", True)


@pytest.mark.parametrize(
    "error, code",
    [
        (BrokenConnection(SECRET), "sink.unreachable"),
        (UNTYPED.RetryError(SECRET, None), "sink.unreachable"),
        (TimeoutError(SECRET), "sink.timeout"),
        (UNTYPED.GoogleAuthError(SECRET), "sink.login_refused"),
    ],
)
def test_what_is_no_answer_is_translated_too(error: Exception, code: str) -> None:
    assert translation(error).code == code


# -------------------------------------------------------------------------- credentials

WORKLOAD = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.googleapis.com/v1/token",
    "credential_source": {"file": "/var/run/token"},
}


def config(**given: object) -> BigQueryConfig:
    return BigQueryConfig.model_validate({"project": "my-project", **given})


def test_an_emulator_is_asked_by_nobody() -> None:
    found = credentials_of(config(auth="anonymous", endpoint="http://127.0.0.1:1"), SCOPES)
    assert isinstance(found, AnonymousCredentials)


def test_workload_identity_is_read_from_a_file_and_from_text(tmp_path: Path) -> None:
    file = tmp_path / "workload.json"
    file.write_text(json.dumps(WORKLOAD))
    for given in ({"credentials_file": file}, {"credentials": json.dumps(WORKLOAD)}):
        found = credentials_of(config(auth="key", **given), SCOPES)
        assert type(found).__module__ == "google.auth.identity_pool"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b"5",
        b"[]",
        b"{}",
        b'{"type": "authorized_user"}',
        b'{"type": "service_account"}',
    ],
)
def test_what_is_no_key_is_said_before_anybody_is_asked(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key.json"
    file.write_bytes(content)
    nobody = config(auth="key", credentials_file=file, endpoint="https://127.0.0.1:1")
    with pytest.raises(DponeError) as refused, connected(nobody):
        pass
    assert refused.value.code == "sink.login_refused"
    assert "cannot be read" in refused.value.message


def test_a_service_accounts_key_is_read_from_a_file_and_from_text(tmp_path: Path) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = "loader@my-project.iam.gserviceaccount.com"
    key = {"type": "service_account", "client_email": account, "private_key": pem, "token_uri": WORKLOAD["token_url"]}
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key))
    for given in ({"credentials_file": file}, {"credentials": json.dumps(key)}):
        found = credentials_of(config(auth="key", **given), SCOPES)
        assert (found.service_account_email, tuple(found.scopes)) == (account, SCOPES)
        assert pem.split("\n")[1] not in repr(found)


def test_workload_identity_of_another_cloud_is_read() -> None:
    source = {
        "environment_id": "aws1",
        "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
        "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity",
    }
    aws = {**WORKLOAD, "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request", "credential_source": source}
    found = credentials_of(config(auth="key", credentials=json.dumps(aws)), SCOPES)
    assert type(found).__module__ == "google.auth.aws"


def test_one_may_act_as_another_account_and_on_another_quota() -> None:
    account = "loader@my-project.iam.gserviceaccount.com"
    given = {"credentials": json.dumps(WORKLOAD), "impersonate": account, "quota_project": "payer"}
    found = credentials_of(config(auth="key", **given), SCOPES)
    assert (found.service_account_email, found.quota_project_id) == (account, "payer")


def test_default_credentials_are_asked_for_with_the_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def default(scopes: object) -> tuple[AnonymousCredentials, None]:
        asked.append(scopes)
        return AnonymousCredentials(), None  # type: ignore[no-untyped-call]  # the library leaves it open

    monkeypatch.setattr("google.auth.default", default)
    credentials_of(config(), SCOPES)
    assert asked == [SCOPES]


PROGRAM = {**WORKLOAD, "credential_source": {"executable": {"command": f"/bin/{SECRET}"}}}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", SECRET, f'{{"type": "service_account", "private_key": "{SECRET}"}}', json.dumps(PROGRAM)],
)
def test_a_key_that_cannot_be_read_is_refused_and_not_shown(text: str, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(text)
    for given in ({"credentials_file": file}, {"credentials": text}):
        with pytest.raises(RemoteError) as refused:
            credentials_of(config(auth="key", **given), SCOPES)
        assert refused.value.code == "sink.login_refused"
        assert SECRET not in str(refused.value) + repr(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__context__ is None


def test_a_job_is_named_by_what_it_is_of() -> None:
    assert job_id("load", "run.1/orders", 2) == job_id("load", "run.1/orders", 2) == "dpone_load_run-1-orders_2"
    assert len(job_id("x" * 5000)) <= 1024
