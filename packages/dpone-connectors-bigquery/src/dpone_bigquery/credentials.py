"""Who we are: what a connection says of it, as the client library's credentials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import google.auth
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError

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
            return google.auth.load_credentials_from_file(str(config.credentials_file), scopes=scopes)[0]  # type: ignore[no-untyped-call]  # likewise
        assert config.credentials is not None  # one of the two, says the connection's model
        given = json.loads(config.credentials.get_secret_value())
        return google.auth.load_credentials_from_dict(given, scopes=scopes)[0]  # type: ignore[no-untyped-call]  # likewise
    except (ValueError, TypeError, OSError, GoogleAuthError):
        pass
    raise RemoteError(  # outside of the clause: its error may quote the key
        f"the credentials for {config.label} cannot be read",
        code="sink.login_refused",
        hint="`credentials_file` names a service account's key or an external account's configuration, as JSON",
    )
