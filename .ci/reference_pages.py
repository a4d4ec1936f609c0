"""Writes the pages of docs/reference that the code itself says: commands, connectors, environment and types.

`python .ci/reference_pages.py` writes them; tests/repo/test_reference_pages.py compares them with the code.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from dpone.cli.root import cli
from dpone.connector import Connector
from dpone.landings import landings
from dpone.manifest.reference import keys_of
from dpone.schema import Verdict
from dpone_certify.guides.sections import title_of

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
MADE = "This page is made from the code by `python .ci/reference_pages.py`."

# ------------------------------------------------------------------- commands


def commands_page() -> str:
    """Every command with its arguments and options."""
    lines = [
        "# Commands",
        "",
        f"`dpone --help` says the same. {MADE}",
        "",
        "Every command exits with 0 when the answer is yes, with 1 when it is no, with 2 when the command or the",
        "manifest is refused, and with 130 or 143 after a signal. Errors go to stderr; `--debug` before the command",
        "shows where they come from.",
    ]
    for path, command in sorted(commands(cli, ())):
        lines += ["", f"## dpone {' '.join(path)}", "", _one_line(command.help), ""]
        arguments = [p for p in command.params if isinstance(p, click.Argument)]
        usage = " ".join(["dpone", *path, *(a.make_metavar(click.Context(command)) for a in arguments), "[OPTIONS]"])
        lines += ["```text", usage, "```"]
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        if options:
            lines += ["", "| option | meaning |", "|---|---|", *(_option(option, command) for option in options)]
    return "\n".join(lines) + "\n"


def commands(group: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that is no group, by the words that call it."""
    if not isinstance(group, click.Group):
        yield path, group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None  # it was listed
        if not found.hidden:
            yield from commands(found, (*path, name))


def _option(option: click.Option, command: click.Command) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    metavar = "" if option.is_flag else f" `{option.make_metavar(click.Context(command))}`"
    facts = []
    if option.required:
        facts.append("required")
    if option.multiple and "repeated" not in (option.help or ""):
        facts.append("may be repeated")
    if option.default not in {None, False, ()} and not option.is_flag and not callable(option.default):
        shown = option.default if isinstance(option.default, str | int | float | Path) else None
        if isinstance(shown, Path) or shown not in {None, ""}:
            facts.append(f"by default `{shown}`")
    said = _one_line(option.help)
    more = f" ({'; '.join(facts)})" if facts else ""
    return f"| {names}{_cell(metavar)} | {_cell(said)}{more} |"


def _one_line(text: str | None) -> str:
    """The sentences before a block that click leaves as it is."""
    return " ".join(re.split(r"\x08|\\b", text or "")[0].split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# ---------------------------------------------------------------- environment

VARIABLES = {
    "Connections": {
        "DPONE_CONN_<NAME>": "the URL of the connection `<name>`; it is preferred to a `connections.yml`",
        "DPONE_CONNECTIONS": "one file of connections that is read in place of every other",
    },
    "What a run tells": {
        "DPONE_LINEAGE": "how strict lineage is: `off`, `best-effort` or `required`",
        "DPONE_METRICS_FILE": "a file for Prometheus, written when a run ends",
        "OPENLINEAGE_URL": "where events of lineage go; OpenLineage's other variables are read by its client",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "where metrics go; OpenTelemetry's other variables are read by its library",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "the same, for metrics alone",
    },
    "Errors": {"DPONE_DEBUG": "`1` shows where an error comes from, as `--debug` does"},
    "Certification": {
        "DPONE_SIGNING_KEY": "the Ed25519 key that signs evidence: a file, or the PEM text itself",
        "DPONE_PUBLIC_KEY": "the public key that evidence is verified by: a file, or the PEM text itself",
        "DPONE_RELEASE_ID": "the release that the nox sessions of certification judge",
        **{
            f"DPONE_MATRIX_{name}": f"`--{name.lower().replace('_', '-')}` of the matrix in nox sessions; `*`: all"
            for name in ("SOURCE", "SINK", "STRATEGY", "CASE_ID", "ROW_COUNT", "CHANGE_RATIO", "DELETE_RATIO")
        },
        "DPONE_MATRIX_ARTIFACT_DIR": "where the tests of the matrix leave what they found",
        "DPONE_MATRIX_RUN_MODE": "the profile that the matrix of the tests is run by, as `mock_contract`",
        "DPONE_CONN_POSTGRES_LIVE": "a vendor's own PostgreSQL for `vendor_live`",
        "DPONE_CONN_MSSQL_LIVE": "a vendor's own SQL Server for `vendor_live`",
        "DPONE_CONN_CLICKHOUSE_LIVE": "a vendor's own ClickHouse for `vendor_live`",
        "DPONE_CONN_KAFKA_LIVE": "a vendor's own Kafka for `vendor_live`",
        "DPONE_CONN_BIGQUERY_LIVE": "Google's own BigQuery for `vendor_live`",
        "DPONE_CONN_REST_LIVE": "a vendor's own API for `vendor_live`",
    },
    "Tests": {
        "DPONE_RUN_INTEGRATION": "`1` runs tests that need a service",
        "DPONE_RUN_INTEGRATION_MATRIX": "`1` runs every case of the matrix",
        "DPONE_RUN_INTEGRATION_REPLAY": "`1` runs the tests of resync and resume",
        "DPONE_RUN_INTEGRATION_LIVE": "`1` runs the tests on vendors' own services",
        "DPONE_TESTING": "`1` shows the connectors in memory that tests use",
        "DPONE_FAILPOINT": "`after_seal` kills the process at that place, `after_seal:2` the second time",
        "DPONE_HYPOTHESIS_PROFILE": "`full` lets the tests of properties look for longer",
        "DPONE_DBT": "the program of dbt for the tests that need one; `nox -s dbt` installs it",
        "DPONE_BIGQUERY_REFEREE": "another emulator of BigQuery to ask the same; `nox -s bigquery-goccy` builds it",
        "CHROMIUM": "the browser in which the reports are tested",
    },
    "Containers": {
        **{
            f"DPONE_{name}_PASSWORD": f"the password of {title_of(name.lower())} in `compose.yaml`"
            for name in ("POSTGRES", "MSSQL", "CLICKHOUSE")
        },
        "DPONE_POSTGRES_PORT": "where PostgreSQL listens on this machine",
        "DPONE_MSSQL_PORT": "where SQL Server listens on this machine",
        "DPONE_CLICKHOUSE_HTTP_PORT": "where ClickHouse listens for HTTP",
        "DPONE_CLICKHOUSE_NATIVE_PORT": "where ClickHouse listens for its own protocol",
        "DPONE_KAFKA_PORT": "where Kafka listens on this machine",
        "DPONE_SCHEMA_REGISTRY_PORT": "where the schema registry listens on this machine",
        "DPONE_BIGQUERY_PORT": "where the emulator of BigQuery listens on this machine",
    },
}
# of one file or one test, and of nobody else
PRIVATE = re.compile(
    r"DPONE_(BENCH|MSSQL|POSTGRES|CLICKHOUSE|KAFKA|BIGQUERY|REST|SCHEMA_REGISTRY|DBT|SPEAKS|CONFORMANCE|MATRIX|MOCK)(_\w+)?"
    r"|DPONE_(TOTAL|DECIMAL|CONN_\w*|CONN|MARKER|PROFILE|CERTIFICATION_PASSWORD)"
)


def environment_page() -> str:
    """Every variable that somebody may set."""
    lines = ["# Environment variables", "", f"Secrets are better kept in files or a keyring. {MADE}"]
    for heading, found in VARIABLES.items():
        lines += ["", f"## {heading}", "", "| variable | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {meaning} |" for name, meaning in found.items()]
    return "\n".join(lines) + "\n"


def read_variables() -> set[str]:
    """The variables of dpone's own that the packages, the containers, the sessions and the workflows name."""
    found: set[str] = set()
    for path in ROOT.glob("packages/*/src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"\bDPONE_[A-Z0-9_]*[A-Z0-9]\b", node.value))
    found = {name for name in found if not PRIVATE.fullmatch(name)}
    for path in (ROOT / "compose.yaml", ROOT / "noxfile.py", *ROOT.glob(".github/**/*.yml")):
        found |= set(re.findall(r"\bDPONE_[A-Z0-9_]*[A-Z0-9]\b", path.read_text(encoding="utf-8")))
    return found


# ---------------------------------------------------------------------- types

SOURCES = ("postgres", "mssql", "clickhouse", "rest", "kafka")
SINKS = ("postgres", "mssql", "clickhouse", "bigquery", "kafka")


def types_page() -> str:
    """What becomes of each native type of each source, in each sink."""
    connectors = {point.name: point.load() for point in entry_points(group="dpone.connectors")}
    lines = [
        "# Types",
        "",
        f"What becomes of each type of a source: the column that a sink makes for it. {MADE}",
        "",
        "`⚠` some values may change on the way, and the load is refused unless `on_type_loss` declares it; `dpone",
        "types` says why. Where two ends are the same engine, the native type is kept. dpone's own name of a type is",
        "what `cast:` takes. The edges of each type make the journey in the conformance suite and the certification.",
    ]
    for name in SOURCES:
        lines += ["", *_types_of(connectors[name], [connectors[sink] for sink in SINKS])]
    return "\n".join(lines) + "\n"


def _types_of(source: Connector[Any], sinks: list[Connector[Any]]) -> Iterator[str]:
    yield from (f"## {title_of(source.name)}", "")
    yield f"| {title_of(source.name)} | dpone | {' | '.join(title_of(sink.name) for sink in sinks)} |"
    yield f"|---|---|{'---|' * len(sinks)}"
    for fates in zip(*(landings(source, sink) for sink in sinks), strict=True):
        cells = (f"{_code(fate.sink)}{' ⚠' if fate.verdict is Verdict.LOSSY else ''}" for fate in fates)
        yield f"| {_code(fates[0].source)} | {_code(str(fates[0].type))} | {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


# ----------------------------------------------------------------- connectors


def connectors_page() -> str:
    """Every key that a connector takes: in its connection, as a source, as a sink."""
    lines = [
        "# Connectors",
        "",
        "What a connection of each system holds, and what stands beside `type` and `connection` under `source:` and",
        f"`sink:`. [Manifest](manifest.md#connections) says where connections are kept. {MADE}",
    ]
    for name in sorted({*SOURCES, *SINKS}):
        connector = entry_points(group="dpone.connectors")[name].load()
        lines += ["", f"## {title_of(name)}"]
        for heading, model in (
            ("connection", connector.config),
            ("source", connector.source and connector.source.options),
            ("sink", connector.sink and connector.sink.options),
        ):
            if model is not None:
                lines += _keys(f"{name} {heading}", model.model_json_schema())
    return "\n".join(lines) + "\n"


def _keys(heading: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"### {heading}", "", keys_of(schema))
    for key, outer in schema["properties"].items():
        for name in dict.fromkeys(re.findall(r"#/\$defs/(\w+)", json.dumps({**outer, "discriminator": None}))):
            inner = schema["$defs"][name]
            kind = inner["properties"].get("type", {}).get("const")
            title = f"#### {heading}, {key}{f' of type {kind}' if kind else ''}"
            yield from ("", title, "", *_said(inner), keys_of(inner))


def _said(schema: dict[str, Any]) -> Iterator[str]:
    if "description" in schema:
        yield from (textwrap.fill(" ".join(schema["description"].split()), 120), "")


PAGES = {
    "commands.md": commands_page,
    "connectors.md": connectors_page,
    "environment.md": environment_page,
    "types.md": types_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
