"""Which findings a profile consists of, and those of the connections of a manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any

from pydantic import SecretStr

from dpone import registry
from dpone.connector import Config, Connector, Diagnoses, Finding
from dpone.doctor.machine import docker, local
from dpone.errors import DponeError
from dpone.integration_matrix import SPECIFIED
from dpone.manifest import Manifest

Connection = Callable[[Connector[Any], str], Config]

GENERAL = ("local", "mock_contract", "mock_local", "vendor_live")
# what a certification names, whatever is installed
OF_CONNECTORS = {f"{c.name}_{'mock' if c.name == 'rest' else 'live'}": c.name for c in SPECIFIED}


def profiles() -> dict[str, str]:
    """The live profiles and the names of their connectors: those that are specified, and those that are installed."""
    return {**OF_CONNECTORS, **{registry.load(name).profile.name: name for name in registry.installed()}}


def examine(profile: str, connect: Connection) -> Sequence[Finding]:
    """All findings of a profile: local, mock_contract, mock_local, vendor_live, or one of `profiles()`."""
    findings = list(local())
    match profile:
        case "local":
            findings.append(docker())
        case "mock_contract":
            findings += specified()
        case "mock_local":
            findings += [*specified(), docker(), *testing_services()]
        case "vendor_live":
            findings += specified()
            for name, connector in OF_CONNECTORS.items():
                findings += live(connector, name, connect)
        case _:
            findings += live(profiles()[profile], profile, connect)
    return findings


def specified() -> Iterator[Finding]:
    """What a full certification needs: all connectors, and the package that judges."""
    for each in SPECIFIED:
        if each.name not in registry.installed():
            yield _absent(each.name)
    try:
        yield Finding("dpone-certify", ok=True, found=version("dpone-certify"))
    except PackageNotFoundError:
        yield Finding("dpone-certify", ok=False, found="not installed", action="pip install dpone-certify")


def _absent(name: str) -> Finding:
    action = f"pip install {registry.distribution_of(name)}"
    return Finding(f"connector {name}", ok=False, found="not installed", action=action)


def testing_services() -> Iterator[Finding]:
    """How each connector's testkit would get its service on this machine."""
    kits = {point.name: point for point in entry_points(group=registry.TESTKITS)}
    for each in SPECIFIED:
        title, action = f"service {each.name}", f"pip install '{registry.distribution_of(each.name)}[local]'"
        if each.name not in kits:
            yield Finding(title, ok=False, found="no testkit is registered", action=action)
            continue
        try:
            found = [provider.value for provider in kits[each.name].load().providers()]
        except (DponeError, ImportError, OSError) as error:
            yield Finding(title, ok=False, found=type(error).__name__, action=action)
            continue
        yield Finding(title, bool(found), ", ".join(found) or "none can be had here", action)


def live(name: str, profile: str, connect: Connection) -> Iterator[Finding]:
    """A connector's live endpoint: that it is named, answers at both ends, and passes its own examination."""
    if name not in registry.installed():
        yield _absent(name)
        return
    try:
        connector = registry.load(name)
        config = connect(connector, profile)
    except DponeError as error:
        yield Finding(profile, ok=False, found=error.message, action=error.hint or "")
        return
    seen: set[tuple[str, str]] = set()
    for role, end in (("source", connector.source), ("sink", connector.sink)):
        for finding in _end(end.open, config) if end is not None else ():
            if (finding.name, finding.found) not in seen:  # both ends examine one server
                seen.add((finding.name, finding.found))
                yield _told(finding, f"{profile} {role}", config)


def used(manifest: Manifest) -> Sequence[Finding]:
    """This machine, and each connection of the manifest at the ends where it is used."""
    findings = list(local())
    streams = [*manifest.streams, *(wildcard.stream for wildcard in manifest.wildcards)]
    ends = [(role, end) for s in streams for role, end in (("source", s.source), ("sink", s.sink))]
    for (title, role), end in {(str(end.connection), role): end for role, end in ends}.items():
        opens = getattr(end.connector, role).open
        try:
            config = end.connection.resolve()
        except DponeError as error:
            findings.append(Finding(f"{title} {role}", ok=False, found=error.message, action=error.hint or ""))
            continue
        findings += [_told(finding, f"{title} {role}", config) for finding in _end(opens, config)]
    return findings


def _told(finding: Finding, of: str, config: Config) -> Finding:
    """The finding, by the end that it is of, without the secrets of its connection."""
    found, action = (_without(_secrets(config), text) for text in (finding.found, finding.action))
    return Finding(of + (f": {finding.name}" if finding.name else ""), finding.ok, found, action, finding.unless)


def _end(opens: Callable[[Any], Any], config: Config) -> Iterator[Finding]:
    """The end by itself: the finding without a name says whether it answers."""
    try:
        with opens(config) as opened:
            found = list(opened.diagnose()) if isinstance(opened, Diagnoses) else []
            yield Finding("", ok=True, found="answers" if found else "can be opened; it does not examine itself")
            yield from found
    except DponeError as error:
        yield Finding("", ok=False, found=error.message, action=error.hint or "")


def _secrets(config: Config) -> list[str]:
    values = (getattr(config, name) for name in type(config).model_fields)
    return [text for v in values if isinstance(v, SecretStr) and (text := v.get_secret_value())]


def _without(secrets: Sequence[str], text: str) -> str:
    """No error of dpone's holds a secret; what a server says of itself might."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
