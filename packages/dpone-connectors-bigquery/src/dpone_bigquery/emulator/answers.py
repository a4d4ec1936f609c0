"""Refusals of the interface, as BigQuery words them: a status, a reason and a message."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class Refused(Exception):
    """A request that is answered by an error; of a job it is the job's error."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason

    def proto(self) -> Json:
        return {"reason": self.reason, "message": str(self)}

    def body(self) -> Json:
        """The body of an HTTP answer."""
        error = {**self.proto(), "domain": "global"}
        return {"error": {"code": self.status, "message": str(self), "errors": [error]}}


def invalid(message: str) -> Refused:
    return Refused(400, "invalid", message)


def invalid_query(message: str) -> Refused:
    return Refused(400, "invalidQuery", message)


def not_found(kind: str, name: str) -> Refused:
    return Refused(404, "notFound", f"Not found: {kind} {name}")


def duplicate(kind: str, name: str) -> Refused:
    return Refused(409, "duplicate", f"Already Exists: {kind} {name}")
