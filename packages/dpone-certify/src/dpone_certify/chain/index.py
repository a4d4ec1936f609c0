"""The artifact index of a release: every file below some folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dpone_certify.chain.documents import ArtifactIndex, Root
from dpone_certify.chain.files import files_below
from dpone_certify.documents.canonical import relative
from dpone_certify.documents.document import Blocker, Subject, now, verdict
from dpone_certify.documents.markdown import head, table

INDEX = "artifact_index.json"


def index_of(release_id: str, roots: Sequence[Path], folder: Path, subject: Subject) -> ArtifactIndex:
    """The index as it will lie in `folder`; it and its Markdown are not in it."""
    own = frozenset((folder / name).resolve() for name in (INDEX, "artifact_index.md"))
    blockers: list[Blocker] = []
    found: list[Root] = []
    for root in dict.fromkeys(roots):
        if not root.is_dir() or root.is_symlink():
            action = "produce the evidence first, and name the folder that it is in"
            code = f"artifact_index.missing_root:{root}"
            blockers.append(Blocker(code=code, message=f"{root} is not a folder", action=action))
            continue
        files = files_below(root, own)
        blockers += files.blockers
        if not files.files:
            action = "produce the evidence first, and name the folder that it is in"
            code = f"artifact_index.empty_root:{root}"
            blockers.append(Blocker(code=code, message=f"there is no file below {root}", action=action))
        found.append(Root(root=relative(root, folder), files=files.files))
    if not roots:
        action = "name a folder of evidence as --root"
        blockers.append(Blocker(code="artifact_index.empty", message="no folder was given", action=action))
    return ArtifactIndex(
        created_at=now(),
        producer="dpone ops artifact-index",
        subject=subject,
        release_id=release_id,
        roots=tuple(found),
        **verdict(blockers),
    )


def markdown_of(index: ArtifactIndex) -> str:
    lines = head(f"Artifacts of {index.release_id}", index)
    for root in index.roots:
        lines += [f"## {root.root}", ""]
        lines += table(("file", "bytes", "sha256"), ((f.path, f"{f.size:,}", f.sha256) for f in root.files))
    return "\n".join(lines)
