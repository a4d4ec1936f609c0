"""docs/reference/manifest.md says what the models say, and its examples load."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dpone.connector import Connector
from dpone.manifest import Connections, load
from dpone.manifest.document import compose
from dpone.manifest.models import Settings
from dpone.manifest.modes import MODELS
from dpone.manifest.reference import print_schema, render
from dpone.manifest.scalars import Model

PAGE = Path(__file__).parents[4] / "docs/reference/manifest.md"
EXAMPLES = re.compile(r"```yaml\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the tests of a wheel come without the documentation")


@pytest.fixture
def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_models(text: str) -> None:
    """`python -m dpone.manifest.reference docs/reference` writes them anew."""
    assert render(text) == text
    assert (PAGE.parent / "schemas/manifest.schema.json").read_text(encoding="utf-8") == print_schema()


def test_every_key_is_on_the_page(text: str) -> None:
    models: list[type[Model]] = [Settings, *MODELS.values()]
    keys = {name for model in models for name in model.model_fields}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_the_examples_load(text: str, tmp_path: Path, connectors: Mapping[str, Connector[Any]]) -> None:
    alpha = connectors["alpha"]
    named = {name: replace(alpha, name=name, schemes=(name,)) for name in ("postgres", "clickhouse")}
    seen = set()
    for example in EXAMPLES.findall(text):
        keys = list(compose(example.encode(), "example").entries)
        seen.add(keys[0])
        if keys[0] == "version":
            (tmp_path / "m.yaml").write_text(example, encoding="utf-8")
            found = load(
                tmp_path / "m.yaml",
                named.__getitem__,
                environ={"DPONE_CONN_SHOP": "postgres://h", "DPONE_CONN_DWH": "clickhouse://h"},
            )
            assert found.streams
        elif keys[0] == "shop":
            (tmp_path / "connections.yml").write_text(example, encoding="utf-8")
            connections = Connections(tmp_path, {})
            assert connections.ref("shop", named["postgres"]).described()["password"] == "***"
            assert connections.ref("dwh", named["clickhouse"]).described()["database"] == "raw"
        else:
            Settings.model_validate(compose(example.encode(), "example").plain())
    assert seen == {"version", "columns", "where", "shop"}
