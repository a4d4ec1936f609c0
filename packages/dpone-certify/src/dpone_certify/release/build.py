"""A release summary made of chains and suites on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dpone_certify.chain.verify import Chain, verify
from dpone_certify.documents.canonical import relative
from dpone_certify.documents.document import Subject, now, verdict
from dpone_certify.evidence.gathering import gather
from dpone_certify.evidence.judging import Policy
from dpone_certify.evidence.tree import Evidence
from dpone_certify.release.document import ItemName, ReleaseSummary, SummaryItem
from dpone_certify.release.evaluate import KINDS, REPLAY, Release, ends_of, evaluate_release, proven

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

_SUITE = frozenset({"dpone.certification_suite.v1"})
_REPLAY_SCHEMA = "dpone.replay.evidence.v1"


def gather_release(release_id: str, paths: Mapping[ItemName, Path | None], key: SSlibKey | None) -> Release:
    """Everything that the summary is about, read from the disk."""
    chains: dict[ItemName, Chain | None] = {
        name: verify(path, key) if path is not None else None for name, path in paths.items() if name not in KINDS
    }
    suites: dict[ItemName, Evidence | None] = {
        name: gather(name, path, key, expected=_SUITE) if path is not None else None
        for name, path in paths.items()
        if name in KINDS
    }
    return Release(release_id, chains, suites, _replays(chains.get(REPLAY), release_id))


def _replays(chain: Chain | None, release_id: str) -> tuple[Evidence, ...]:
    """The documents of the replay chain's entry that say that they are of a replay."""
    entry = chain.entry(release_id) if chain is not None else None
    if chain is None or entry is None:
        return ()
    paths = [
        chain.folder / root.root / file.path
        for root in entry.roots
        for file in root.files
        if file.path.endswith(".json") and ".." not in Path(file.path).parts
    ]
    found = [gather("replay", path) for path in paths]
    return tuple(e for e in found if isinstance(e.value, dict) and e.value.get("schema_version") == _REPLAY_SCHEMA)


def summary_of_release(
    release: Release, folder: Path, subject: Subject, key: SSlibKey | None, *, allow_unsigned: bool
) -> ReleaseSummary:
    """The document as it will lie in `folder`."""
    policy = Policy(now(), subject, is_keyed=key is not None)
    items, blockers = evaluate_release(release, policy, allow_unsigned=allow_unsigned)
    return ReleaseSummary(
        created_at=now(),
        producer="dpone ops release-summary",
        subject=subject,
        release_id=release.release_id,
        public_key=key.keyid if key is not None else None,
        allow_unsigned=allow_unsigned,
        items=tuple(
            SummaryItem(
                name=item.name,
                path=relative(item.path, folder) if item.path is not None else None,
                sha256=item.sha256,
                passed=not item.blockers,
                summary=item.summary,
            )
            for item in items
        ),
        proven=proven(release),
        ends=ends_of(release),
        **verdict(blockers),
    )
