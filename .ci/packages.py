"""Says of each built wheel whether it may be published, what it weighs and what importing it costs.

Usage: python .ci/packages.py DIST UV LOCKED REPORT: each wheel in DIST is installed by UV into a new environment, with
core's and the versions of LOCKED; REPORT.json and REPORT.md are written. Exit 1 when a wheel is not as it should be.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from email.message import Message
from email.parser import Parser
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
ROUNDS = 7
_COST = "import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"


@dataclass(frozen=True, slots=True)
class Package:
    """One wheel, and everything that was found of it."""

    name: str
    version: str
    module: str
    wheel_bytes: int
    installed_bytes: int  # of the package itself
    with_all_it_needs_bytes: int
    distributions: int
    import_milliseconds: float  # the median of new processes
    faults: list[str] = field(default_factory=list)


def packages(dist: Path, uv: str, locked: Path) -> Iterator[Package]:
    """Every wheel of the folder, installed where there is nothing but the other wheels and the package index."""
    for wheel in sorted(dist.glob("*.whl")):
        with tempfile.TemporaryDirectory(prefix="dpone-release-") as folder:
            yield _examined(wheel, dist, uv, locked, Path(folder))


def _examined(wheel: Path, dist: Path, uv: str, locked: Path, folder: Path) -> Package:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        found = Parser().parsestr(archive.read(metadata).decode())
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    module = min(tops)
    faults = [*_of_metadata(found), *_of_files(names, tops)]
    _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder / "alone"))
    python = folder / "alone" / "bin" / "python"
    ours = {wheel, *dist.glob("dpone_core-*.whl")}  # by path: nobody's package of that name on an index is taken
    install = ("pip", "install", "--quiet", "--python", str(python), "--constraint", str(locked))
    _run(uv, *install, *map(str, sorted(ours)))
    seconds = [float(_run(str(python), "-I", "-c", _COST.format(module=module))) for _ in range(ROUNDS)]
    if not _loads(python, found["Name"]):
        faults.append("its entry points do not load")
    site = next((folder / "alone" / "lib").glob("python3*/site-packages"))
    return Package(
        name=found["Name"],
        version=found["Version"],
        module=module,
        wheel_bytes=wheel.stat().st_size,
        installed_bytes=_size(site / module),
        with_all_it_needs_bytes=_size(site),
        distributions=len(list(site.glob("*.dist-info"))),
        import_milliseconds=round(statistics.median(seconds) * 1000, 1),
        faults=faults,
    )


def _of_metadata(found: Message) -> Iterator[str]:
    classifiers = set(found.get_all("Classifier", []))
    for python in PYTHONS:
        if f"Programming Language :: Python :: {python}" not in classifiers:
            yield f"no classifier for Python {python}"
    if "Typing :: Typed" not in classifiers:
        yield "no classifier that it is typed"
    for key, wanted in {"License-Expression": "Apache-2.0", "Requires-Python": ">=3.11"}.items():
        if found[key] != wanted:
            yield f"{key} is {found[key]}, not {wanted}"
    for key in ("Summary", "License-File", "Keywords"):
        if not found[key]:
            yield f"no {key}"
    if len(str(found.get_payload())) < len("# A title, and what it is for"):
        yield "no description"
    for requirement in found.get_all("Requires-Dist", []):
        if re.search(r"@|==", requirement) and "extra ==" not in requirement:
            yield f"{requirement} is no range"


def _of_files(names: list[str], tops: set[str]) -> Iterator[str]:
    if len(tops) != 1:
        yield f"it holds {', '.join(sorted(tops))} instead of one package"
    (first, *_) = sorted(tops)
    if f"{first}/py.typed" not in names:
        yield "no py.typed"
    if not any("/licenses/LICENSE" in name for name in names):
        yield "no licence"
    for name in names:
        if "__pycache__" in name or name.startswith("tests/") or name.endswith((".pyc", ".so")):
            yield f"it holds {name}"


def _loads(python: Path, name: str) -> bool:
    """True when every entry point of the package loads with what was installed; those for tests ask for an extra."""
    load = (
        "from importlib.metadata import distribution\n"
        f"for point in distribution({name!r}).entry_points:\n"
        "    if point.group in {'console_scripts', 'dpone.connectors', 'dpone.commands'}: point.load()"
    )
    return subprocess.run([str(python), "-I", "-c", load], check=False).returncode == 0  # noqa: S603 -- of an environment made here


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 -- commands of this file


def markdown(found: list[Package]) -> str:
    lines = [
        "# Packages",
        "",
        f"Each wheel installed alone into a new environment; the import is the median of {ROUNDS} new processes.",
        "",
        "| package | wheel | installed | with all it needs | distributions | import | |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {p.name} {p.version} | {p.wheel_bytes / 1e3:,.0f} kB | {p.installed_bytes / 1e3:,.0f} kB "
        f"| {p.with_all_it_needs_bytes / 1e6:,.1f} MB | {p.distributions} | {p.import_milliseconds:.0f} ms "
        f"| {'; '.join(p.faults) or 'ok'} |"
        for p in found
    ]
    return "\n".join(lines) + "\n"


def main(dist: str, uv: str, locked: str, report: str) -> int:
    found = list(packages(Path(dist), uv, Path(locked)))
    out = Path(report)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps([asdict(p) for p in found], indent=2) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(markdown(found), encoding="utf-8")
    print(markdown(found))
    return 1 if any(p.faults for p in found) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
