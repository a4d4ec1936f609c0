"""The page of one pair, filled in: what each author wrote, a manifest per strategy, and what becomes of each type.

The page's own words are in `page.md.j2`. What lies between the two marks at its end is written by hand, and kept when
the page is made again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from textwrap import indent
from typing import Any

import jinja2
from msgspec import Struct

from dpone.connector import Connector
from dpone.integration_matrix import derive
from dpone.landings import landings
from dpone_certify.guides.sections import Section, Sections, of_connector, of_strategies

NOTES = re.compile(r"<!-- notes -->\n(.*?)<!-- /notes -->", re.DOTALL)
_TABLES = ("orders", "events")  # the tables of the shop that every page is about


class ModePart(Struct, frozen=True):
    """One strategy on a page."""

    heading: str
    manifest: str
    words: Sequence[str]


def render(source: Connector[Any], sink: Connector[Any], *, notes: str = "") -> str:
    """The whole page; `notes` are those of the page that it replaces."""
    reading, writing = of_connector(source), of_connector(sink)
    ends = list({source.name: source, sink.name: sink}.values())
    return _template().render(
        reading=reading,
        writing=writing,
        source=source,
        sink=sink,
        ends=ends,
        packages=" ".join(sorted(end.distribution for end in ends)),
        connecting=[words for end in ends if (words := of_connector(end)["connection"].words)],
        wires=_wires(source, sink),
        modes=_modes(source, sink, reading, writing),
        fates=landings(source, sink),
        notes=notes,
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dpone_certify.guides", "."),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 -- Markdown of our own making, and no page of a browser
    )
    environment.filters["bar"] = lambda text: text.replace("|", "\\|")
    return environment.get_template("page.md.j2")


def _wires(source: Connector[Any], sink: Connector[Any]) -> Sequence[str]:
    """The formats that both ends speak, best first."""
    accepted = {wire.format for wire in sink.sink.accepts} if sink.sink else set()
    return [f"`{wire.format}`" for wire in source.source.emits if wire.format in accepted] if source.source else []


def _modes(source: Connector[Any], sink: Connector[Any], reading: Sections, writing: Sections) -> Sequence[ModePart]:
    """A manifest for each strategy that works for the pair, and what is to be known of it."""
    said = of_strategies()
    headings = {heading.rpartition(": ")[2]: heading for heading in said.by_heading}
    parts = []
    for case in derive([source] if source is sink else [source, sink]).cases:
        if (case.source, case.sink) != (source.name, sink.name):
            continue
        mode, heading = case.strategy, headings[case.strategy]
        words = (said[heading].words, reading[f"source {mode}"].words, writing[f"sink {mode}"].words)
        manifest = _manifest(mode, said[heading], reading, writing)
        parts.append(ModePart(heading, manifest, [text for text in words if text]))
    return parts


def _manifest(mode: str, about: Section, reading: Sections, writing: Sections) -> str:
    """The strategy's own lines, and each end as its author writes it for this strategy or for all.

    A second block of a source's strategy stands for the strategy's own: a source with positions needs no cursor.
    """
    lines = dict(line.split(": ", 1) for line in about.blocks[0].splitlines())
    name = lines["name"]
    reads = reading[f"source {mode}"].blocks or reading["source"].blocks
    writes = writing[f"sink {mode}"].blocks or writing["sink"].blocks
    table = name if name in _TABLES else _TABLES[0]
    found = ["version: 1", f"name: {name}", _nested("source", reads[0].replace("{table}", table))]
    found.append(_nested("sink", writes[0].replace("{table}", name)))
    if "where" in lines:
        found.append(f"where: {lines['where']}")
    found.append(_nested("strategy", reads[1] if len(reads) > 1 else lines["strategy"]))
    return "\n".join(found)


def _nested(key: str, block: str) -> str:
    return f"{key}: {block}" if block.startswith("{") else f"{key}:\n{indent(block, '  ')}"
