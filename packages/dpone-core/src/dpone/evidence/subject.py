"""What is certified: the installed distributions of dpone by digest, and the checkout where there is one."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
from collections.abc import Mapping
from importlib.metadata import Distribution as Installed
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from dpone.evidence.canonical import sha256, sha256_of
from dpone.evidence.document import Distribution, Subject

_OF_INSTALLER = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})


def subject(
    *, registry_digest: str | None = None, seed: int | None = None, services: Mapping[str, str] | None = None
) -> Subject:
    """The subject of evidence that this process produces."""
    found = {name: d for d in distributions() if (name := d.metadata["Name"] or "").startswith("dpone-")}
    folder = Path(__file__).parent
    commit = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    top = _git(folder, "rev-parse", "--show-toplevel")
    lock = Path(top) / "uv.lock" if top else None
    return Subject(
        distributions={
            name: Distribution(version=found[name].version, digest=digest_of(found[name])) for name in sorted(found)
        },
        registry_digest=registry_digest,
        seed=seed,
        services=dict(services or {}),
        commit=commit,
        dirty=None if commit is None or status is None else bool(status),
        lock_digest=sha256_of(lock) if lock is not None and lock.is_file() else None,
    )


def digest_of(installed: Installed) -> str | None:
    """The hash of what was installed: its RECORD, or of its sources where it is editable. Of the RECORD count the
    files of the wheel; what an installer adds tells of the place where it was installed.
    """
    origin = installed.read_text("direct_url.json")
    if origin is not None:
        said = json.loads(origin)
        if said.get("dir_info", {}).get("editable"):
            return digest_of_sources(Path(unquote(urlsplit(said["url"]).path)) / "src")
    record = installed.read_text("RECORD")
    if record is None:
        return None
    files = [(name, digest) for name, digest, *_ in csv.reader(record.splitlines()) if _is_of_wheel(name)]
    return sha256("".join(f"{name},{digest}\n" for name, digest in sorted(files)))


def _is_of_wheel(name: str) -> bool:
    path = PurePosixPath(name)
    is_of_installer = path.parent.suffix == ".dist-info" and path.name in _OF_INSTALLER
    return path.parts[:1] != ("..",) and path.suffix != ".pyc" and not is_of_installer


def digest_of_sources(folder: Path) -> str:
    """One hash over the names and contents of a folder's files, compiled ones left out."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
            total.update(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}\n".encode())
    return total.hexdigest()


def differences(one: Subject, other: Subject) -> list[str]:
    """The fields in which two subjects differ, among those that both have; `nothing shared` where there is none."""
    shared = one.distributions.keys() & other.distributions.keys()
    differ = [
        name
        for name in sorted(shared)
        if (a := one.distributions[name]) != (b := other.distributions[name])
        and (a.version != b.version or None not in {a.digest, b.digest})
    ]
    compared = bool(shared)
    for field in ("registry_digest", "seed", "commit", "dirty", "lock_digest"):
        a, b = getattr(one, field), getattr(other, field)
        if a is None or b is None:
            continue
        compared = True
        differ += [field] if a != b else []
    for service in sorted(one.services.keys() & other.services.keys()):
        compared = True
        differ += [f"services.{service}"] if one.services[service] != other.services[service] else []
    return differ if compared else ["nothing shared"]


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - whichever git there is
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
