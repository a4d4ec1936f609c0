"""The schema registry: a client whose failures are ours, since a registry that is away is no fault of a message."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka.schema_registry.error import SchemaRegistryError

from dpone.errors import DponeError, RemoteError
from dpone.tls import check_files, client_context, distrusted, not_trusted, shaken, system_authorities
from dpone_kafka.config import KafkaConfig
from dpone_kafka.faults import Side
from dpone_kafka.proto_text import CompilingRegistry

# What it says of schemas, and serializers know: there is none of that name or number, or it is not compatible.
_OF_SCHEMAS = frozenset({404, 409, 422})
_OF_LOGINS = frozenset({401, 403})
_TLS_PORT = 443


class AnsweringRegistry(CompilingRegistry):
    """Every question that it cannot answer raises one of dpone's errors."""

    def __init__(self, config: KafkaConfig, side: Side) -> None:
        settings: dict[str, Any] = {"url": config.registry, "timeout": config.request_timeout}
        if config.registry_user is not None and config.registry_password is not None:
            secret = config.registry_password.get_secret_value()
            settings["basic.auth.user.info"] = f"{config.registry_user}:{secret}"
        if authorities := _authorities(config):
            check_files(str(config.registry), authorities)
            settings["ssl.ca.location"] = authorities
        super().__init__(settings)
        ask = self._rest_client.send_request

        def answered(*given: Any, **named: Any) -> Any:
            try:
                return ask(*given, **named)
            except SchemaRegistryError as error:
                if error.http_status_code in _OF_SCHEMAS:
                    raise
                raise _refused(config, side, error.http_status_code) from None
            except Exception:  # noqa: BLE001 -- of a library for HTTP that is another one by release of the client
                raise _away(config, side) from None

        self._rest_client.send_request = answered  # type: ignore[method-assign]  # all that the client asks goes there


def _authorities(config: KafkaConfig) -> str | None:
    return str(config.ca_file) if config.ca_file else system_authorities()


def _away(config: KafkaConfig, side: Side) -> DponeError:
    address = urlsplit(str(config.registry))
    if address.scheme == "https" and address.hostname:
        context = client_context(str(config.registry), _authorities(config))
        shake = partial(shaken, context=context, name=address.hostname)
        if why := distrusted((address.hostname, address.port or _TLS_PORT), shake):
            return not_trusted(side, str(config.registry), why, "check `registry` and `ca_file` of the connection")
    return RemoteError(
        f"the schema registry at {config.registry} does not answer, or not as one",
        code=f"{side}.registry",
        hint="check `registry` of the connection and that it is up, and run again",
        retryable=True,
    )


def _refused(config: KafkaConfig, side: Side, status: int) -> DponeError:
    if status in _OF_LOGINS:
        return RemoteError(
            f"the schema registry at {config.registry} does not accept the login (HTTP {status})",
            code=f"{side}.login_refused",
            hint="check `registry_user` and `registry_password` of the connection, and what the user may do",
        )
    return RemoteError(
        f"the schema registry at {config.registry} did not answer as expected (HTTP {status})",
        code=f"{side}.registry",
        hint="run again; look into the registry's own log if it stays so",
        retryable=True,
    )
