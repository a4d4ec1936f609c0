"""What somebody may try with a chain, an artifact index, or a release."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from dpone_certify.chain.documents import ChainEntry
from dpone_certify.chain.verify import digest_of
from dpone_certify.signing.envelope import envelope_of, write_signed
from dpone_certify.signing.keys import signer_of
from evidence.conftest import (
    CHAINS,
    CONNECTORS,
    CURRENT,
    REPORT,
    SUITES,
    World,
    chain_commands,
    make_pair,
    run,
    suite_command,
    summary,
    verify,
)
from evidence.forgeries_of_reports import CASE, failing
from evidence.forging import Forgery, Json, both, edit, edited, put, rehash, relink, whitewash

CHAIN = CHAINS["matrix"]
INDEX = f"{CHAIN}/evidence_chain_index.json"
ONE = f"{CHAIN}/v1__evidence_chain.json"
BEHAVIOR = f"{CURRENT}/{CASE}__behavior.json"
OPEN = ("--allow-unsigned",)


def second(world: World) -> None:
    """The chain has two releases, both signed."""
    for command in chain_commands("matrix", "v2", ("--signing-key", str(world.private))):
        assert run(*command) == 0


def edited_artifact(world: World) -> None:
    edit(world / BEHAVIOR, put(9_999, "result", "actual_row_count"))


def careful_edit(world: World) -> None:
    """An artifact is changed, and its entry, its index and the head follow."""
    (world / BEHAVIOR).write_text("{}")
    edit(world / ONE, lambda e: rehash(e, world / CHAIN))
    relink(world)


def truncated(world: World, *, careful: bool) -> None:
    second(world)
    if careful:
        (world / CHAIN / "v2__evidence_chain.json").unlink()
        relink(world, ["v1__evidence_chain.json"])
    else:
        edit(world / INDEX, lambda i: i.update(entries=i["entries"][:1], head=i["entries"][0]["digest"]))


def older(world: World) -> None:
    """The chain as it once was, signature and all: only who wrote its head down can tell."""
    kept = [(path, path.read_bytes()) for path in (world / INDEX, envelope_of(world / INDEX))]
    second(world)
    (world / CHAIN / "v2__evidence_chain.json").unlink()
    for path, content in kept:
        path.write_bytes(content)


def reordered(world: World, *, careful: bool) -> None:
    second(world)
    if careful:
        relink(world, ["v2__evidence_chain.json", "v1__evidence_chain.json"])
    else:
        edit(world / INDEX, lambda i: i["entries"].reverse())


def unlinked(world: World) -> None:
    """The second entry says that it follows another one, and the index knows its digest."""
    second(world)
    path = world / CHAIN / "v2__evidence_chain.json"
    edit(path, put("0" * 64, "previous"))
    digest = digest_of(ChainEntry.model_validate_json(path.read_text()))
    edit(world / INDEX, both_put(digest))


def both_put(digest: str) -> Callable[[Json], None]:
    def change(index: Json) -> None:
        index["entries"][1]["digest"] = index["head"] = digest

    return change


def doubled(world: World) -> None:
    edit(world / INDEX, lambda i: i["entries"].append({**i["entries"][0], "number": 2}))


def foreign(world: World) -> None:
    """Somebody else signs the chain with a key of his own."""
    private, _ = make_pair(world.folder, "theirs")
    write_signed(world / INDEX, (world / INDEX).read_text(), signer_of(str(private)))


def linked(world: World) -> None:
    (world / BEHAVIOR).rename(world / "elsewhere.json")
    (world / BEHAVIOR).symlink_to(world / "elsewhere.json")


def linked_folder(world: World) -> None:
    (world / CURRENT).rename(world / "elsewhere")
    (world / CURRENT).symlink_to(world / "elsewhere")


def escaping(entry: Json) -> None:
    entry["roots"][0]["files"][0]["path"] = "../../../orders.yaml"


def inserted(world: World) -> None:
    shutil.copy(world / ONE, world / CHAIN / "v0__evidence_chain.json")


def suite_of_red(world: World) -> None:
    """A case failed; the suite says green, and the chain is made again over all of it."""
    edit(world / REPORT, lambda r: failing(r["results"][3]))
    run(*suite_command("matrix", "v1"))
    whitewash(SUITES["matrix"])(world)
    rechain(world)


def rechain(world: World, kind: str = "matrix") -> None:
    """The chain of this kind from the beginning, over what is there by now."""
    shutil.rmtree(world / CHAINS[kind])
    for command in chain_commands(kind):
        run(*command)


def resuited(*options: str, kind: str = "matrix") -> Any:
    """A suite made with other demands, and its chain."""

    def forge(world: World) -> None:
        shutil.rmtree((world / SUITES[kind]).parent)
        run(*suite_command(kind), *options)
        rechain(world, kind)

    return forge


def unreplayed(world: World) -> None:
    """The chain of the replays holds a text, and no replay."""
    for path in (world / "test_artifacts/replay_integration").iterdir():
        path.unlink()
    (world / "test_artifacts/replay_integration/note.md").write_text("all replays were green")
    rechain(world, "replay")


def planned(world: World) -> None:
    edit(world / "test_artifacts/replay_integration/resync_01_evidence.json", lambda r: r.update(
        mode="plan", passed=False, blockers=[{"code": "replay.planned", "message": "m", "action": "a"}]))  # fmt: skip
    rechain(world, "replay")


def unsigned(world: World) -> None:
    envelope_of(world / CONNECTORS).unlink()
    rechain(world, "connectors")


def key_among(world: World) -> None:
    shutil.copy(world.private, world / CURRENT / "notes.txt")


def index(*roots: str) -> tuple[str, ...]:
    words = [word for root in roots for word in ("--root", root)]
    return ("ops", "artifact-index", *words, "--output-dir", "indexed", "--format", "json")


CHAINED = [
    Forgery(
        "an edited artifact",
        edited_artifact,
        f"evidence_chain.artifact_changed:../../certification/current/{CASE}",
        verify(),
    ),
    Forgery("an artifact taken away", lambda w: (w / BEHAVIOR).unlink(), "evidence_chain.artifact_missing", verify()),
    Forgery(
        "an artifact edited, and all hashes with it", careful_edit, "evidence_chain.unsigned", verify(), needs_key=True
    ),
    Forgery("an edited entry", edited(ONE, put("x", "producer")), "evidence_chain.entry_changed:v1", verify()),
    Forgery("an entry renamed", edited(ONE, put("v9", "release_id")), "evidence_chain.entry_changed:v1", verify()),
    Forgery("an entry taken away", lambda w: (w / ONE).unlink(), "evidence_chain.entry_missing:v1", verify()),
    Forgery("an entry put beside", inserted, "evidence_chain.unlisted_entry:v0__evidence_chain.json", verify()),
    Forgery(
        "a truncated chain",
        lambda w: truncated(w, careful=False),
        "evidence_chain.unlisted_entry:v2__evidence_chain.json",
        verify(),
    ),
    Forgery(
        "a chain truncated with care",
        lambda w: truncated(w, careful=True),
        "evidence_chain.unsigned",
        verify(),
        needs_key=True,
    ),
    Forgery(
        "the chain of yesterday", older, "evidence_chain.unexpected_head", verify("matrix", "--expected-head", "0" * 64)
    ),
    Forgery("reordered entries", lambda w: reordered(w, careful=False), "evidence_chain.reordered", verify()),
    Forgery(
        "entries reordered with care",
        lambda w: reordered(w, careful=True),
        "evidence_chain.unsigned",
        verify(),
        needs_key=True,
    ),
    Forgery("an entry that follows another", unlinked, "evidence_chain.broken_link:v2", verify()),
    Forgery("a duplicate release", doubled, "evidence_chain.duplicate_release:v1", verify()),
    Forgery("a chain signed by another key", foreign, "evidence_chain.unsigned", verify(), needs_key=True),
    Forgery("an emptied chain", edited(INDEX, put([], "entries")), "evidence_chain.empty", verify()),
    Forgery("no index", lambda w: (w / INDEX).unlink(), "evidence_chain.missing", verify()),
    Forgery("another head", edited(INDEX, put("0" * 64, "head")), "evidence_chain.head_differs", verify()),
    Forgery("a symlink for an artifact", linked, "evidence_chain.path_escapes", verify()),
    Forgery("a path that escapes", edited(ONE, escaping), "evidence_chain.path_escapes", verify()),
    Forgery(
        "an entry that lies elsewhere",
        edited(INDEX, put("../../../v1__evidence_chain.json", "entries", 0, "path")),
        "evidence_chain.path_escapes",
        verify(),
    ),
    Forgery(
        "a root that is not relative",
        edited(ONE, put("/etc", "roots", 0, "root")),
        "evidence_chain.path_escapes",
        verify(),
    ),
    Forgery("a symlink to be indexed", linked, f"artifact_index.symlink:{CASE}__behavior.json", index(CURRENT)),
    Forgery("a linked folder to be indexed", linked_folder, f"artifact_index.missing_root:{CURRENT}", index(CURRENT)),
    Forgery("a private key among artifacts", key_among, "artifact_index.private_key:notes.txt", index(CURRENT)),
    Forgery(
        "an index of nothing", lambda w: (w / "nothing").mkdir(), "artifact_index.empty_root:nothing", index("nothing")
    ),
    Forgery(
        "an artifact changed between index and chain",
        both(lambda _: run(*chain_commands("matrix", "v2")[0]), edited_artifact),
        "artifact_index.artifact_changed",
        (*chain_commands("matrix", "v2")[1], "--format", "json"),
    ),
]

RELEASES = [
    Forgery("a green suite over a red report", suite_of_red, "matrix_certification_suite.not_passed", summary(*OPEN)),
    Forgery(
        "a suite edited under its chain",
        edited(SUITES["matrix"], put("other", "suite_id")),
        "matrix_evidence_chain.not_verified",
        summary(*OPEN),
    ),
    Forgery(
        "a suite over a part of the matrix",
        resuited("--scope", "postgres_to_*"),
        "matrix_certification_suite.narrow_scope",
        summary(*OPEN),
    ),
    Forgery(
        "a suite of another release",
        resuited("--release-id", "v0"),
        "matrix_certification_suite.wrong_release",
        summary(*OPEN),
    ),
    Forgery(
        "a connector suite in place of the matrix",
        lambda _: None,
        "matrix_certification_suite.wrong_kind",
        summary(*OPEN, "--matrix-suite", SUITES["connectors"]),
    ),
    Forgery(
        "a suite that its chain does not know",
        both(
            lambda w: shutil.copytree((w / SUITES["matrix"]).parent, w / "test_artifacts/suite/copy"),
            edited("test_artifacts/suite/copy/certification_suite.json", put("other", "suite_id")),
        ),
        "matrix_certification_suite.not_chained",
        summary(*OPEN, "--matrix-suite", "test_artifacts/suite/copy/certification_suite.json"),
    ),
    Forgery(
        "a chain of another release",
        edited(INDEX, put("v0", "entries", 0, "release_id")),
        "matrix_evidence_chain.not_verified",
        summary(*OPEN),
    ),
    Forgery("no replay in the chain of replays", unreplayed, "replay_evidence_chain.empty", summary(*OPEN)),
    Forgery("a replay that was only planned", planned, "replay_evidence_chain.not_passed", summary(*OPEN)),
    Forgery("a release that nobody signed", lambda _: None, "release_summary.unsigned", summary()),
    Forgery(
        "raw results without signature",
        unsigned,
        "connector_certification_suite.unsigned",
        summary(*OPEN),
        needs_key=True,
    ),
]
