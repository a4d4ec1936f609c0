"""A chain on the disk with one thing wrong, and the blocker with its words; what a sound one says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from dpone_certify.chain.documents import ChainEntry, ChainIndex, IndexedFile, Link, Root
from dpone_certify.chain.verify import Chain, digest_of, markdown_of, verification, verify
from dpone_certify.documents.canonical import sha256, sha256_of
from dpone_certify.documents.document import Artifact, Blocker, Subject, now
from dpone_certify.signing.envelope import write_signed
from dpone_certify.signing.keys import public_key_of, signer_of
from evidence.conftest import Pair

ASK = "find out who changed it; a chain is only ever continued by `dpone ops evidence-chain`"
RESTORE = "find out who changed it; restore what was certified, or certify again"
NOBODY = Subject(distributions={}, commit="c")
OTHER = "0" * 64
RED = Blocker(code="a.b", message="m", action="c")


class Made(Struct, frozen=True):
    """A chain of two releases, each with one artifact, in a folder to be broken."""

    folder: Path

    @property
    def index(self) -> ChainIndex:
        return ChainIndex.model_validate_json((self.folder / "evidence_chain_index.json").read_text())

    def entry(self, release: str) -> ChainEntry:
        return ChainEntry.model_validate_json((self.folder / f"{release}__evidence_chain.json").read_text())

    def put_index(self, **changes: Any) -> None:
        index = self.index.model_copy(update=changes)
        (self.folder / "evidence_chain_index.json").write_text(index.to_json())

    def put_link(self, number: int, **changes: Any) -> None:
        links = list(self.index.entries)
        links[number - 1] = links[number - 1].model_copy(update=changes)
        self.put_index(entries=tuple(links), head=links[-1].digest)

    def put_last(self, **changes: Any) -> None:
        """The last entry says something else, and the index knows its digest."""
        entry = self.entry("v2").model_copy(update=changes)
        (self.folder / "v2__evidence_chain.json").write_text(entry.to_json())
        self.put_link(2, digest=digest_of(entry))

    def blockers(self, **asked: Any) -> list[tuple[str, str, str]]:
        """Code, message and action of each, where the folder is called `.`."""
        found = verify(self.folder, **asked).blockers
        here = f"{self.folder}/"
        return [(b.code.removeprefix("evidence_chain."), b.message.replace(here, ""), b.action) for b in found]


def entry_of(folder: Path, number: int, release: str, previous: str | None) -> ChainEntry:
    index = folder / f"{release}_index.json"
    index.write_text(release)
    (folder / release).mkdir()
    artifact = folder / release / "a.txt"
    artifact.write_text(f"artifact of {release}")
    file = IndexedFile(path="a.txt", sha256=sha256_of(artifact), size=artifact.stat().st_size)
    return ChainEntry(
        created_at=now(),
        producer="a test",
        subject=NOBODY,
        passed=True,
        blockers=(),
        number=number,
        release_id=release,
        previous=previous,
        artifact_index=Artifact(name="artifact_index", path=index.name, sha256=sha256_of(index)),
        roots=(Root(root=release, files=(file,)),),
    )


@pytest.fixture
def made(tmp_path: Path) -> Made:
    folder = tmp_path / "chain"
    folder.mkdir()
    links: list[Link] = []
    for number, release in enumerate(("v1", "v2"), 1):
        entry = entry_of(folder, number, release, links[-1].digest if links else None)
        path = folder / f"{release}__evidence_chain.json"
        path.write_text(entry.to_json())
        links.append(Link(number=number, release_id=release, path=path.name, digest=digest_of(entry)))
    index = ChainIndex(
        created_at=now(),
        producer="a test",
        subject=NOBODY,
        passed=True,
        blockers=(),
        entries=tuple(links),
        head=links[-1].digest,
    )
    (folder / "evidence_chain_index.json").write_text(index.to_json())
    return Made(folder)


def test_a_sound_chain(made: Made) -> None:
    found = verify(made.folder, expected_head=made.index.head)
    assert found == Chain(made.folder, made.index, (made.entry("v1"), made.entry("v2")), ())
    assert found.is_intact
    assert found.entry("v2") == made.entry("v2")
    assert found.entry("v3") is None


def test_a_digest_is_over_the_one_spelling_of_an_entry(made: Made) -> None:
    entry = made.entry("v1")
    spelling = json.dumps(json.loads(entry.to_json()), sort_keys=True, separators=(",", ":"))
    assert digest_of(entry) == sha256(spelling)


def test_a_chain_whose_index_cannot_be_read(tmp_path: Path) -> None:
    found = verify(tmp_path)
    assert (found.folder, found.index, found.entries) == (tmp_path, None, ())
    path = tmp_path / "evidence_chain_index.json"
    assert [(b.code, b.message) for b in found.blockers] == [("evidence_chain.missing", f"{path} is not there")]
    assert not found.is_intact
    assert not Chain(tmp_path, None, (), ()).is_intact


def test_one_that_is_wrong_is_not_intact(made: Made) -> None:
    assert not verify(made.folder, expected_head=OTHER).is_intact


@pytest.mark.parametrize(
    "wrong, code, message",
    [
        (
            lambda m: m.put_link(1, path="../v1__evidence_chain.json"),
            "path_escapes:../v1__evidence_chain.json",
            "an entry lies beside its index",
        ),
        (lambda m: m.put_link(1, path="v1.json"), "path_escapes:v1.json", "an entry lies beside its index"),
        (
            lambda m: m.put_link(1, path="v" * 200),
            f"path_escapes:{'v' * 100}",
            "an entry lies beside its index",
        ),
    ],
)
def test_an_entry_that_lies_elsewhere(made: Made, wrong: Callable[[Made], None], code: str, message: str) -> None:
    wrong(made)
    assert made.blockers() == [
        (code, message, ASK),
        (
            "unlisted_entry:v1__evidence_chain.json",
            "v1__evidence_chain.json is not in the index of the chain",
            ASK,
        ),
    ]


def gone(made: Made) -> None:
    (made.folder / "v1__evidence_chain.json").unlink()


def linked(made: Made) -> None:
    path = made.folder / "v1__evidence_chain.json"
    path.rename(made.folder / "elsewhere.json")
    path.symlink_to("elsewhere.json")


def emptied(made: Made) -> None:
    (made.folder / "v1__evidence_chain.json").write_text("[]")


@pytest.mark.parametrize(
    "wrong, code, message",
    [
        (gone, "entry_missing:v1", "v1__evidence_chain.json is not there"),
        (linked, "entry_invalid:v1", "v1__evidence_chain.json: it is a symbolic link"),
        (emptied, "entry_invalid:v1", "v1__evidence_chain.json: expected an object"),
        (
            lambda m: m.put_last(previous=None),
            "broken_link:v2",
            "v2__evidence_chain.json does not follow the entry before it",
        ),
        (
            lambda m: m.put_last(passed=False, blockers=(RED,)),
            "entry_not_passed:v2",
            "v2__evidence_chain.json does not pass",
        ),
        (
            lambda m: m.put_last(number=3),
            "reordered:v2",
            "v2__evidence_chain.json says that it is entry 3, of v2",
        ),
        (
            lambda m: m.put_last(release_id="v9"),
            "reordered:v2",
            "v2__evidence_chain.json says that it is entry 2, of v9",
        ),
        (lambda m: m.put_last(roots=()), "empty_entry:v2", "it holds no artifact"),
        (lambda m: m.put_index(head=OTHER), "head_differs", "its head is not its last entry"),
        (
            lambda m: m.put_link(2, digest=OTHER),
            "entry_changed:v2",
            "v2__evidence_chain.json is not the entry that the index names",
        ),
        (
            lambda m: (m.folder / "v1_index.json").unlink(),
            "artifact_missing:v1_index.json",
            "v1_index.json is not there",
        ),
        (
            lambda m: (m.folder / "v2_index.json").write_text("other"),
            "artifact_changed:v2_index.json",
            "v2_index.json is not the index that v2 was made from",
        ),
    ],
)
def test_whatever_is_wrong_is_told_in_its_words(
    made: Made, wrong: Callable[[Made], None], code: str, message: str
) -> None:
    wrong(made)
    assert made.blockers() == [(code, message, ASK)]


def test_what_could_be_read_is_there_beside_what_could_not(made: Made) -> None:
    gone(made)
    assert verify(made.folder).entries == (made.entry("v2"),)


def test_artifacts_are_hashed_again(made: Made) -> None:
    (made.folder / "v1/a.txt").write_text("artifact of v3")
    (made.folder / "v2/a.txt").unlink()
    assert made.blockers() == [
        ("artifact_changed:v1/a.txt", "v1/a.txt: it is not what it was when the release was certified", RESTORE),
        ("artifact_missing:v2/a.txt", "v2/a.txt: it is not there any more", RESTORE),
    ]


def test_entries_put_beside_the_chain_are_told_by_name(made: Made) -> None:
    for name in ("v4", "v3"):
        (made.folder / f"{name}__evidence_chain.json").write_text("{}")
    assert made.blockers() == [
        (
            f"unlisted_entry:{name}__evidence_chain.json",
            f"{name}__evidence_chain.json is not in the index of the chain",
            ASK,
        )
        for name in ("v3", "v4")
    ]


def test_entries_in_another_order(made: Made) -> None:
    first, second = made.index.entries
    made.put_index(entries=(second, first), head=first.digest)
    assert made.blockers() == [
        ("reordered:v2", "entry 2 stands where 1 belongs", ASK),
        ("broken_link:v2", "v2__evidence_chain.json does not follow the entry before it", ASK),
        ("reordered:v1", "entry 1 stands where 2 belongs", ASK),
        ("broken_link:v1", "v1__evidence_chain.json does not follow the entry before it", ASK),
    ]


def test_a_release_that_is_there_twice(made: Made) -> None:
    first, _ = made.index.entries
    (made.folder / "v2__evidence_chain.json").unlink()
    made.put_index(entries=(first, first), head=first.digest)
    assert made.blockers() == [
        ("duplicate_release:v1", "a release is in a chain once", ASK),
        ("reordered:v1", "entry 1 stands where 2 belongs", ASK),
        ("broken_link:v1", "v1__evidence_chain.json does not follow the entry before it", ASK),
    ]


def test_a_chain_of_nothing(made: Made) -> None:
    for release in ("v1", "v2"):
        (made.folder / f"{release}__evidence_chain.json").unlink()
    made.put_index(entries=())
    assert made.blockers() == [
        ("empty", "it has no entry", ASK),
        ("head_differs", "its head is not its last entry", ASK),
    ]


def test_another_head_than_the_expected_one(made: Made) -> None:
    message = f"its head is {made.index.head}, expected was {OTHER}: entries are missing, or were added"
    assert made.blockers(expected_head=OTHER) == [("unexpected_head", message, ASK)]


def test_who_signed_it(made: Made, pair: Callable[[str], Pair]) -> None:
    private, public = pair("ours")
    key = public_key_of(str(public))
    assert made.blockers(key=key) == [
        (
            "unsigned",
            "evidence_chain_index.json: there is no signature beside it",
            "have the chain made with --signing-key, and give that key's public half",
        )
    ]
    write_signed(made.folder / "evidence_chain_index.json", made.index.to_json(), signer_of(str(private)))
    assert made.blockers(key=key) == []


UNSIGNED = Blocker(code="evidence_chain.unsigned", message="m", action="a")
BROKEN = Blocker(code="evidence_chain.broken_link:v2", message="m", action="a")


@pytest.mark.parametrize(
    "blockers, is_keyed, verified",
    [
        ((), True, True),
        ((), False, False),
        ((UNSIGNED,), True, False),
        ((BROKEN, UNSIGNED), True, False),
        ((BROKEN,), True, True),
    ],
)
def test_what_a_verification_says(
    made: Made,
    blockers: tuple[Blocker, ...],
    *,
    is_keyed: bool,
    verified: bool,
) -> None:
    chain = Chain(made.folder, made.index, (made.entry("v1"), made.entry("v2")), blockers)
    found = verification(chain, NOBODY, is_keyed=is_keyed)
    assert found.model_dump(exclude={"created_at"}) == {
        "schema_version": "dpone.evidence_chain_verification.v1",
        "producer": "dpone ops evidence-chain-verify",
        "subject": NOBODY.model_dump(),
        "passed": not blockers,
        "blockers": tuple(b.model_dump() for b in blockers),
        "head": made.index.head,
        "releases": ("v1", "v2"),
        "artifact_count": 2,
        "signature_verified": verified,
    }


def test_a_chain_that_could_not_be_read_has_no_head(tmp_path: Path) -> None:
    found = verification(Chain(tmp_path, None, (), (BROKEN,)), NOBODY, is_keyed=False)
    assert (found.head, found.releases, found.artifact_count) == (None, (), 0)


@pytest.mark.parametrize(
    "is_keyed, signed",
    [(True, "signed by the key that was given"), (False, "its signature was not verified")],
)
def test_a_verification_as_people_read_it(made: Made, signed: str, *, is_keyed: bool) -> None:
    found = verification(verify(made.folder), NOBODY, is_keyed=is_keyed)
    assert markdown_of(found).splitlines() == [
        "# Evidence chain: passed",
        "",
        f"{found.created_at.isoformat()}, dpone ops evidence-chain-verify, `dpone.evidence_chain_verification.v1`.",
        "",
        f"2 artifacts hashed again; head `{made.index.head}`; {signed}.",
        "",
        "| number | release |",
        "|---|---|",
        "| 1 | v1 |",
        "| 2 | v2 |",
    ]
