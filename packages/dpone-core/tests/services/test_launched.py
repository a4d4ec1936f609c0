"""A whole service of one's own, as an emulator's author writes it; and what becomes of its directory and port."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from dpone.errors import RemoteError, UsageError
from dpone.testing.services import Endpoint, Fidelity, Provider, Secret, Service
from dpone.testing.services.launched import Launch, LaunchedService
from dpone.testing.services.launcher import Command, accepts
from dpone.testing.services.ports import LOOPBACK, connects, free_port
from dpone.testing.services.scratch import Scratch

PROGRAM = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""


class Greeter(LaunchedService):
    kind = "greeter"

    def __init__(self, *ports: int) -> None:
        super().__init__()
        self._ports = list(ports)
        self.directory: Path | None = None

    def prepare(self, scratch: Scratch) -> Launch:
        self.directory = scratch.path
        port = self._ports.pop(0) if self._ports else free_port()
        password = Secret.generate()
        command = Command(
            (sys.executable, "-c", PROGRAM, str(port)),
            directory=scratch.path,
            log=scratch.path / "server.log",
            environment={"GREETER_PASSWORD": password.reveal()},
            keep=(scratch.lock,),
        )
        endpoint = Endpoint(
            connector="greeter",
            host=LOOPBACK,
            ports={"greeter": port},
            password=password,
            provider=Provider.EMULATED,
            fidelity=Fidelity.EMULATED,
        )
        return Launch(command, accepts(port), endpoint)


def test_it_is_a_service_that_leaves_nothing_behind() -> None:
    greeter = Greeter()
    service: Service = greeter  # the type checker's part of this test
    with service as endpoint:
        directory = greeter.directory
        assert directory is not None
        assert (directory / "server.log").stat().st_mode & 0o777 == 0o600
        for end in (greeter.stop, greeter.kill):
            end()
            assert not connects(endpoint.host, endpoint.port)
            assert greeter.start() == endpoint
            assert connects(endpoint.host, endpoint.port)
    assert not directory.exists()
    assert not connects(endpoint.host, endpoint.port)


def test_a_service_has_no_endpoint_before_it_started() -> None:
    with pytest.raises(UsageError, match="not started"):
        _ = Greeter().endpoint


def test_a_port_that_somebody_took_is_exchanged_for_another() -> None:
    with socket.create_server((LOOPBACK, 0)) as stranger:
        taken = stranger.getsockname()[1]
        with Greeter(taken) as endpoint:
            assert endpoint.port != taken


def test_a_port_that_somebody_took_meanwhile_stops_a_restart() -> None:
    greeter = Greeter()
    with greeter as endpoint:
        greeter.stop()
        with socket.create_server((LOOPBACK, endpoint.port)), pytest.raises(RemoteError) as caught:
            greeter.start()
        assert caught.value.code == "service.port_taken"
        assert greeter.start() == endpoint


def test_a_directory_lives_as_long_as_its_lock_is_held() -> None:
    forgotten: list[Path] = []

    def make() -> Scratch:
        return Scratch("test", None, forget=forgotten.append)

    dead, living = make(), make()
    os.close(dead.lock)  # as when its process dies
    third = make()
    try:
        assert not dead.path.exists()
        assert forgotten == [dead.path]
        assert living.path.exists()
    finally:
        living.remove()
        third.remove()
    assert not living.path.exists()


def test_a_temporary_directory_made_by_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    root = tmp_path / f"dpone-services-{os.geteuid()}"
    root.mkdir()
    root.chmod(0o777)
    with pytest.raises(UsageError) as caught:
        Scratch("test", None, forget=lambda _: None)
    assert caught.value.code == "service.unsafe_scratch"


def test_a_failed_start_leaves_nothing_behind() -> None:
    class Broken(Greeter):
        def prepare(self, scratch: Scratch) -> Launch:
            launch = super().prepare(scratch)
            command = Command(("/no/such/program",), directory=scratch.path, log=launch.command.log)
            return Launch(command, launch.ready, launch.endpoint)

    broken = Broken()
    with pytest.raises(RemoteError):
        broken.start()
    assert broken.directory is not None
    assert not broken.directory.exists()
