"""Who we are: what a connection says of it, as the client library's credentials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import google.auth
from google.auth import aws, identity_pool, impersonated_credentials
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account

from dpone.errors import RemoteError
from dpone_bigquery.config import BigQueryConfig


def credentials_of(config: BigQueryConfig, scopes: Sequence[str]) -> Any:
    """Application default credentials or a key's, acting as another account where the connection says so.

    Workload identity is found by both: on Google's machines by the default, elsewhere by its configuration file.
    """
    if config.auth == "anonymous":
        return AnonymousCredentials()  # type: ignore[no-untyped-call]  # the library has no types
    found = _source(config, scopes)
    if config.impersonate is not None:
        found = impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]  # the library has no types
            source_credentials=found, target_principal=config.impersonate, target_scopes=list(scopes)
        )
    return found if config.quota_project is None else found.with_quota_project(config.quota_project)


def _source(config: BigQueryConfig, scopes: Sequence[str]) -> Any:
    if config.auth == "default":
        return google.auth.default(scopes=scopes)[0]
    try:
        if config.credentials_file is not None:
            text = config.credentials_file.read_text(encoding="utf-8")
        else:
            assert config.credentials is not None  # one of the two, says the connection's model
            text = config.credentials.get_secret_value()
        return _of(json.loads(text), scopes)
    except (ValueError, TypeError, KeyError, AttributeError, OSError, GoogleAuthError):
        pass
    raise RemoteError(  # outside of the clause: its error may quote the key
        f"the credentials for {config.label} cannot be read",
        code="sink.login_refused",
        hint="`credentials_file` names a service account's key or an external account's configuration, as JSON",
    )


def _of(info: Any, scopes: Sequence[str]) -> Any:
    """Credentials of the kinds that we know: a configuration could otherwise name any program to be run."""
    match info["type"]:
        case "service_account":
            made: Any = service_account.Credentials
            return made.from_service_account_info(info, scopes=scopes)
        case "external_account" if "environment_id" in info["credential_source"]:
            made = aws.Credentials
            return made.from_info(info, scopes=scopes)
        case "external_account" if "executable" not in info["credential_source"]:
            made = identity_pool.Credentials
            return made.from_info(info, scopes=scopes)
        case kind:
            raise ValueError(kind)
