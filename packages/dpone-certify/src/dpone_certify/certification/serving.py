"""The services that cases run on: found by their testkits, started once, reached by several processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from msgspec import Struct

from dpone.errors import DponeError, RemoteError, UsageError
from dpone.manifest.connections import variable_of
from dpone.registry import TESTING_TESTKITS, TESTKITS
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.secret import Secret
from dpone.testing.testkit import Identity, Testkit
from dpone_certify.certification.document import Profile

Say = Callable[[str], None]

_LIVE = "_live"  # ends the name of a profile that only somebody's own endpoint satisfies


class Served(Struct, frozen=True):
    """A connector's testkit at a service that answers."""

    kit: Any  # a Testkit, and whichever of the further protocols it has
    endpoint: Endpoint
    version: str
    genuine: bool

    @property
    def fidelity(self) -> Fidelity:
        """What the endpoint proves; the vendor's only when it is recognised as the vendor's."""
        if self.endpoint.fidelity is Fidelity.VENDOR and not self.genuine:
            return Fidelity.REAL
        return self.endpoint.fidelity


def testkits() -> dict[str, EntryPoint]:
    """The testkits that ship with the installed connectors, by name; memory's under DPONE_TESTING=1."""
    groups = (TESTKITS, TESTING_TESTKITS) if os.environ.get("DPONE_TESTING") == "1" else (TESTKITS,)
    return {point.name: point for group in groups for point in entry_points(group=group)}


def load(point: EntryPoint) -> Testkit | None:
    """The testkit, or None where the connector has none yet or its driver is not installed."""
    try:
        found: Testkit = point.load()
    except ModuleNotFoundError:
        return None
    return found


def provider_of(kit: Testkit, profile: Profile, services: str) -> Provider | None:
    """How the service of a testkit is to be had here; None where it cannot be."""
    there = [Provider(p) for p in kit.providers()]
    if profile == "vendor_live":
        wanted = [Provider.GIVEN] if kit.connector.profile.name.endswith(_LIVE) else there
    elif services == "auto":
        wanted = [p for p in there if p is not Provider.GIVEN]
    else:
        wanted = [Provider(services)]
        if Provider.EMBEDDED in there and kit.connector.sink is None:
            wanted.append(Provider.EMBEDDED)  # its only service is an API of our own, whatever the others are
    return next((p for p in there if p in wanted), None)


def refuse_missing(kits: Mapping[str, Testkit | None], names: Iterable[str]) -> None:
    """Raises with every profile that the environment does not satisfy."""
    missing = [
        variable_of(profile)
        for name in names
        if (profile := _profile(kits.get(name), name)).endswith(_LIVE)
        and (kits.get(name) is None or not os.environ.get(variable_of(profile)))
    ]
    if missing:
        raise UsageError(
            f"vendor_live needs endpoints that are not named: {', '.join(missing)}",
            code="certification.missing_endpoints",
            hint="set each to the URL of a server that may be written to; `dpone doctor --profile <name>` checks it",
        )


def _profile(kit: Testkit | None, name: str) -> str:
    return kit.connector.profile.name if kit is not None else f"{name}{_LIVE}"


def start(
    kits: Mapping[str, Testkit | None], profile: Profile, services: str, stack: ExitStack, say: Say
) -> dict[str, Served]:
    """Every service that can be had, running; one that is there and does not start is an error."""
    found = {}
    for name, kit in kits.items():
        provider = None if kit is None else provider_of(kit, profile, services)
        if kit is None or provider is None:
            say(f"{name}: no service here, its cases are contract only")
            continue
        endpoint, said = _started(name, kit, provider, stack)
        found[name] = Served(kit, endpoint, f"{said.product} {said.version}, {endpoint.provider.value}", said.genuine)
        say(f"{name}: {found[name].version}, {found[name].fidelity.value}")
    return found


def _started(name: str, kit: Testkit, provider: Provider, stack: ExitStack) -> tuple[Endpoint, Identity]:
    try:
        endpoint = stack.enter_context(kit.service(provider))
        return endpoint, kit.identify(endpoint)
    except DponeError:
        raise
    except Exception as error:
        raise RemoteError(
            f"the service of {name}, {provider.value}, is there and does not answer: {type(error).__name__}",
            code="certification.service_failed",
            hint="run again on a quieter machine, or leave its cases out by --source and --sink",
        ) from error


# ------------------------------------------------------------------ other processes


def packed(served: Served) -> dict[str, Any]:
    """The endpoint as plain data for a process of ours; its password goes through a pipe and nowhere else."""
    one = served.endpoint
    return {
        "connector": one.connector,
        "host": one.host,
        "ports": dict(one.ports),
        "provider": one.provider.value,
        "fidelity": one.fidelity.value,
        "user": one.user,
        "password": one.password.reveal() if one.password else None,
        "database": one.database,
        "scheme": one.scheme,
        "extra": dict(one.extra),
        "version": served.version,
        "genuine": served.genuine,
    }


def unpacked(data: Mapping[str, Any]) -> Served:
    """The same service in this process."""
    kit = testkits()[data["connector"]].load()
    endpoint = Endpoint(
        connector=data["connector"],
        host=data["host"],
        ports=data["ports"],
        provider=Provider(data["provider"]),
        fidelity=Fidelity(data["fidelity"]),
        user=data["user"],
        password=Secret(data["password"]) if data["password"] is not None else None,
        database=data["database"],
        scheme=data["scheme"],
        extra=data["extra"],
    )
    return Served(kit, endpoint, data["version"], data["genuine"])
