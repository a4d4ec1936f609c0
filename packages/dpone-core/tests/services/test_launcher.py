"""Any program as a server: ready by its answer, ended with its owner, crashed on request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dpone.errors import RemoteError
from dpone.testing.services.launcher import Command, Probe, ServerProcess, accepts, announces
from dpone.testing.services.ports import connects, free_port
from dpone.testing.services.process_identity import ProcessIdentity

Eventually = Callable[[Callable[[], bool]], bool]

LISTEN = """
    import socket, sys, time
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print("warming up")
    print("READY", server.getsockname()[1], flush=True)
    while True:
        server.accept()[0].close()
"""
# a server that ignores SIGTERM and has a child that does the same
STUBBORN = """
    import os, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork()
    if child:
        print("CHILD", child, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    servers: list[ServerProcess] = []

    def make(program: str, *arguments: str, ready: Probe, timeout: float = 10, **more: object) -> ServerProcess:
        command = Command(
            (sys.executable, "-c", textwrap.dedent(program), *arguments),
            directory=tmp_path,
            log=tmp_path / "server.log",
            **more,  # type: ignore[arg-type]  # fields of Command, checked by it
        )
        servers.append(ServerProcess(command, ready, timeout=timeout))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


def identity_of(pid: int | str | None) -> ProcessIdentity:
    identity = ProcessIdentity.of(int(pid or 0))
    assert identity is not None
    return identity


def test_a_server_is_ready_when_it_accepts_and_restarts_on_its_port(serve: Callable[..., ServerProcess]) -> None:
    port = free_port()
    server = serve(LISTEN, str(port), ready=accepts(port))
    server.start()
    first = identity_of(server.pid)
    server.start()  # changes nothing
    assert server.pid == first.pid
    server.stop()
    assert not first.alive
    assert not connects("127.0.0.1", port)
    server.start()
    assert connects("127.0.0.1", port)


def test_a_server_may_choose_its_port_and_announce_it(serve: Callable[..., ServerProcess]) -> None:
    server = serve(LISTEN, "0", ready=announces("READY "))
    server.start()
    first = server.said("READY ")
    assert connects("127.0.0.1", int(first or 0))
    server.kill()
    server.start()
    assert connects("127.0.0.1", int(server.said("READY ") or 0))  # the new line, not the old one


def test_a_server_that_ends_early_shows_its_log_without_its_password(serve: Callable[..., ServerProcess]) -> None:
    program = "import os; raise SystemExit('no luck with ' + os.environ['SERVICE_PASSWORD'])"
    server = serve(program, ready=accepts(1), environment={"SERVICE_PASSWORD": "canary-password"})
    with pytest.raises(RemoteError) as caught:
        server.start()
    assert caught.value.code == "service.not_ready"
    assert "no luck with ***" in str(caught.value)
    assert not server.running


def test_a_server_that_is_never_ready_is_ended(serve: Callable[..., ServerProcess]) -> None:
    server = serve(STUBBORN, ready=accepts(1), timeout=0.3, grace=0.1)
    with pytest.raises(RemoteError, match=r"not ready within 0\.3 s"):
        server.start()
    assert not server.running


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    command = Command(("/no/such/program",), directory=tmp_path, log=tmp_path / "server.log")
    with pytest.raises(RemoteError, match="/no/such/program") as caught:
        ServerProcess(command, accepts(1)).start()
    assert caught.value.code == "service.cannot_run"


@pytest.mark.parametrize("end", [ServerProcess.stop, ServerProcess.kill], ids=["stop", "kill"])
def test_no_child_of_a_server_outlives_it(
    serve: Callable[..., ServerProcess], end: Callable[[ServerProcess], None]
) -> None:
    server = serve(STUBBORN, ready=announces("CHILD "), grace=0.2)
    server.start()
    family = [identity_of(server.pid), identity_of(server.said("CHILD "))]
    end(server)
    assert not any(one.alive for one in family)


@pytest.mark.skipif(sys.platform != "linux", reason="arguments of processes are read from /proc")
def test_a_password_is_not_among_the_arguments_of_any_process(serve: Callable[..., ServerProcess]) -> None:
    port = free_port()
    server = serve(LISTEN, str(port), ready=accepts(port), environment={"SERVICE_PASSWORD": "canary-password"})
    server.start()
    supervisor = Path(f"/proc/{server.pid}/stat").read_text().split()[3]
    for pid in (server.pid, supervisor):
        assert b"canary" not in Path(f"/proc/{pid}/cmdline").read_bytes()


OWNER = """
    import os, sys
    from pathlib import Path
    from dpone.testing.services.launcher import *
    command = Command((sys.executable, "-c", sys.argv[1], "0"), Path("/"), Path(sys.argv[2]))
    server = ServerProcess(command, announces("READY "))
    server.start()
    if os.fork() == 0:
        # holds the owner's end of the pipe open, as a pool of forked workers does
        import time; os.closerange(0, 3); time.sleep(5); os._exit(0)
    print(server.pid, Path(f"/proc/{server.pid}/stat").read_text().split()[3], flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the owner finds the supervisor's pid in /proc")
@pytest.mark.parametrize("victim", ["owner", "supervisor"])
def test_a_server_ends_when_its_owner_or_supervisor_is_killed(
    victim: str, tmp_path: Path, eventually: Eventually
) -> None:
    program = [sys.executable, "-c", textwrap.dedent(OWNER), textwrap.dedent(LISTEN), str(tmp_path / "log")]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        server, supervisor = owner.stdout.readline().split()
        identity = identity_of(server)
        os.kill(owner.pid if victim == "owner" else int(supervisor), signal.SIGKILL)
        assert eventually(lambda: not identity.alive)
        owner.kill()
