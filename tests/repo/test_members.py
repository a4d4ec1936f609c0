"""The eight packages agree with each other: one version, one licence, siblings pinned, entry points that exist."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

CONNECTORS = ("bigquery", "clickhouse", "kafka", "mssql", "postgres", "rest")
EXPECTED = {"dpone-core", "dpone-certify", *(f"dpone-connectors-{name}" for name in CONNECTORS)}

Members = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def version(root: Path) -> str:
    return (root / "VERSION").read_text().strip()


def requirements(project: dict[str, Any]) -> list[str]:
    extras = project.get("optional-dependencies", {})
    return [*project["dependencies"], *(item for extra in extras.values() for item in extra)]


def test_the_members_are_the_eight_packages(members: Members) -> None:
    assert set(members) == EXPECTED
    assert {name: toml["project"]["name"] for name, toml in members.items()} == {name: name for name in EXPECTED}


def test_every_installed_member_has_the_one_version(members: Members, version: str) -> None:
    assert {name: importlib.metadata.version(name) for name in members} == dict.fromkeys(members, version)


def test_siblings_are_pinned_to_this_series(members: Members, version: str) -> None:
    major, minor, _ = version.split(".")
    pinned = re.compile(rf"dpone-core(\[[a-z,]+\])?~={major}\.{minor}\.0")
    for name, toml in members.items():
        siblings = [line for line in requirements(toml["project"]) if line.startswith("dpone-")]
        assert siblings or name == "dpone-core"
        for requirement in siblings:
            assert pinned.fullmatch(requirement), f"{name}: {requirement} should be dpone-core~={major}.{minor}.0"


def test_every_member_carries_the_licence(root: Path, members: Members) -> None:
    text = (root / "LICENSE").read_text()
    for name, toml in members.items():
        assert (root / "packages" / name / "LICENSE").read_text() == text, name
        assert toml["project"]["license"] == "Apache-2.0"


def test_every_member_says_what_it_is(root: Path, members: Members) -> None:
    for name in members:
        readme = (root / "packages" / name / "README.md").read_text()
        assert readme.startswith(f"# {name}\n"), name
        assert f"pip install {name}" in readme, name
    typed = {path.parents[2].name for path in (root / "packages").glob("*/src/*/py.typed")}
    assert typed == set(members)


@pytest.mark.parametrize("name", CONNECTORS)
def test_a_connector_registers_itself_and_the_testkit_that_it_has(root: Path, members: Members, name: str) -> None:
    expected = {"dpone.connectors": {name: f"dpone_{name}:connector"}}
    if (root / f"packages/dpone-connectors-{name}/src/dpone_{name}/testkit.py").exists():
        expected["dpone.testkits"] = {name: f"dpone_{name}.testkit:testkit"}
    assert members[f"dpone-connectors-{name}"]["project"]["entry-points"] == expected


def test_the_workspace_installs_every_extra_of_every_member(root: Path, members: Members) -> None:
    workspace = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installed = {}
    for requirement in (item for extra in workspace.values() for item in extra):
        name, _, extras = requirement.rstrip("]").partition("[")
        installed[name] = set(extras.split(",")) - {""}
    assert installed == {name: set(toml["project"].get("optional-dependencies", {})) for name, toml in members.items()}


def test_every_type_source_of_mypy_is_a_member(root: Path, members: Members) -> None:
    paths = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["mypy"]["mypy_path"]
    assert {Path(path).parent.name for path in paths} == set(members)


def test_the_lock_holds_nothing_from_a_private_index(root: Path) -> None:
    lock = tomllib.loads((root / "uv.lock").read_text())
    registries = {package["source"]["registry"] for package in lock["package"] if "registry" in package["source"]}
    assert registries == {"https://pypi.org/simple"}
