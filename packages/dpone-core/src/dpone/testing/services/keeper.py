"""The detached process that holds one service open until it is told to stop.

Run as `python -m dpone.testing.services.keeper`. Standard input: what to keep, as JSON. Standard output:
`{"keeper": identity}`, then `{"ready": true}` or `{"error": ...}`.
"""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import sys
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

from dpone.errors import DponeError, MissingPackage, PlanError
from dpone.testing.services import state_file
from dpone.testing.services.endpoint import Endpoint, Provider
from dpone.testing.services.process_identity import ProcessIdentity


def main() -> None:
    order = json.load(sys.stdin)
    if os.fork() != 0:
        os._exit(0)  # the caller reaps this one at once, and the keeper is nobody's child
    signal.signal(signal.SIGTERM, _leave)
    identity = ProcessIdentity.of(os.getpid())
    if identity is None:
        message = "this process cannot see itself"
        raise AssertionError(message)
    _say({"keeper": [identity.pid, identity.started]})
    name, state_dir = order["name"], Path(order["state_dir"])
    try:
        with _open(order["testkit"], [Provider(one) for one in order["providers"]]) as endpoint:
            state_file.write(state_dir, state_file.Entry(name, identity, endpoint))
            _say({"ready": True})
            _detach()
            while True:
                signal.pause()
    except DponeError as error:
        _say({"error": _described(error)})
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller has to hear it
        _say({"error": {"kind": "RemoteError", "code": "service.not_ready", "hint": None, "message": _short(error)}})


def _open(testkit: str, allowed: Collection[Provider]) -> AbstractContextManager[Endpoint]:
    """The service by the first allowed provider that the testkit has on this machine."""
    kit = pkgutil.resolve_name(testkit)
    offered: Sequence[Provider] = kit.providers()
    for provider in offered:
        if provider in allowed:
            service: AbstractContextManager[Endpoint] = kit.service(provider)
            return service
    raise PlanError(
        f"this service can be had here as {', '.join(offered) or 'nothing'}, not as {', '.join(sorted(allowed))}",
        code="service.provider_unsupported",
        hint="install the connector's extra [local], or start Docker",
    )


def _leave(number: int, frame: object) -> NoReturn:
    del number, frame
    raise SystemExit(0)


def _say(fact: dict[str, object]) -> None:
    print(json.dumps(fact), flush=True)  # noqa: T201 - this is the protocol with the caller


def _detach() -> None:
    """The caller's pipe is let go; whatever is printed from here on has no reader."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


def _described(error: DponeError) -> dict[str, Any]:
    kind = type(error).__name__
    described = {"kind": kind, "message": error.message, "code": error.code, "hint": error.hint}
    return {**described, "install": error.install} if isinstance(error, MissingPackage) else described


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
