"""The broker and the registry as a service of one child process."""

from __future__ import annotations

import os
import sys

from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.launched import Launch, LaunchedService
from dpone.testing.services.launcher import Command, announces
from dpone.testing.services.ports import LOOPBACK, free_port
from dpone.testing.services.scratch import Scratch
from dpone_kafka.doors import Doors
from dpone_kafka.emulator.doors import write


class EmulatedKafka(LaunchedService):
    """`with EmulatedKafka() as endpoint:` a broker at the port `broker` and a registry at `registry`.

    With `doors` it also answers at `sasl`, `tls` (which asks clients for a certificate) and `sasl_tls`.
    """

    kind = "kafka"

    def __init__(self, doors: Doors | None = None) -> None:
        super().__init__()
        self._doors = doors or Doors()

    def prepare(self, scratch: Scratch) -> Launch:
        home = scratch.path / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        ports = {name: free_port() for name in ("broker", *self._doors.names)}
        registry, behind = free_port(), scratch.path / "doors.json"
        write(behind, ports, self._doors)
        command = Command(
            (sys.executable, "-I", "-m", "dpone_kafka.emulator", str(home), str(behind), str(registry)),
            directory=home,
            log=scratch.path / "server.log",
            environment={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            keep=(scratch.lock,),
        )
        endpoint = Endpoint(
            connector="kafka",
            host=LOOPBACK,
            ports={**ports, "registry": registry},
            provider=Provider.EMULATED,
            fidelity=Fidelity.EMULATED,
        )
        return Launch(command, announces("serving "), endpoint)
