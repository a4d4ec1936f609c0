"""Every error a user can meet, sorted by who must act.

DponeError                code, hint, context; never contains a secret
├── UsageError            the manifest or the command is wrong         exit 2
│   └── MissingPackage    says the exact pip line                      exit 2
├── PlanError             cannot work as asked                         exit 2
├── RemoteError           the other machine said no                    exit 1, retryable or not
├── DataError             the data broke a promise                     exit 1
├── StateError            someone else moved the position              exit 1
└── EvidenceError         documents missing or tampered                exit 1
"""

from __future__ import annotations

from typing import ClassVar


class DponeError(Exception):
    """What was expected, what was found, where, and what to do; `code` is an anchor in docs/reference/errors.md."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, code: str, hint: str | None = None, **context: object) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.context = context

    def __reduce__(self) -> tuple[object, ...]:
        # keyword-only arguments: the default protocol would call cls(*args) and fail in another process
        return (_rebuild, (type(self), self.message, self.code, self.hint, self.context))


class UsageError(DponeError):
    """The manifest or the command is wrong; nothing was touched."""

    exit_code: ClassVar[int] = 2


class MissingPackage(UsageError):
    """A distribution or driver is not installed."""

    def __init__(self, message: str, *, install: str, code: str = "package.missing", **context: object) -> None:
        super().__init__(message, code=code, hint=f"pip install {install}", **context)
        self.install = install

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_missing, (self.message, self.install, self.code, self.context))


class PlanError(DponeError):
    """The request is well formed, and cannot work between these two ends."""

    exit_code: ClassVar[int] = 2


class RemoteError(DponeError):
    """The other machine said no, or did not answer."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        hint: str | None = None,
        retryable: bool = False,
        **context: object,
    ) -> None:
        super().__init__(message, code=code, hint=hint, **context)
        self.retryable = retryable

    def __reduce__(self) -> tuple[object, ...]:
        return (
            _rebuild,
            (type(self), self.message, self.code, self.hint, {**self.context, "retryable": self.retryable}),
        )


class DataError(DponeError):
    """The data broke a promise that the manifest or the strategy makes."""


class StateError(DponeError):
    """The stored position, the lease or the ledger is not what this run started from."""


class EvidenceError(DponeError):
    """A document is missing, malformed or was tampered with."""


def _rebuild(
    kind: type[DponeError], message: str, code: str, hint: str | None, context: dict[str, object]
) -> DponeError:
    return kind(message, code=code, hint=hint, **context)


def _rebuild_missing(message: str, install: str, code: str, context: dict[str, object]) -> MissingPackage:
    return MissingPackage(message, install=install, code=code, **context)
