"""Carrying a plan out: every command is run, because a red one leaves evidence too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

from dpone_certify.automation.document import Step, planned
from dpone_certify.automation.plan import Command


def carry_out(commands: tuple[Command, ...], say: Callable[[str], None]) -> Iterator[Step]:
    """Each step as it ended, its output on stderr; what it wrote in an earlier run is taken away before it."""
    for number, command in enumerate(commands, 1):
        step = planned(command)
        say(f"[{number}/{len(commands)}] {step.command}")
        if command.name != "verify":
            Path(command.produces).unlink(missing_ok=True)
        begun = monotonic()
        done = subprocess.run(_here(command.words), check=False, stdout=sys.stderr)  # noqa: S603 - words of the plan
        yield step.model_copy(update={"exit_code": done.returncode, "seconds": round(monotonic() - begun, 3)})


def _here(words: tuple[str, ...]) -> list[str]:
    """The words with the programs of this very environment."""
    own = {"python": sys.executable, "dpone": str(Path(sys.executable).with_name("dpone"))}
    return [own[words[0]], *words[1:]]
