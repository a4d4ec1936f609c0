"""Services that stay up between commands: every step in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dpone.errors import MissingPackage, PlanError, StateError, UsageError
from dpone.testing.services import Provider
from dpone.testing.services.persistent import State, catalog, down, status, up
from dpone.testing.services.ports import connects
from dpone.testing.services.process_identity import ProcessIdentity

Sql = Callable[..., str]
Eventually = Callable[[Callable[[], bool]], bool]

# in place of connectors' testkits
OFFERS = """
    import socket
    from contextlib import contextmanager
    from dpone.errors import MissingPackage
    from dpone.testing.services import Endpoint, Fidelity, Provider
    from dpone.testing.services.postgres import EmbeddedPostgres

    @contextmanager
    def listening():
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield Endpoint("fake", "127.0.0.1", {"fake": server.getsockname()[1]}, Provider.EMULATED, Fidelity.EMULATED)

    def no_driver():
        raise MissingPackage("no driver", install="dpone-connectors-fake")

    def breaks():
        raise RuntimeError("it broke")

    class Kit:
        def __init__(self, open, *providers):
            self.open, self.offered = open, providers

        def providers(self):
            return self.offered

        def service(self, provider):
            assert provider is self.offered[-1]
            return self.open()

    postgres = Kit(EmbeddedPostgres, Provider.EMBEDDED)
    fake = Kit(listening, Provider.GIVEN, Provider.EMULATED)
    missing = Kit(no_driver, Provider.EMULATED)
    broken = Kit(breaks, Provider.EMULATED)
"""
SERVICES = {name: f"offers_for_test:{name}" for name in ("postgres", "fake", "missing", "broken")}


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "offers_for_test.py").write_text(textwrap.dedent(OFFERS))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    state_dir = tmp_path / ".dpone" / "services"
    yield state_dir
    down(state_dir)


def elsewhere(statement: str) -> str:
    program = f"from pathlib import Path\nfrom dpone.testing.services.persistent import *\n{statement}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_up_status_and_down_work_across_processes(state_dir: Path, psql: Path, sql: Sql) -> None:
    del psql
    where = f"Path({str(state_dir)!r})"
    assert (
        elsewhere(f"print([one.state.value for one in up(['postgres'], {where}, services={SERVICES})])")
        == "['running']"
    )
    (one,) = status(state_dir)
    assert (one.name, one.state, one.endpoint.provider) == ("postgres", State.RUNNING, Provider.EMBEDDED)
    assert sql(one.endpoint, "select 1") == "1"

    assert up(["postgres"], state_dir, services=SERVICES) == (one,)  # the same server: nothing was started

    assert one.endpoint.password is not None
    holders = [file for file in state_dir.iterdir() if one.endpoint.password.reveal() in file.read_text()]
    assert [file.name for file in holders] == ["postgres.json"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in state_dir.iterdir()} == {0o600}
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700

    assert elsewhere(f"print(down({where}))") == "('postgres',)"
    assert not one.keeper.alive
    assert not connects(one.endpoint.host, one.endpoint.port)
    assert status(state_dir) == ()
    assert down(state_dir) == ()


def test_a_keeper_that_was_killed_is_stale_and_replaced(state_dir: Path, eventually: Eventually) -> None:
    (first,) = up(["fake"], state_dir, services=SERVICES)
    os.kill(first.keeper.pid, signal.SIGKILL)
    assert eventually(lambda: not first.keeper.alive)
    assert [one.state for one in status(state_dir)] == [State.STALE]
    (second,) = up(["fake"], state_dir, services=SERVICES)
    assert second.state is State.RUNNING
    assert second.keeper != first.keeper


def test_a_pid_that_was_given_to_somebody_else_is_left_alone(state_dir: Path) -> None:
    (one,) = up(["fake"], state_dir, services=SERVICES)
    file = state_dir / "fake.json"
    document = json.loads(file.read_text())
    document["keeper"] = {"pid": os.getpid(), "started": "another time"}
    file.write_text(json.dumps(document))
    assert [found.state for found in status(state_dir)] == [State.STALE]
    assert down(state_dir) == ()  # and this process still runs
    os.kill(one.keeper.pid, signal.SIGTERM)


def test_a_server_that_does_not_answer_is_silent(state_dir: Path, eventually: Eventually) -> None:
    (one,) = up(["fake"], state_dir, services=SERVICES)
    file = state_dir / "fake.json"
    document = json.loads(file.read_text())
    document["endpoint"]["ports"] = {"fake": 1}
    file.write_text(json.dumps(document))
    assert [found.state for found in status(state_dir)] == [State.SILENT]
    assert down(state_dir) == ("fake",)
    assert eventually(lambda: not one.keeper.alive)


def test_if_one_cannot_start_none_is_left_and_the_reason_is_its_own(state_dir: Path) -> None:
    with pytest.raises(MissingPackage) as caught:
        up(["fake", "missing"], state_dir, services=SERVICES)
    assert caught.value.hint == "pip install dpone-connectors-fake"
    assert all(one.state is State.STALE for one in status(state_dir))
    with pytest.raises(Exception, match="RuntimeError: it broke") as broken:
        up(["broken"], state_dir, services=SERVICES)
    assert getattr(broken.value, "code", None) == "service.not_ready"


def test_a_provider_that_is_not_offered_is_refused(state_dir: Path) -> None:
    with pytest.raises(PlanError, match="as given, emulated, not as docker"):
        up(["fake"], state_dir, services=SERVICES, providers=[Provider.DOCKER])


def test_an_unknown_service_is_named_with_those_there_are(state_dir: Path) -> None:
    with pytest.raises(UsageError, match=r"no such service: postgers; there is .*postgres"):
        up(["postgers"], state_dir, services=SERVICES)
    assert not state_dir.exists()


def test_the_catalog_is_what_installed_connectors_ship() -> None:
    assert all(":" in where for where in catalog().values())


def test_a_state_file_that_cannot_be_read_is_named_without_its_content(state_dir: Path) -> None:
    state_dir.mkdir(parents=True)
    file = state_dir / "postgres.json"
    file.write_text('{"endpoint": {"password": "canary-password"}')
    with pytest.raises(StateError, match=r"postgres\.json") as caught:
        status(state_dir)
    assert "canary" not in repr(caught.value)
    assert caught.value.__cause__ is None
    file.unlink()


def test_keepers_are_nobodys_children(state_dir: Path) -> None:
    (one,) = up(["fake"], state_dir, services=SERVICES)
    assert ProcessIdentity.of(one.keeper.pid) == one.keeper
    with pytest.raises(ChildProcessError):
        os.waitpid(one.keeper.pid, os.WNOHANG)
