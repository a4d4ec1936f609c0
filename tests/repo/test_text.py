"""What no tracked file may say, and what every silenced check must say beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Put together here, so that this file does not hold what it forbids.
FORBIDDEN = re.compile("|".join([r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", "/wo" + "rk/", "/ro" + "ot/"]))
CODES = r"[A-Z]+\d+(?:[, ]+[A-Z]+\d+)*"
SILENCED = re.compile(rf"#\s*(?:noqa\b(?::\s*{CODES})?|type: ignore(?:\[[\w, -]+\])?|pragma: no cover)")
WORD = re.compile(r"[A-Za-z]{3,}")


def lines_with(pattern: re.Pattern[str], text: str) -> list[tuple[int, re.Match[str], str]]:
    numbered = enumerate(text.splitlines(), start=1)
    return [(number, match, line) for number, line in numbered if (match := pattern.search(line))]


def unexplained(text: str) -> list[int]:
    """The lines that silence a check without a word after it that says why."""
    return [
        number
        for number, match, line in lines_with(SILENCED, text)
        if not WORD.search(SILENCED.sub("", line[match.end() :]))
    ]


def test_nothing_is_left_for_later_and_no_machine_is_named(root: Path, tracked: list[Path]) -> None:
    found = []
    for path in tracked:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(root)}:{number}: {match[0]}" for number, match, _ in lines_with(FORBIDDEN, text)]
    assert found == []


def test_every_silenced_check_says_why(root: Path, tracked: list[Path]) -> None:
    sources = [path for path in tracked if path.suffix == ".py" and path != Path(__file__)]
    found = [f"{path.relative_to(root)}:{number}" for path in sources for number in unexplained(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "line, is_explained",
    [
        pytest.param("x = 1", True, id="nothing-silenced"),
        pytest.param("import a  # noqa: F401", False, id="bare-code"),
        pytest.param("import a  # noqa", False, id="bare"),
        pytest.param("import a  # noqa: F401, E402", False, id="two-codes"),
        pytest.param("import a  # noqa: F401 -- re-exported for users", True, id="reason"),
        pytest.param("a = b  # type: ignore[arg-type]", False, id="type"),
        pytest.param("a = b  # type: ignore[arg-type]  # the stub lacks this overload", True, id="type-reason"),
        pytest.param("a = b  # type: ignore[arg-type]  # noqa: F401", False, id="two-without-reason"),
    ],
)
def test_the_rule_on_silenced_checks_sees_them(line: str, *, is_explained: bool) -> None:
    assert (unexplained(line) == []) is is_explained
