"""Services from the repository's compose.yaml, where a Docker engine runs.

The SDK finds and inspects the engine; `docker compose` starts and removes. The unit tests use a fake engine: only a
machine with Docker proves that the two together work.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import os
import re
import socket
import subprocess
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from msgspec import Struct, field

from dpone.errors import MissingPackage, RemoteError, UsageError
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.ports import LOOPBACK, free_port
from dpone.testing.services.process_identity import ProcessIdentity
from dpone.testing.services.secret import Secret

_PROJECT = "dpone"
_REQUIRED_VARIABLE = re.compile(r"\$\{(\w+):?\?")
_PROJECT_LABEL = "com.docker.compose.project"
_READY_TIMEOUT = 180  # seconds; includes the first pull of an image
_TAIL = 2000


class Container(Protocol):
    """What we use of docker.models.containers.Container."""

    labels: Mapping[str, str]

    def kill(self) -> None: ...
    def stop(self) -> None: ...
    def wait(self) -> object: ...


class Containers(Protocol):
    def list(self, *, all: bool, filters: Mapping[str, object]) -> Iterable[Container]: ...  # noqa: A002 - the SDK's name


class Engine(Protocol):
    """What we use of docker.DockerClient."""

    @property
    def containers(self) -> Containers: ...
    def ping(self) -> bool: ...
    def close(self) -> None: ...


Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Composition(Struct, frozen=True):
    """What a connector knows about its part of compose.yaml, where the variables below have defaults for people."""

    connector: str
    profile: str
    ports: Mapping[str, str]  # by purpose: the variable that says on which loopback port it is published
    user: str | None = None
    password_variable: str | None = None
    database: str | None = None
    scheme: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


class ComposeService:
    """A `Service` from a compose profile, in a project of its own, so that several run at once."""

    def __init__(
        self,
        composition: Composition,
        *,
        file: Path | None = None,
        engine: Engine | None = None,
        run: Run = subprocess.run,
    ) -> None:
        self._composition = composition
        self._file = file or find_compose_file(Path.cwd())
        self._given_engine = engine
        self._run = run
        self._engine: Engine | None = None
        self._project = _project_of_this_process(composition.profile)
        self._endpoint: Endpoint | None = None
        self._environment: dict[str, str] = {}

    @property
    def endpoint(self) -> Endpoint:
        if self._endpoint is None:
            message = f"{self._composition.connector} was not started yet, so it has no endpoint"
            raise UsageError(message, code="service.not_started")
        return self._endpoint

    def start(self) -> Endpoint:
        if self._endpoint is None:
            if self._engine is None:
                self._engine = self._given_engine or connect()
            self._endpoint = self._prepare()
            _remove_dead_projects(self._engine, self._compose)
        try:
            # of running containers compose changes nothing, stopped ones it starts as they are
            self._compose("up", "--detach", "--no-recreate", "--wait", "--wait-timeout", str(_READY_TIMEOUT))
        except RemoteError:
            self.close()
            raise
        return self._endpoint

    def stop(self) -> None:
        if self._endpoint is not None:
            self._compose("stop")

    def kill(self) -> None:
        if self._engine is not None:
            for container in self._engine.containers.list(all=False, filters=_label(self._project)):
                container.kill()
                container.wait()

    def close(self) -> None:
        try:
            if self._endpoint is not None:
                self._compose("down", "--volumes", "--remove-orphans", "--timeout", "5")
        finally:
            if self._engine is not None:
                self._engine.close()
            self._engine = self._endpoint = None

    def __enter__(self) -> Endpoint:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _prepare(self) -> Endpoint:
        composition = self._composition
        ports = {purpose: free_port() for purpose in composition.ports}
        # compose wants every required variable of the file, those of other profiles too (docker/compose#11977)
        required = _REQUIRED_VARIABLE.findall(self._file.read_text(encoding="utf-8"))
        self._environment = {variable: os.environ.get(variable, "unused") for variable in required}
        self._environment |= {variable: str(ports[purpose]) for purpose, variable in composition.ports.items()}
        password = None
        if composition.password_variable is not None:
            password = Secret.generate()
            # by the environment, never as an argument
            self._environment[composition.password_variable] = password.reveal()
        return Endpoint(
            connector=composition.connector,
            host=LOOPBACK,
            ports=ports,
            user=composition.user,
            password=password,
            database=composition.database,
            scheme=composition.scheme,
            provider=Provider.DOCKER,
            fidelity=Fidelity.REAL,
            extra=composition.extra,
        )

    def _compose(self, *arguments: str, project: str | None = None) -> None:
        profile = self._composition.profile
        command = [
            *("docker", "compose", "--file", str(self._file), "--project-name", project or self._project),
            *("--profile", profile, *arguments),
        ]
        try:
            answer = self._run(
                command, env={**os.environ, **self._environment}, capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise UsageError(
                "a Docker engine runs, but there is no `docker` command to start services with",
                code="service.docker_command_missing",
                hint="install the Docker CLI with its compose plugin",
            ) from None
        if answer.returncode != 0:
            tail = answer.stderr[-_TAIL:].strip()
            if self._composition.password_variable is not None:
                secret = self._environment.get(self._composition.password_variable)
                tail = tail.replace(secret, "***") if secret else tail
            message = f"docker compose {arguments[0]} of profile {profile} failed ({answer.returncode}): {tail}"
            raise RemoteError(message, code="service.compose_failed", hint="docker compose logs", retryable=False)


def connect() -> Engine:
    """The running engine, or an error that says what is missing."""
    try:
        sdk: Any = importlib.import_module("docker")
    except ModuleNotFoundError:
        raise MissingPackage("Docker services need the docker SDK", install="'dpone-core[docker]'") from None
    try:
        engine: Engine = sdk.from_env()
        engine.ping()
    except sdk.errors.DockerException as error:
        found = str(error)
    else:
        return engine
    with warnings.catch_warnings():
        # the SDK forgets a socket that could not connect; where warnings are errors, some later test would pay for it
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    raise RemoteError(
        f"no Docker engine answers on {os.environ.get('DOCKER_HOST', 'the default socket')}: {found}",
        code="service.docker_unreachable",
        hint="start Docker, or use the embedded and emulated services, which need none",
    )


def why_unavailable() -> str | None:
    """The reason why Docker services cannot be had here, for a skipped test to show; None when they can."""
    try:
        connect().close()
    except (MissingPackage, RemoteError) as error:
        return f"{error.message} ({error.hint})"
    return None


def find_compose_file(start: Path) -> Path:
    """The nearest compose.yaml in `start` or above it."""
    for directory in (start, *start.parents):
        file = directory / "compose.yaml"
        if file.exists():
            return file
    raise UsageError(
        f"no compose.yaml in {start} or above it",
        code="service.compose_missing",
        hint="run inside a checkout of dpone, or use the embedded and emulated services",
    )


def _project_of_this_process(profile: str) -> str:
    """A project name that says whose it is: this machine's, this process's, this one's among several."""
    return f"{_prefix(os.getpid())}-{profile}-{os.urandom(3).hex()}"


def _prefix(pid: int) -> str:
    identity = ProcessIdentity.of(pid)
    started = identity.started if identity else ""
    return f"{_PROJECT}-{_digest(socket.gethostname())}-{pid}-{_digest(started)}"


def _remove_dead_projects(engine: Engine, compose: Callable[..., None]) -> None:
    """Projects of processes of this machine that died without removing theirs are removed."""
    projects = {
        container.labels.get(_PROJECT_LABEL, "")
        for container in engine.containers.list(all=True, filters={"label": [_PROJECT_LABEL]})
    }
    for project in sorted(projects):
        parts = project.split("-")
        ours = parts[:2] == [_PROJECT, _digest(socket.gethostname())] and parts[2:3] and parts[2].isdigit()
        if ours and not project.startswith(_prefix(int(parts[2])) + "-"):
            compose("down", "--volumes", "--remove-orphans", "--timeout", "1", project=project)


def _label(project: str) -> dict[str, object]:
    return {"label": [f"{_PROJECT_LABEL}={project}"]}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
