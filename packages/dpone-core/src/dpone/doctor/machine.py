"""This machine: Python, dpone's own packages with their drivers, who owns its import name, disk, Docker."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version

from dpone import registry
from dpone.connector import Finding
from dpone.doctor.clients import client
from dpone.errors import DponeError

_MINIMUM_PYTHON = (3, 11)
_MINIMUM_DISK = 1 << 30
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def local() -> Iterator[Finding]:
    """What every profile needs."""
    found = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", sys.version_info >= _MINIMUM_PYTHON, found, "install Python 3.11 or newer")
    yield Finding("dpone-core", ok=True, found=version("dpone-core"))
    yield _import_name()
    for name, point in registry.installed().items():
        yield from _connector(name, point.dist.version if point.dist else "")
    free = shutil.disk_usage(".").free
    yield Finding(
        "disk", free >= _MINIMUM_DISK, f"{free / 1e9:,.1f} GB free here", "spills and records need at least 1 GB"
    )


def _import_name() -> Finding:
    owners = sorted(set(packages_distributions().get("dpone", [])))
    foreign = [name for name in owners if name != "dpone-core"]
    return Finding(
        "import name dpone",
        not foreign,
        ", ".join(owners) or "dpone-core",
        f"another distribution owns the import name: pip uninstall {' '.join(foreign)}",
    )


def _connector(name: str, found: str) -> Iterator[Finding]:
    """That it loads, what it rests on, and what it says itself of this machine."""
    title = f"connector {name}"
    try:
        connector = registry.load(name)
    except DponeError as error:
        yield Finding(title, ok=False, found=error.message, action=error.hint or "")
        return
    except ImportError as error:
        yield Finding(title, ok=False, found=type(error).__name__, action=f"reinstall {registry.distribution_of(name)}")
        return
    yield Finding(title, ok=True, found=found)
    yield from _drivers(name, connector.distribution)
    if connector.machine is not None:
        for finding in connector.machine():
            yield Finding(f"{name}: {finding.name}", finding.ok, finding.found, finding.action, finding.unless)


def _drivers(name: str, distribution: str) -> Iterator[Finding]:
    """The packages that the connector requires, by their versions."""
    try:
        required = requires(distribution) or []
    except PackageNotFoundError:  # a connector of dpone.testing
        return
    names = [match[0] for text in required if "extra ==" not in text and (match := _NAME.match(text))]
    there: list[str] = []
    missing: list[str] = []
    for package in names:
        try:
            there.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if drivers := [text for text in there if not text.startswith("dpone-")]:
        yield Finding(f"{name}: drivers", ok=True, found=", ".join(drivers))
    if missing:
        action = f"pip install {distribution}"
        yield Finding(f"{name}: drivers", ok=False, found=f"not installed: {', '.join(missing)}", action=action)


def docker() -> Finding:
    """An engine that answers; without one the embedded servers do."""
    action = "start Docker, or let the tests use embedded servers"
    asked = client("docker", "version", "--format", "engine {{.Server.Version}}", needed_for="services in containers")
    if asked.ok:
        return Finding("docker", ok=True, found=f"engine {asked.found}")
    return Finding("docker", ok=False, found=asked.found, action=action, unless="skipped")
