"""The guide of each source → sink pair: made from what the two ends declare and what their authors wrote about them.

A connector ships `guide.md` beside its declaration. `python -m dpone_certify.guides docs/how-to` writes the pages and
the index that travels in the wheel, by which a certification knows that a pair has its guide.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


def page_name(source: str, sink: str) -> str:
    return f"{source}-to-{sink}.md"


def digest_of(page: str) -> str:
    return f"sha256:{hashlib.sha256(page.encode()).hexdigest()}"


@cache
def index() -> Mapping[str, str]:
    """The digest of each page, by its name, as they were when this version was built."""
    found: dict[str, str] = json.loads(files(__name__).joinpath("index.json").read_text("utf-8"))
    return found
