"""The pages of docs/reference that the code says are what it says: commands, connectors, variables, types."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / ".ci" / "reference_pages.py"))


@pytest.mark.parametrize("name", ["commands.md", "connectors.md", "environment.md", "types.md"])
def test_the_page_is_what_the_code_says(made: dict[str, Any], name: str) -> None:
    page = (made["FOLDER"] / name).read_text(encoding="utf-8")
    assert page == made["PAGES"][name](), "run `python .ci/reference_pages.py`"


def test_every_command_and_option_is_explained(made: dict[str, Any]) -> None:
    page = (made["FOLDER"] / "commands.md").read_text(encoding="utf-8")
    for row in re.findall(r"^\| `-.*$", page, re.MULTILINE):
        cells = re.split(r"(?<!\\)\|", row)
        assert len(cells[2].strip()) > len("(required)"), row
    assert re.findall(r"^## dpone .*\n\n(?:```|\|)", page, re.MULTILINE) == []


def test_every_key_of_a_connector_is_explained(made: dict[str, Any]) -> None:
    page = (made["FOLDER"] / "connectors.md").read_text(encoding="utf-8")
    unexplained = [row for row in page.splitlines() if row.startswith("| `") and row.endswith("| |")]
    assert unexplained == []


def test_every_variable_that_the_packages_read_is_explained(made: dict[str, Any]) -> None:
    known = {name for found in made["VARIABLES"].values() for name in found}
    assert made["read_variables"]() <= known


def test_every_marker_is_explained() -> None:
    markers = re.findall(
        r'^    "(integration_\w+):', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/testing").glob("*.md"))
    assert markers
    assert [marker for marker in markers if marker not in pages] == []


def test_every_code_that_a_page_names_exists() -> None:
    """An error or a blocker that somebody is told of by its code can be looked up."""
    known = {
        code
        for page in ("errors.md", "blockers.md")
        for code in re.findall(r"\{: #(\S+) \}", (ROOT / "docs/reference" / page).read_text(encoding="utf-8"))
    }
    areas = {code.partition(".")[0] for code in known} - {"run", "connector", "names", "rest", "load", "check"}
    named = re.compile(rf"`((?:{'|'.join(sorted(areas))})\.[a-z_]+)(?::[^`]*)?`")
    wrong = {
        f"{page.relative_to(ROOT)}: {code}"
        for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
        for code in named.findall(page.read_text(encoding="utf-8"))
        if code not in known and not code.endswith((".html", ".json", ".md", ".py", ".sarif", ".yaml", ".yml", ".xml"))
    }
    assert not wrong
