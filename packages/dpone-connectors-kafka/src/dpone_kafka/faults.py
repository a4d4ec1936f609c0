"""The brokers' and librdkafka's errors as dpone's, told apart by their codes and never by their text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from confluent_kafka import KafkaError, KafkaException

from dpone.errors import DataError, DponeError, PlanError, RemoteError, StateError
from dpone.tls import not_trusted

Side = Literal["source", "sink"]

MISSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})  # noqa: SLF001 - librdkafka's own codes are spelled so
OUT_OF_RANGE = frozenset({KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET})  # noqa: SLF001 - likewise
FENCED = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 - likewise
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
        KafkaError.INVALID_TXN_STATE,
    }
)
UNHEARD = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001 - likewise
        KafkaError._TIMED_OUT,  # noqa: SLF001 - likewise
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - likewise
    }
)
TLS = KafkaError._SSL  # noqa: SLF001 - likewise
LOGIN = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - likewise
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)
_NOT_ALLOWED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_GROUP = frozenset({KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS})
_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_NOT_AS_ASKED = frozenset(
    {
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_CONFIG,
        KafkaError.POLICY_VIOLATION,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
    }
)


@contextmanager
def translated(side: Side, label: str) -> Iterator[None]:
    """Within the context an error of the client is one of dpone's, without its cause, whose text is not ours."""
    try:
        yield
    except KafkaException as error:
        raise from_kafka(error.args[0], side, label) from None


def from_kafka(error: object, side: Side, label: str) -> DponeError:
    """The error that a person can act on, by its code; `label` names the brokers without secrets."""
    if not isinstance(error, KafkaError):
        return RemoteError(f"{label} did not do as asked", code=f"{side}.failed", retryable=False)
    code, name = error.code(), error.name()
    if code == TLS:
        hint = "check `ca_file`, `cert_file` and `tls` of the connection, and that the certificate names this host"
        return not_trusted(side, label, name, hint)
    if code in LOGIN:
        return RemoteError(
            f"{label} refuses the login ({name})",
            code=f"{side}.login_refused",
            hint="check user, password, sasl and tls of the connection",
        )
    if code in _NOT_ALLOWED:
        return RemoteError(
            f"{label} does not allow this ({name})",
            code=f"{side}.not_allowed",
            hint="grant the right to the connection's user",
        )
    if code in FENCED and side == "sink":
        return StateError(
            f"another run took over this target at {label} ({name})",
            code="state.conflict",
            hint="nothing of this load was published; run again",
        )
    if code in MISSING:
        return PlanError(
            f"{label} has no such topic or partition ({name})",
            code=f"{side}.table_missing",
            hint="check the name of the topic, and that the connection's user may see it",
        )
    if code in _GROUP:
        return RemoteError(
            f"the group that the manifest names has consumers at {label}, which commit for themselves ({name})",
            code=f"{side}.group_in_use",
            hint="name a group for `commit_group` that nobody consumes with; the load itself stands",
        )
    if code in _TOO_LARGE:
        return DataError(
            f"{label} refuses a message for its size ({name})",
            code="sink.rejected_rows",
            hint="raise max.message.bytes of the topic, and `message_bytes` of the connection",
        )
    if code in _NOT_AS_ASKED:
        return PlanError(
            f"{label} does not make it as asked ({name})",
            code=f"{side}.refused",
            hint="compare partitions, replication and cleanup of the manifest with what the brokers allow",
        )
    return RemoteError(
        f"{label} did not answer as expected ({name})",
        code=f"{side}.unreachable",
        hint="run again; nothing of this load was published",
        retryable=error.retriable(),
    )
