"""`dpone doctor`: what it looks at, what it calls each finding, and that no secret leaves with its document."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import SecretStr

from dpone import registry
from dpone.connector import Config, Connector, Finding, Profile, SourceOptions, SourceSpec
from dpone.doctor import machine
from dpone.doctor.clients import client
from dpone.doctor.clocks import clock
from dpone.doctor.diagnosis import diagnosis, print_schema
from dpone.doctor.profiles import live
from dpone.errors import RemoteError
from dpone.strategies import Read
from dpone.testing.memory import connector as memory
from dpone.testing.shop import STREAMS, Dpone, Shop

PUBLISHED = Path(__file__).parents[4] / "docs/reference/schemas/doctor.schema.json"
CANARY = "canary-7f3e-password"
SIX = ("postgres_live", "mssql_live", "clickhouse_live", "bigquery_live", "kafka_live", "rest_mock")


def findings(answer: Any) -> dict[str, dict[str, str]]:
    report = json.loads(answer.out)
    assert report["schema_version"] == "dpone.doctor.v1"
    assert report["passed"] is not any(f["status"] == "failed" for f in report["findings"])
    assert all(f["action"] for f in report["findings"] if f["status"] != "ok"), "each says what to do"
    return {f["name"]: f for f in report["findings"]}


def test_the_published_schema_is_that_of_the_code() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == print_schema()


def test_this_machine(shop: Shop, dpone: Dpone) -> None:
    answer = dpone("doctor", "--format", "json")
    found = findings(answer)
    assert {"python", "dpone-core", "import name dpone", "disk", "docker"} <= found.keys()
    assert found["docker"]["status"] in {"ok", "skipped"}
    assert answer.code == 0


def test_the_connections_of_a_manifest_are_examined_where_they_are_used(shop: Shop, dpone: Dpone) -> None:
    answer = dpone("doctor", "orders.yaml", "--format", "json")
    found = findings(answer)
    ends = {name: f["status"] for name, f in found.items() if name.startswith("memory connection") and ": " not in name}
    assert ends == {'memory connection "shop" source': "ok", 'memory connection "dwh" sink': "ok"}
    assert (answer.code, json.loads(answer.out)["profile"]) == (0, "orders.yaml")


def test_a_connection_of_a_manifest_that_cannot_be_opened_is_said(shop: Shop, dpone: Dpone) -> None:
    connections = Path("connections.yml")
    _, theirs = connections.read_text().splitlines()
    connections.write_text(f'shop: {{type: memory, path: "${{env:NOT_SET_HERE}}"}}\n{theirs}\n')
    shop.write(STREAMS)  # whose tables nobody is asked for
    answer = dpone("doctor", "orders.yaml")
    assert answer.code == 1
    assert re.search(r'^FAILED +memory connection "shop" source .*NOT_SET_HERE', answer.out, re.MULTILINE)
    assert dpone("doctor", "orders.yaml", "--profile", "local").code == 2


@pytest.mark.parametrize("profile", SIX)
def test_every_profile_of_a_certification_is_known(
    shop: Shop, dpone: Dpone, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"DPONE_CONN_{profile.upper()}", raising=False)
    answer = dpone("doctor", "--profile", profile)
    assert answer.code == 1
    assert f"DPONE_CONN_{profile.upper()}" in answer.out or "pip install" in answer.out
    assert dpone("doctor", "--profile", "nonsense").code == 2


def test_all_profiles_of_a_vendors_run_are_listed_one_by_one(
    shop: Shop, dpone: Dpone, monkeypatch: pytest.MonkeyPatch
) -> None:
    for profile in SIX:
        monkeypatch.delenv(f"DPONE_CONN_{profile.upper()}", raising=False)
    answer = dpone("doctor", "--profile", "vendor_live")
    connectors = [name.removesuffix("_live").removesuffix("_mock") for name in SIX]
    assert answer.code == 1
    assert all(
        profile in answer.out or f"connector {c}" in answer.out for profile, c in zip(SIX, connectors, strict=True)
    )


def test_a_foreign_distribution_that_owns_the_import_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "packages_distributions", lambda: {"dpone": ["dpone-core", "dpone-of-others"]})
    (finding,) = (f for f in machine.local() if f.name == "import name dpone")
    assert (finding.status, finding.found) == ("failed", "dpone-core, dpone-of-others")
    assert "pip uninstall dpone-of-others" in finding.action


def test_a_connector_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "requires", lambda _: ["click>=8", "no-such-driver>=1", "dev; extra == 'local'"])
    found = {f.status: f.found for f in machine._drivers("x", "dpone-connectors-x")}
    assert found["failed"] == "not installed: no-such-driver"
    assert found["ok"].startswith("click ")


@pytest.mark.parametrize(
    "script, status, found",
    [
        ("echo 'Tool version 18.4.1.1 of today'", "ok", "18.4.1.1"),
        ("echo 'cannot load libodbc' >&2; exit 127", "warning", "ended with 127"),
    ],
)
def test_a_client_is_asked_for_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, status: str, found: str
) -> None:
    program = tmp_path / "bcp"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = client("bcp", "-v", needed_for="tests")
    assert (finding.status, found in finding.found) == (status, True), finding
    assert client("sqlcmd", "-?", needed_for="tests").status == "warning"


@pytest.mark.parametrize(
    "script, status, found",
    [
        ("echo engine 28.5.1", "ok", "engine 28.5.1"),
        (
            "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock v1.2' >&2; exit 1",
            "skipped",
            "ended",
        ),
    ],
)
def test_docker_is_asked_and_not_only_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, status: str, found: str
) -> None:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = machine.docker()
    assert (finding.status, found in finding.found) == (status, True), finding


@pytest.mark.parametrize("skew, status", [(0, "ok"), (1, "ok"), (90, "warning"), (-90, "warning")])
def test_a_clock_that_is_off(skew: int, status: str) -> None:
    finding = clock(lambda: datetime.now(UTC) + timedelta(seconds=skew))
    assert finding.status == status
    assert ("ahead" in finding.found) is (skew > 1)
    assert ("behind" in finding.found) is (skew < 0)


class Account(Config):
    password: SecretStr = SecretStr(CANARY)


class Leaky:
    """An end whose server repeats the password."""

    def __init__(self, config: Account) -> None:
        self._config = config

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def diagnose(self) -> list[Finding]:
        password = self._config.password.get_secret_value()
        return [Finding("motd", ok=False, found=f"hello, {password}", action=f"ask {password}")]


def connector_of(opens: Any) -> Connector[Account]:
    return Connector(
        name="leaky",
        distribution="leaky",
        config=Account,
        types=memory.types,
        profile=Profile("leaky_live", "a server that repeats what it is told"),
        schemes=("leaky",),
        source=SourceSpec(frozenset({Read.SCAN}), (), SourceOptions, opens),
    )


def examined(opens: Any, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    monkeypatch.setattr(registry, "installed", lambda: {"leaky": None})
    monkeypatch.setattr(registry, "load", lambda _: connector_of(opens))
    return list(live("leaky", "leaky_live", lambda *_: Account()))


def test_a_server_that_repeats_a_password_does_not_bring_it_into_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    found = examined(Leaky, monkeypatch)
    assert [f.found for f in found] == ["answers", "hello, ***"]
    assert CANARY not in diagnosis("leaky_live", found).to_json()


def test_a_url_that_is_refused_is_not_repeated(
    shop: Shop, dpone: Dpone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DPONE_CONN_MEMORY_LOCAL", f"postgresql://me:{CANARY}@127.0.0.1:1/db")
    answer = dpone("doctor", "--profile", "memory_local", "--output", "found.json")
    assert answer.code == 1
    assert CANARY not in (tmp_path / "found.json").read_text() + answer.out + answer.err


def test_an_end_that_does_not_answer_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def opens(_: Config) -> Any:
        raise RemoteError("nobody there", code="source.unreachable", hint="start it")

    (finding,) = examined(opens, monkeypatch)
    assert (finding.status, finding.found, finding.action) == ("failed", "nobody there", "start it")


def test_warnings_pass_and_failures_block() -> None:
    warned = diagnosis("local", [Finding("a", ok=False, found="b", action="c", unless="warning")])
    failed = diagnosis("local", [Finding("a", ok=False, found="b", action="c")])
    assert (warned.passed, failed.passed) == (True, False)
    assert [(b.code, b.action) for b in failed.blockers] == [("doctor.failed:a", "c")]
