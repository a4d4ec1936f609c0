"""The manifest of a case, as a person would write it, and what becomes of it without any service."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from dpone.compile import compile_plan
from dpone.connector import Connector, Layout
from dpone.errors import DponeError, UsageError
from dpone.integration_matrix import Case
from dpone.manifest import Manifest, from_url, parse
from dpone.manifest.connections import variable_of
from dpone.manifest.options import Pattern, Template
from dpone.manifest.templates import marked
from dpone.plan import Plan
from dpone.prepare import Prepared, prepare
from dpone.schema import Schema
from dpone.strategies import Load

_SOURCE, _SINK = "certified_source", "certified_sink"
_NAMES = ("certification.orders", "certified.orders", "orders", "/orders")
_URLS = (
    "{scheme}://dpone:${{env:DPONE_CERTIFICATION_PASSWORD}}@example.test/certification",
    "{scheme}://example.test/certification",
    "{scheme}://example.test",
)


class Ends(Struct, frozen=True):
    """The two connectors of a case."""

    source: Connector[Any]
    sink: Connector[Any]


def manifest_of(case: Case, ends: Ends, strategy: Mapping[str, Any]) -> dict[str, Any]:
    """The shortest manifest of a case."""
    assert ends.source.source is not None  # it is a case of the matrix
    assert ends.sink.sink is not None
    return {
        "version": 1,
        "name": case.id,
        "source": {"type": case.source, "connection": _SOURCE, **_named(ends.source.source.options, Pattern)},
        "sink": {"type": case.sink, "connection": _SINK, **_named(ends.sink.sink.options, Template)},
        "strategy": dict(strategy),
    }


def text_of(manifest: Mapping[str, Any]) -> str:
    """The manifest as a file holds it; every JSON document is a YAML document."""
    return json.dumps(manifest, indent=2) + "\n"


def loaded(manifest: Mapping[str, Any], ends: Ends) -> Manifest:
    """The manifest, read as strictly as any; its connections are named and never opened."""
    environ = {variable_of(_SOURCE): url_of(ends.source), variable_of(_SINK): url_of(ends.sink)}
    known = {ends.source.name: ends.source, ends.sink.name: ends.sink}
    return parse(manifest, known.__getitem__, environ=environ)


def url_of(connector: Connector[Any]) -> str:
    """A URL that is a connection of this connector, and leads nowhere."""
    for scheme in connector.schemes:
        for template in _URLS:
            url = template.format(scheme=scheme)
            try:
                from_url(url, connector)
            except DponeError:
                continue
            return url
    raise UsageError(
        f"no URL is a connection of {connector.name}",
        code="certification.no_url",
        hint="look at its config: host and database must be enough, or a host",
    )


def _named(options: type[Any], marker: type[Any]) -> dict[str, str]:
    """The field that names a table, path or topic, with a name that it takes."""
    field = next(iter(marked(options, marker)))
    for name in _NAMES:
        try:
            found = options.model_validate({field: name})
            found.dataset() if marker is Pattern else found.target()
        except (ValueError, DponeError):
            continue
        return {field: name}
    return {field: _NAMES[0]}  # the manifest is refused, and says why


class Compiled(Struct, frozen=True):
    """A case as dpone plans it: two loads, the first into an absent target."""

    plan: Plan
    first: Prepared
    second: Prepared


def compiled(manifest: Manifest, found: Schema, ends: Ends, loads: Sequence[Load]) -> Compiled:
    """The plan of the only stream, prepared for both loads; `loads` bring their times and bounds."""
    plan = compile_plan(manifest.streams[0], found)
    first = prepare(plan, loads[0], ends.source, ends.sink, None, None)
    layout: Layout = first.spec.layout
    second = prepare(plan, loads[1], ends.source, ends.sink, layout, None)
    return Compiled(plan, first, second)
