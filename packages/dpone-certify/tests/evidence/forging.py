"""The hands of a forger: a document is changed, and everything above it is made again, all but the signature."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from dpone_certify.certification.document import CertificationReport
from dpone_certify.chain.documents import ChainEntry, ChainIndex
from dpone_certify.chain.verify import digest_of
from dpone_certify.documents.canonical import canonical, sha256_of
from dpone_certify.signing.envelope import write_signed
from evidence import made
from evidence.conftest import BASELINE, CHAINS, CURRENT, RATE, REPLAY, REPORT, STRATEGY, World, full, run

Json = dict[str, Any]


class Forgery(Struct, frozen=True):
    """What somebody tries, the command that must be red, and the blocker that it must name.

    `needs_key`: green without the public key, because the forger was careful; only the signature gives him away.
    """

    what: str
    forge: Callable[[World], object]
    blocker: str
    command: tuple[str, ...] = full()
    needs_key: bool = False


def edit(path: Path, change: Callable[[Json], object]) -> None:
    """The document says something else, in its canonical spelling."""
    found = json.loads(path.read_text(encoding="utf-8"))
    change(found)
    path.write_text(canonical(found), encoding="utf-8")


def edited(path: str, change: Callable[[Json], object]) -> Callable[[World], None]:
    return lambda world: edit(world / path, change)


def both(*steps: Callable[[World], object]) -> Callable[[World], None]:
    """One after the other."""

    def forge(world: World) -> None:
        for step in steps:
            step(world)

    return forge


def put(value: Any, *keys: Any) -> Callable[[Json], None]:
    """The value stands under these keys."""

    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


def reported(change: Callable[[Json], object], *, artifacts: bool = False) -> Callable[[World], None]:
    """The report is changed, and the bundles over it are made again; with `artifacts` those of the cases, too."""

    def forge(world: World) -> None:
        edit(world / REPORT, change)
        if artifacts:
            report = CertificationReport.model_validate_json((world / REPORT).read_text())
            for result in report.results:
                path = world / CURRENT / str(result.artifact_path)
                write_signed(path, made.behavior(result).to_json(), None)
        rebundle()

    return forge


def rebundle() -> None:
    """The strategy bundle and the evidence bundle, made again; red or green is not asked here."""
    run(
        *("strategy", "certification-bundle", "--output-dir", str(Path(STRATEGY).parent)),
        *("--matrix-artifact", REPORT, "--benchmark-artifact", BASELINE, "--replay-evidence", REPLAY),
    )


def rebase(world: World, baseline: str = RATE) -> None:
    """The baseline over the metrics, made again, and the bundle over it."""
    run("ops", "benchmark-baseline", "--metrics-json", "@test_artifacts/benchmarks/current/benchmark_metrics.json",
        "--baseline-json", baseline)  # fmt: skip
    rebundle()


def whitewash(path: str) -> Callable[[World], None]:
    """The document says that it passes."""
    return edited(path, lambda d: d.update(passed=True, blockers=[]))


def relink(world: World, names: list[str] | None = None) -> None:
    """The chain of the matrix is made consistent again, as its own code would: all but the signature."""
    folder = world / CHAINS["matrix"]
    index = ChainIndex.model_validate_json((folder / "evidence_chain_index.json").read_text())
    links, before = [], None
    for number, path in enumerate(names or [link.path for link in index.entries], 1):
        entry = ChainEntry.model_validate_json((folder / path).read_text())
        entry = entry.model_copy(update={"number": number, "previous": before})
        (folder / path).write_text(entry.to_json())
        before = digest_of(entry)
        links.append({"number": number, "release_id": entry.release_id, "path": path, "digest": before})
    edit(folder / "evidence_chain_index.json", lambda i: i.update(entries=links, head=before))


def rehash(entry: Json, folder: Path) -> None:
    """The entry says the hashes that its files have by now."""
    for root in entry["roots"]:
        for file in root["files"]:
            path = folder / root["root"] / file["path"]
            file.update(sha256=sha256_of(path), size=path.stat().st_size)
