"""What is right and wrong on this machine and at the other end of its connections; each finding says what to do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from typing import Any

from dpone import registry
from dpone.connector import Config, Connector, Diagnoses, Finding
from dpone.errors import DponeError
from dpone.integration_matrix import SPECIFIED

_MINIMUM_PYTHON = (3, 11)
_MINIMUM_DISK = 1 << 30

Connection = Callable[[Connector[Any], str], Config]


def local() -> Iterator[Finding]:
    """This machine: Python, dpone's own packages, disk."""
    found = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", sys.version_info >= _MINIMUM_PYTHON, found, "install Python 3.11 or newer")
    yield Finding("dpone-core", ok=True, found=version("dpone-core"))
    owners = sorted(set(packages_distributions().get("dpone", [])))
    foreign = [name for name in owners if name != "dpone-core"]
    yield Finding(
        "import name dpone",
        not foreign,
        ", ".join(owners) or "dpone-core",
        f"another distribution owns the import name: pip uninstall {' '.join(foreign)}",
    )
    for name, point in registry.installed().items():
        yield _loads(name, point.dist.version if point.dist else "")
    free = shutil.disk_usage(".").free
    yield Finding(
        "disk", free >= _MINIMUM_DISK, f"{free / 1e9:,.1f} GB free here", "spills and records need at least 1 GB"
    )


def _loads(name: str, found: str) -> Finding:
    try:
        registry.load(name)
    except DponeError as error:
        return Finding(f"connector {name}", ok=False, found=error.message, action=error.hint or "")
    except ImportError as error:
        return Finding(f"connector {name}", ok=False, found=type(error).__name__, action=f"reinstall {name}")
    return Finding(f"connector {name}", ok=True, found=found)


def specified() -> Iterator[Finding]:
    """The connectors that a full certification needs."""
    for each in SPECIFIED:
        there = each.name in registry.installed()
        action = f"pip install {registry.distribution_of(each.name)}"
        yield Finding(f"connector {each.name}", there, "installed" if there else "not installed", action)


def testing_services() -> Iterator[Finding]:
    """What the testkits need to start services on this machine."""
    for each in SPECIFIED:
        module = f"dpone_{each.name}.testkit"
        try:
            there = find_spec(module) is not None
        except ModuleNotFoundError:
            there = False
        found = "testkit installed" if there else "no testkit"
        yield Finding(f"service {each.name}", there, found, f"pip install 'dpone-connectors-{each.name}[local]'")


def live(name: str, profile: str, connect: Connection) -> Iterator[Finding]:
    """A connector's live endpoint: that it is named, answers, and passes its own examination."""
    try:
        connector = registry.load(name)
        config = connect(connector, profile)
    except DponeError as error:
        yield Finding(profile, ok=False, found=error.message, action=error.hint or "")
        return
    end = connector.source or connector.sink
    assert end is not None  # the registry refuses a connector without an end
    try:
        with end.open(config) as opened:
            yield Finding(profile, ok=True, found="connected")
            if isinstance(opened, Diagnoses):
                yield from opened.diagnose()
    except DponeError as error:
        yield Finding(profile, ok=False, found=error.message, action=error.hint or "")


def profiles() -> dict[str, str]:
    """The live profile of each installed connector, and the connector's name."""
    return {registry.load(name).profile.name: name for name in registry.installed()}


def examine(profile: str, connect: Connection) -> Sequence[Finding]:
    """All findings of a profile: local, mock_contract, mock_local, vendor_live, or one of `profiles()`."""
    findings = list(local())
    match profile:
        case "local":
            pass
        case "mock_contract":
            findings += specified()
        case "mock_local":
            findings += [*specified(), *testing_services()]
        case "vendor_live":
            for name, connector in profiles().items():
                findings += live(connector, name, connect)
            findings += specified()
        case _:
            findings += live(profiles()[profile], profile, connect)
    return findings
