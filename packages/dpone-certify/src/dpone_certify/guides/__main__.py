"""`python -m dpone_certify.guides docs/how-to`: every page of the specified matrix is made anew, with the index."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dpone import registry
from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
from dpone_certify.guides import digest_of, page_name
from dpone_certify.guides.pages import NOTES, render


def pages(folder: Path) -> dict[str, str]:
    """Each page by its name, with the notes that stand in `folder` now."""
    found = {}
    for source, sink in DEFAULT_INTEGRATION_MATRIX.pairs:
        path = folder / page_name(source, sink)
        kept = NOTES.search(path.read_text("utf-8")) if path.exists() else None
        found[path.name] = render(registry.load(source), registry.load(sink), notes=kept[1] if kept else "")
    return found


def main(folder: Path) -> None:
    """The pages and the index are written."""
    made = pages(folder)
    for name, page in made.items():
        (folder / name).write_text(page, "utf-8")
    digests = {name: digest_of(page) for name, page in sorted(made.items())}
    Path(__file__).with_name("index.json").write_text(json.dumps(digests, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
