"""A shop with the command line beside it, the record of a run, and the schemas that lineage is held against."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dpone
from dpone import registry
from dpone.testing.fixtures import dpone as call
from dpone.testing.fixtures import shop
from dpone.testing.shop import Shop
from dpone_certify.conformance.judge import EXPECTED

__all__ = ["call", "shop"]

Record = dict[str, Any]


@pytest.fixture
def record(shop: Shop) -> Callable[..., Path]:
    """The record of a run that succeeded, with some of its keys changed by hand."""

    def make(stream: Record | None = None, **changes: object) -> Path:
        path = shop.folder / ".dpone/runs/one.json"
        if not path.exists():
            dpone.run("orders.yaml", run_id="one")
        found = json.loads(path.read_text(encoding="utf-8"))
        found |= changes
        for each in found["streams"]:
            each.update(stream or {})
        path.write_text(json.dumps(found), encoding="utf-8")
        return path

    return make


@pytest.fixture(scope="session")
def connectors() -> None:
    """Whoever runs cases of the matrix needs the connectors of both ends, which certify's own wheel does not bring."""
    if missing := [name for name in EXPECTED if name not in registry.installed()]:
        pytest.skip(f"no connector {', '.join(missing)} is installed, and cases of the matrix are run here")


@pytest.fixture(scope="session")
def refuse_invalid() -> Callable[[Record], int]:
    """Core's own check against the published schemas."""
    path = Path(__file__).parents[2] / "dpone-core/tests/observe/conftest.py"
    spec = importlib.util.spec_from_file_location("dpone_published_openlineage", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    check: Callable[[Record], int] = module.checker()
    return check
