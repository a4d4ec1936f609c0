"""Writes docs/reference/errors.md from the code: every error code, what it says, what to do about it.

`python .ci/errors_page.py` writes the page; a test compares it with what this module makes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "errors.md"
CODE = re.compile(r"[a-z]+\.[a-z]+(?:_[a-z]+)*")
EXIT = {"UsageError": 2, "MissingPackage": 2, "PlanError": 2}
HEAD = """\
# Errors

Every error has a code, says what was expected and what was found, and what to do. Exit codes are the same for every
command: 0 yes; 1 the answer is no; 2 refused, nothing was touched; 130 and 143 after a signal and its rollback.
`--debug` adds the traceback. This page is made from the code (`python .ci/errors_page.py`); `{...}` stands for a name
or number of the case.
"""

# Codes that are put together at run time, and what they stand for.
COMPOSED = {
    "check.row_count": "a check on the staged rows failed; nothing was published",
    "check.not_null": "a check on the staged rows failed; nothing was published",
    "check.unique": "a check on the staged rows failed; nothing was published",
    "check.accepted_values": "a check on the staged rows failed; nothing was published",
    "check.freshness": "a check on the staged rows failed; nothing was published",
    "check.checksum": "a check on the staged rows failed; nothing was published",
}


class Entry:
    """What the code says of one error code."""

    def __init__(self) -> None:
        self.messages: dict[str, None] = {}
        self.hints: dict[str, None] = {}
        self.kinds: dict[str, None] = {}


class Hinted(NamedTuple):
    """A function that makes one error, and is told what to do about it: at which place, or else by its default."""

    function: str
    code: str
    place: int | None
    default: str | None


def sources() -> Iterator[Path]:
    """Modules that a user's error can come from: all but the recording ends and the conformance suite."""
    for path in sorted((ROOT / "packages").glob("*/src/**/*.py")):
        if "/testing/suite/" not in str(path) and path.name != "recording.py":
            yield path


def text_of(node: ast.expr | None) -> str | None:
    """A string expression with `{...}` where it is filled in; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            v.value if isinstance(v, ast.Constant) and isinstance(v.value, str) else "{...}" for v in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return None if left is None else left + (right or "{...}")
    return None


def entries() -> dict[str, Entry]:
    """Every code that is given to an error, with the sentences beside it."""
    found: dict[str, Entry] = {}
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sources()}
    told = {hinted.function: hinted for tree in trees.values() for hinted in _hinted(tree)}
    for path, tree in trees.items():
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
            for target in node.targets
            if isinstance(target, ast.Name) and CODE.fullmatch(node.value.value)
        }
        for value in constants.values():
            if path.name == "problems.py":  # the manifest's codes are named there
                found.setdefault(value, Entry()).kinds["UsageError"] = None
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                _note(node, constants, found)
                _note_hint(node, told, found)
    for hinted in told.values():
        if hinted.default:
            found[hinted.code].hints[hinted.default] = None
    for code, says in COMPOSED.items():
        entry = found.setdefault(code, Entry())
        entry.messages[says] = None
        entry.kinds["DataError"] = None
    return found


def _note(call: ast.Call, constants: dict[str, str], found: dict[str, Entry]) -> None:
    if _name(call.func) == "Blocker":  # what blocks a document is no error of a command, and has a page of its own
        return
    words = {k.arg: k.value for k in call.keywords}
    given = words.get("code")
    code = text_of(given) or (constants.get(given.id) if isinstance(given, ast.Name) else None)
    for name in _sides(code or ""):
        entry = found.setdefault(name, Entry())
        entry.kinds[_name(call.func)] = None
        if call.args and (message := text_of(call.args[0])):
            entry.messages[message] = None
        if hint := text_of(words.get("hint")):
            entry.hints[hint] = None


def _hinted(tree: ast.Module) -> Iterator[Hinted]:
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        places = [a.arg for a in function.args.args]
        defaults = dict(zip(reversed(places), reversed(function.args.defaults), strict=False))
        for call in ast.walk(function):
            words = {k.arg: k.value for k in call.keywords} if isinstance(call, ast.Call) else {}
            code, hint = text_of(words.get("code")), words.get("hint")
            if code and isinstance(hint, ast.Name) and hint.id == "hint":
                place = places.index("hint") if "hint" in places else None
                yield Hinted(function.name, code, place, text_of(defaults.get("hint")))


def _note_hint(call: ast.Call, told: dict[str, Hinted], found: dict[str, Entry]) -> None:
    """A hint that is given to such a function."""
    hinted = told.get(_name(call.func))
    if hinted is None:
        return
    by_place = call.args[hinted.place] if hinted.place is not None and hinted.place < len(call.args) else None
    if hint := text_of({k.arg: k.value for k in call.keywords}.get("hint") or by_place):
        found.setdefault(hinted.code, Entry()).hints[hint] = None


def _sides(code: str) -> list[str]:
    """The codes that an expression can give: `{...}.timeout` is either end's."""
    if code.startswith("{...}."):
        return [f"{side}{code.removeprefix('{...}')}" for side in ("source", "sink")]
    return [code] if CODE.fullmatch(code) else []


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def page() -> str:
    """The whole page."""
    found = entries()
    lines = [HEAD]
    area = ""
    for code in sorted(found):
        entry = found[code]
        if code.partition(".")[0] != area:
            area = code.partition(".")[0]
            lines.append(f"## {area}\n")
        exits = sorted({EXIT.get(kind, 1) for kind in entry.kinds})
        lines.append(f"### {code} {{: #{code} }}\n")
        lines.append(f"Exit {' or '.join(map(str, exits))}.\n")
        lines += [f"- {_plain(message)}" for message in entry.messages]
        lines += [f"- *What to do:* {_plain(hint)}" for hint in entry.hints]
        lines.append("")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
