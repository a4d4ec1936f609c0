"""The Docker provider against a fake engine and a recorded `docker` command; no real engine takes part."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from msgspec import Struct, field

from dpone.errors import MissingPackage, RemoteError, UsageError
from dpone.testing.services import Fidelity, Provider, Service
from dpone.testing.services import docker as provider
from dpone.testing.services.docker import ComposeService, Composition, connect, find_compose_file, why_unavailable

POSTGRES = Composition(
    connector="postgres",
    profile="postgres",
    ports={"postgres": "DPONE_POSTGRES_PORT"},
    user="dpone",
    password_variable="DPONE_POSTGRES_PASSWORD",
    database="dpone",
    scheme="postgresql",
)


class FakeContainer(Struct):
    labels: Mapping[str, str]
    did: list[str] = field(default_factory=list)

    def kill(self) -> None:
        self.did.append("kill")

    def stop(self) -> None:
        self.did.append("stop")

    def wait(self) -> object:
        self.did.append("wait")
        return None


class FakeEngine(Struct):
    """Also its own collection of containers."""

    found: list[FakeContainer] = field(default_factory=list)
    closed: bool = False

    @property
    def containers(self) -> FakeEngine:
        return self

    def list(self, *, all: bool, filters: Mapping[str, object]) -> Iterable[FakeContainer]:  # noqa: A002 - the SDK's name
        del all, filters
        return self.found

    def ping(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


class Recorder(Struct):
    """Stands in for subprocess.run."""

    code: int = 0
    stderr: str = ""
    commands: list[list[str]] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, command: list[str], *, env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        self.environments.append(env)
        secret = env.get("DPONE_POSTGRES_PASSWORD", "none")
        return subprocess.CompletedProcess(command, self.code, "", self.stderr.replace("{password}", secret))

    @property
    def verbs(self) -> list[str]:
        return [command[command.index("--profile") + 2] for command in self.commands]


@pytest.fixture
def compose_file(tmp_path: Path) -> Path:
    file = tmp_path / "compose.yaml"
    file.write_text("one: ${DPONE_POSTGRES_PASSWORD:?set it}\ntwo: ${DPONE_MSSQL_PASSWORD:?set it}\n")
    return file


def test_a_profile_is_started_on_loopback_with_a_password_of_its_own(compose_file: Path) -> None:
    run, engine = Recorder(), FakeEngine()
    service: Service = ComposeService(POSTGRES, file=compose_file, engine=engine, run=run)
    with service as endpoint:
        assert (endpoint.provider, endpoint.fidelity, endpoint.host) == (Provider.DOCKER, Fidelity.REAL, "127.0.0.1")
        assert service.endpoint == endpoint
        (command,) = run.commands
        assert command[:5] == ["docker", "compose", "--file", str(compose_file), "--project-name"]
        assert command[6:11] == ["--profile", "postgres", "up", "--detach", "--no-recreate"]
        assert "--wait" in command
        assert endpoint.password is not None
        assert run.environments[0]["DPONE_POSTGRES_PASSWORD"] == endpoint.password.reveal()
        assert run.environments[0]["DPONE_POSTGRES_PORT"] == str(endpoint.port)
        assert run.environments[0]["DPONE_MSSQL_PASSWORD"]  # compose asks for it although its profile is off
        assert not any(endpoint.password.reveal() in word for word in command)
    assert run.verbs == ["up", "down"]
    assert "--volumes" in run.commands[-1]
    assert engine.closed


def test_a_restart_keeps_port_and_password(compose_file: Path) -> None:
    run = Recorder()
    service = ComposeService(POSTGRES, file=compose_file, engine=FakeEngine(), run=run)
    with service as endpoint:
        service.stop()
        assert service.start() == endpoint
        assert run.environments[0] == run.environments[2]
    assert run.verbs == ["up", "stop", "up", "down"]


def test_kill_goes_to_the_containers_themselves(compose_file: Path) -> None:
    engine = FakeEngine()
    service = ComposeService(POSTGRES, file=compose_file, engine=engine, run=Recorder())
    with service:
        engine.found.append(FakeContainer({}))
        service.kill()
        assert engine.found[0].did == ["kill", "wait"]


def test_two_services_have_two_projects(compose_file: Path) -> None:
    run = Recorder()
    for _ in range(2):
        with ComposeService(POSTGRES, file=compose_file, engine=FakeEngine(), run=run):
            pass
    assert len({command[5] for command in run.commands}) == 2


def test_the_project_of_a_dead_process_is_removed_and_no_other(compose_file: Path) -> None:
    mine = provider._project_of_this_process("postgres")
    machine = mine.split("-")[1]
    names = {
        "dead": f"dpone-{machine}-{os.getpid()}-00000000-postgres-abcdef",  # our pid, another start time
        "elsewhere": f"dpone-other-{os.getpid()}-00000000-postgres-abcdef",
        "foreign": "shop",
        "living": mine,
    }
    engine = FakeEngine([FakeContainer({"com.docker.compose.project": name}) for name in names.values()])
    run = Recorder()
    with ComposeService(POSTGRES, file=compose_file, engine=engine, run=run):
        assert run.verbs == ["down", "up"]
        assert run.commands[0][5] == names["dead"]


def test_a_failed_start_is_an_error_without_the_password_and_leaves_nothing(compose_file: Path) -> None:
    run = Recorder(code=1, stderr="port is taken, {password} too")
    with pytest.raises(RemoteError, match=r"port is taken, \*\*\* too") as caught:
        ComposeService(POSTGRES, file=compose_file, engine=FakeEngine(), run=run).start()
    assert caught.value.code == "service.compose_failed"
    assert run.verbs == ["up", "down"]


def test_an_engine_without_the_command_is_named(compose_file: Path) -> None:
    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        raise FileNotFoundError

    with pytest.raises(UsageError) as caught:
        ComposeService(POSTGRES, file=compose_file, engine=FakeEngine(), run=run).start()
    assert caught.value.code == "service.docker_command_missing"


def test_a_missing_sdk_is_a_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(MissingPackage) as caught:
        connect()
    assert caught.value.hint == "pip install 'dpone-core[docker]'"
    assert "dpone-core[docker]" in (why_unavailable() or "")


def test_an_engine_that_does_not_answer_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    class DockerException(Exception):  # the SDK's name
        pass

    def from_env() -> FakeEngine:
        raise DockerException("connection refused")

    fake = types.SimpleNamespace(from_env=from_env, errors=types.SimpleNamespace(DockerException=DockerException))
    monkeypatch.setitem(sys.modules, "docker", fake)
    with pytest.raises(RemoteError, match="no Docker engine answers") as caught:
        connect()
    assert caught.value.code == "service.docker_unreachable"
    assert "start Docker" in (why_unavailable() or "")
    monkeypatch.setattr(fake, "from_env", FakeEngine)
    assert why_unavailable() is None


def test_the_real_sdk_says_no_in_the_same_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("docker", reason="the extra dpone-core[docker] is not installed")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(RemoteError, match=r"no Docker engine answers on unix://.*nobody\.sock"):
        connect()


def test_compose_yaml_is_found_from_any_folder_of_the_checkout(compose_file: Path, tmp_path: Path) -> None:
    inner = compose_file.parent / "packages" / "deep"
    inner.mkdir(parents=True)
    assert find_compose_file(inner) == compose_file
    compose_file.unlink()
    with pytest.raises(UsageError) as caught:
        find_compose_file(Path(tmp_path.anchor))
    assert caught.value.code == "service.compose_missing"
