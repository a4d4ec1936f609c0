"""Whether a pair has its guide: in the index that the package carries, and as that very page in a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from dpone_certify.guides import digest_of, index, page_name

_FOLDER = Path("docs/how-to")


def guide_problem(source: str, sink: str) -> str | None:
    """What is wrong with the guide of a pair; None when it is there and is the one that the index names."""
    name, root = page_name(source, sink), checkout()
    if (digest := index().get(name)) is None:
        return f"the index of guides has no {name}"
    if root is None:
        return None
    path = root / _FOLDER / name
    if not path.is_file():
        return f"{_FOLDER / name} is not there"
    return None if digest_of(path.read_text("utf-8")) == digest else f"{_FOLDER / name} is not the one of the index"


@cache
def checkout() -> Path | None:
    """The repository that this package is run from, if it is."""
    root = Path(__file__).parents[5]
    return root if (root / _FOLDER).is_dir() and (root / "packages").is_dir() else None
