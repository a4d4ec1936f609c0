"""The one spelling of a document: sorted keys, finite numbers, UTF-8, one newline at the end; and its hash."""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any


def canonical(value: Any) -> str:
    """JSON that is the same for equal values; a number that is not finite is refused by ValueError."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def sha256(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, text: str) -> None:
    """The file holds this text, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.replace(path)


def parse(content: bytes) -> Any:
    """What the bytes say; ValueError where two readers could read them differently."""
    return json.loads(
        content.decode("utf-8"),
        object_pairs_hook=_without_twins,
        parse_constant=_refuse_constant,
        parse_float=_finite,
    )


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999 is JSON, and no number that can be compared
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


def relative(path: Path, folder: Path) -> str:
    """The path as a document in that folder names it."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
