"""What guide.md says of pagination is what a manifest may say."""

from __future__ import annotations

import re
from importlib.resources import files

from ruamel.yaml import YAML

from dpone_rest import RestSource


def test_every_pagination_of_the_guide_is_one() -> None:
    guide = files("dpone_rest").joinpath("guide.md").read_text("utf-8")
    found = re.findall(r"`(pagination: \{.*?\})`", guide)
    kinds = [RestSource.model_validate({"path": "x", **YAML(typ="safe").load(one)}).pagination for one in found]
    assert [kind.type for kind in kinds if kind is not None] == ["page", "offset", "cursor", "link", "header"]
