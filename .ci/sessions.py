"""Says, as a JSON list, which of the sessions that it is given a change asks for.

Usage: nox -l --json -s unit contract | python .ci/sessions.py [<commit to compare with>]
Without a commit, or when anything outside the connectors changed, that is all of them: every package rests on core.
"""

from __future__ import annotations

import json
import subprocess
import sys


def affected(changed: list[str] | None) -> set[str] | None:
    """The connectors whose own files alone changed; None when all packages are concerned."""
    if changed is None:
        return None
    prefix = "packages/dpone-connectors-"
    if not all(path.startswith(prefix) for path in changed):
        return None
    return {path.removeprefix(prefix).split("/", maxsplit=1)[0] for path in changed}


def chosen(listing: list[dict[str, str]], changed: list[str] | None) -> list[str]:
    """The listed sessions of the packages concerned; a session is called `unit(kafka)`."""
    only, sessions = affected(changed), [entry["session"] for entry in listing]
    return [session for session in sessions if only is None or session.partition("(")[2].rstrip(")") in only]


def changed_since(commit: str) -> list[str] | None:
    """The changed paths, or None when git does not know the commit (a first push, a forced one)."""
    compared = subprocess.run(  # noqa: S603 -- the commit is git's own, and after -- there are only paths
        ["git", "diff", "--name-only", f"{commit}...HEAD", "--"],  # noqa: S607 -- git is what checked the tree out
        check=False,
        capture_output=True,
        text=True,
    )
    return compared.stdout.splitlines() if compared.returncode == 0 else None


if __name__ == "__main__":
    base = sys.argv[1] if len(sys.argv) > 1 else ""
    print(json.dumps(chosen(json.load(sys.stdin), changed_since(base) if base else None)))
