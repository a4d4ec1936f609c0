"""docs/quickstart.md, followed to the letter: its SQL, its commands in order, and the answers that it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    """The fenced blocks of this language, in order."""
    return [
        body for kind, body in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE) if kind == language
    ]


def run(command: str, folder: Path, **environment: str) -> str:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_page_works_as_written(tmp_path: Path) -> None:
    commands = [line for block in blocks("") for line in block.splitlines() if line.startswith(("dpone ", "export "))]
    assert commands[0] == "dpone services up postgres"
    up = run(f"{commands[0]}", tmp_path)
    try:
        exported = next(line for line in up.splitlines() if line.startswith("export DPONE_CONN_POSTGRES="))
        url = exported.partition("=")[2].strip("'")
        (seed,) = blocks("sql")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(seed.encode())
        said = "".join(run(f"{exported}\n{commands[1]}\n{command}", tmp_path) for command in commands[2:])
        answers = [b for b in blocks("") if not b.startswith(("dpone ", "export ", "python3 "))]
        assert len(answers) == 2
        assert [shown for shown in answers if shown not in said] == []
        again = run(f"{exported}\n{commands[1]}\ndpone run orders.yaml --quiet", tmp_path)
        assert "inserted 0, updated 0, deleted 0" in again
    finally:
        run("dpone services down", tmp_path)
