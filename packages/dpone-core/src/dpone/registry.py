"""Which connectors are installed, and how one is had by its name. Listing names loads nothing."""

from __future__ import annotations

import difflib
import os
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from typing import Any

from dpone.connector import API, Connector
from dpone.errors import MissingPackage, UsageError
from dpone.integration_matrix import SPECIFIED

GROUP = "dpone.connectors"
TESTING_GROUP = "dpone.testing.connectors"
TESTKITS = "dpone.testkits"
TESTING_TESTKITS = "dpone.testing.testkits"


def installed() -> dict[str, EntryPoint]:
    """Entry points by name, sorted; those of `dpone.testing` only under `dpone --testing` (DPONE_TESTING=1)."""
    return _installed(testing=os.environ.get("DPONE_TESTING") == "1")


@cache
def _installed(*, testing: bool) -> dict[str, EntryPoint]:
    groups = (GROUP, TESTING_GROUP) if testing else (GROUP,)
    found = {point.name: point for group in groups for point in entry_points(group=group)}
    return dict(sorted(found.items()))


def load(name: str) -> Connector[Any]:
    """The connector registered as `name`."""
    point = _ours(name) or installed().get(name)
    if point is None:
        raise _unknown(name)
    connector = point.load()
    if not isinstance(connector, Connector) or connector.name != name:
        raise UsageError(
            f"the entry point {name!r} of {_owner(point)} is not a dpone connector of that name",
            code="connector.invalid",
            hint="`dpone.connectors` entry points name a dpone.connector.Connector value",
        )
    if connector.api != API:
        raise UsageError(
            f"{_owner(point)} was written for contract {connector.api}, this core speaks {API}",
            code="connector.wrong_api",
            hint=f"pip install --upgrade dpone-core {connector.distribution}",
        )
    return connector


@cache
def _ours(name: str) -> EntryPoint | None:
    """The entry point of the distribution that is called after its connector: no other is opened to find it."""
    if name not in {c.name for c in SPECIFIED}:
        return None
    try:
        points = distribution(f"dpone-connectors-{name}").entry_points
    except PackageNotFoundError:
        return None
    return next((point for point in points if point.group == GROUP and point.name == name), None)


def by_scheme(scheme: str) -> Connector[Any]:
    """The installed connector that reads URLs of this scheme."""
    for name in installed():
        connector = load(name)
        if scheme in connector.schemes:
            return connector
    raise _unknown(scheme)


def distribution_of(name: str) -> str:
    """The distribution that holds, or would hold, this connector."""
    point = installed().get(name)
    return _owner(point) if point else f"dpone-connectors-{name}"


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _unknown(name: str) -> UsageError:
    if name in {c.name for c in SPECIFIED}:
        return MissingPackage(f"the connector {name!r} is not installed", install=f"dpone-connectors-{name}")
    known = [*installed(), *(c.name for c in SPECIFIED)]
    near = difflib.get_close_matches(name, known, n=1)
    return UsageError(
        f"unknown connector {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        code="manifest.unknown_connector",
        hint=f"installed: {', '.join(installed()) or 'none'}; `dpone connectors` lists them",
    )
