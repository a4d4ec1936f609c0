"""One page: a template filled with escaped text, its style and its script inside, both named by hash in the policy."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

_FOLDER = files("dpone_certify.html")


def page(title: str, *, passed: bool, data: Any, **more: Any) -> str:
    """The page as it stands in a file; every value in it is text, and the browser may run nothing else."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=False)
    template = environment.from_string(_read("page.html.j2"))
    style, script = _read("page.css"), _read("page.js")
    parts = {
        "title": title,
        "passed": passed,
        "style": Markup(style),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "data": _embedded(data),
    }
    nothing: dict[str, Any] = dict.fromkeys(("trust", "subtitle"), "")
    lists = (
        "figures",
        "blockers",
        "items",
        "ends",
        "chains",
        "rows",
        "choices",
        "strategies",
        "marks",
        "fidelities",
        "slowest",
    )
    nothing |= dict.fromkeys(lists, ()) | {"signed": False}
    return template.render({**nothing, **more, **parts})


def _embedded(data: Any) -> Markup:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=True, allow_nan=False)
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(escaped)  # noqa: S704 - no sign of markup is left in it


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
