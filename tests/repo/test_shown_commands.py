"""Every `dpone` command that a page shows exists, with every option that it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dpone.cli.root import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/README.md")])
BEFORE = re.compile(r"^(?:\$ |[A-Z_]+=\S+ |uv run )+")


def shown(page: Path) -> Iterator[list[str]]:
    """The words of each command, lines that end with a backslash put together, comments left out."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        if language not in {"", "bash", "sh", "console"}:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            command = BEFORE.sub("", line.strip())
            if command.startswith("dpone "):
                yield shlex.split(command, comments=True)[1:]


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words call, and what is left of them."""
    command: click.Command = cli
    context = click.Context(cli, info_name="dpone")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"dpone has no command `{words[0]}`"
        command, words = found, words[1:]
        context = click.Context(command, parent=context)
    return command, words


CASES = [pytest.param(words, id=f"{page.stem}: {' '.join(words)[:80]}") for page in PAGES for words in shown(page)]


@pytest.mark.parametrize("words", {case.id: case for case in CASES}.values())
def test_a_shown_command_exists(words: list[str]) -> None:
    command, rest = resolve(words)
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"--help", "-h"}
    for word in rest:
        if word.startswith("-") and not re.fullmatch(r"-?\d+", word):
            assert word.partition("=")[0] in known, f"`dpone {' '.join(words)}`: no option {word}"


def test_there_is_something_to_check() -> None:
    assert len(CASES) > 25
    with pytest.raises(AssertionError, match="no command `fly`"):
        resolve(["fly"])
