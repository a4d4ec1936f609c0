"""What commands cost: wall time, CPU time and peak memory of the processes that a client starts, servers excluded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from dpone.errors import RemoteError

# A command is its arguments, the first an absolute path, and its whole environment: secrets are in the latter alone.
Command = tuple[Sequence[str], Mapping[str, str]]
Pipe = Sequence[Command]

METER = Path(__file__).with_name("meter.py")


class Cost(Struct, frozen=True):
    """Seconds and bytes."""

    wall: float
    cpu: float
    memory: int


class Outcome(Struct, frozen=True):
    cost: Cost
    out: str


def measure(pipes: Sequence[Pipe], directory: Path) -> Outcome:
    """The pipes were carried out one after another in `directory`; raises with what was said when one failed."""
    job = {
        "directory": str(directory),
        "pipes": [[[list(arguments), dict(environment)] for arguments, environment in pipe] for pipe in pipes],
    }
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", str(METER)], input=json.dumps(job), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RemoteError(f"the meter ended with {done.returncode}", code="benchmark.failed", hint=done.stderr.strip())
    answer = json.loads(done.stdout)
    if "failed" in answer:
        raise RemoteError(
            f"{Path(answer['failed']).name} ended with {answer['status']} instead of 0",
            code="benchmark.failed",
            hint=answer["errors"].strip(),
        )
    return Outcome(Cost(answer["wall"], answer["cpu"], answer["memory"]), answer["out"])
