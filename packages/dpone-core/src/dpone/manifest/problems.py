"""What is wrong with a file, each finding with its place, gathered so that a reader sees all of them at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import indent
from typing import Any

from msgspec import Struct

from dpone.errors import UsageError

INVALID = "manifest.invalid"
SYNTAX = "manifest.syntax"
UNKNOWN_KEY = "manifest.unknown_key"
MISSING_STRATEGY = "manifest.missing_strategy"
UNKNOWN_STRATEGY = "manifest.unknown_strategy"
UNKNOWN_CONNECTION = "manifest.unknown_connection"
NOTHING_MATCHED = "manifest.nothing_matched"
BAD_CONNECTION = "connection.invalid"
LITERAL_SECRET = "secret.literal"  # noqa: S105 - the code of an error, not a secret
MISPLACED_SECRET = "secret.misplaced"  # noqa: S105 - the code of an error, not a secret


class Mark(Struct, frozen=True):
    """A place in a file, counted from 1 as editors do."""

    line: int
    column: int


class Problem(Struct, frozen=True):
    """One finding. `path` is the key it is about, as `strategy.cursor.lag`; `mark` is absent where there is no file."""

    file: str
    mark: Mark | None
    message: str
    code: str = INVALID
    path: str = ""
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.mark.line}: {self.message}" if self.mark else f"{self.file}: {self.message}"

    def as_json(self) -> dict[str, object]:
        return {
            "file": self.file,
            "line": self.mark.line if self.mark else None,
            "column": self.mark.column if self.mark else None,
            "path": self.path,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Problem:
        mark = Mark(data["line"], data["column"]) if data["line"] else None
        return cls(data["file"], mark, data["message"], data["code"], data["path"], data["hint"])


def as_error(problems: Iterable[Problem]) -> UsageError:
    """One error that says all of it; its code is that of the problems where they share one."""
    found = sorted(dict.fromkeys(problems), key=_place)
    codes = {p.code for p in found}
    code = codes.pop() if len(codes) == 1 else INVALID
    listed = [p.as_json() for p in found]
    if len(found) == 1:
        return UsageError(str(found[0]), code=code, hint=found[0].hint, problems=listed)
    files = list(dict.fromkeys(p.file for p in found))
    lines = [f"  {p}" + ("\n" + indent(p.hint, "    ") if p.hint else "") for p in found]
    message = "\n".join([f"{len(found)} problems in {' and '.join(files)}", *lines])
    return UsageError(message, code=code, problems=listed)


def _place(problem: Problem) -> tuple[str, int, int]:
    return (problem.file, problem.mark.line, problem.mark.column) if problem.mark else (problem.file, 0, 0)


_TELLING = 4  # characters of a part that tell the whole


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that a mistyped word most likely means."""
    known = list(choices)
    folded = {_fold(choice): choice for choice in known}
    near = difflib.get_close_matches(_fold(word), list(folded), n=1, cutoff=0.65)
    if not near and len(word) >= _TELLING:
        near = [choice for choice in folded if _fold(word) in choice]  # `merge` for incremental_merge
    return folded[near[0]] if near else None


def resembles(word: str, choices: Iterable[str]) -> bool:
    """True when a word is so near to a choice that it may be shown where a secret could stand."""
    return is_word(word) and bool(difflib.get_close_matches(_fold(word), list(map(_fold, choices)), n=1, cutoff=0.8))


def is_word(text: str) -> bool:
    """True when a text reads like a key or a name, and not like a value that lost its colon."""
    return re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", text) is not None


def _fold(word: str) -> str:
    return word[:80].lower().replace("-", "_").replace(" ", "_")


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """The end of a sentence: `; did you mean "strategy"?`, or nothing."""
    near = nearest(word, choices)
    return f'; did you mean "{near}"?' if near else ""


def listed(words: Sequence[str], last: str = "or") -> str:
    """`a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
