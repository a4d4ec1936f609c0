"""Postconditions can contradict the algebra because they do not know it: they import nothing of dpone at all."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dpone_certify.postconditions as package
from dpone.strategies import STRATEGIES
from dpone_certify.postconditions.judge import POSTCONDITIONS

OWN = "dpone_certify.postconditions"
FORBIDDEN = ("dpone.ops", "dpone.strategies", "dpone.oracle", "dpone.sql", "dpone.stage")
MODULES = sorted(Path(package.__path__[0]).glob("*.py"))


def foreign(source: str) -> set[str]:
    """What a module imports that is neither the standard library's, nor the postconditions' own, nor msgspec's."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in {"__import__", "import_module"}:
            found.add("by name")
    known = {*sys.stdlib_module_names, "msgspec"}
    return {name for name in found if name.split(".")[0] not in known and not name.startswith(OWN)}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_nothing_of_the_rest_of_dpone(module: Path) -> None:
    assert foreign(module.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "planted", [*(f"from {name} import x" for name in FORBIDDEN), "import dpone", "from .. import x", "__import__('x')"]
)
def test_a_planted_import_is_seen(planted: str) -> None:
    assert foreign(f"def f():\n    {planted}\n")


def test_importing_them_loads_no_part_of_the_algebra() -> None:
    code = f"import sys, {OWN}.judge; print([n for n in {FORBIDDEN} if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_strategy_has_one() -> None:
    assert list(POSTCONDITIONS) == list(STRATEGIES)
