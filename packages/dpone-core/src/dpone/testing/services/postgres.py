"""A real PostgreSQL of our own: on loopback, behind a password, ready for change data capture."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from dpone.errors import RemoteError, UsageError
from dpone.testing.services.account import unprivileged
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.launched import Launch, LaunchedService
from dpone.testing.services.launcher import Command, Probe
from dpone.testing.services.ports import LOOPBACK, free_port
from dpone.testing.services.postgres_binaries import PostgresBinaries, find_binaries
from dpone.testing.services.postgres_memory import free_segment
from dpone.testing.services.postgres_probe import takes_sessions
from dpone.testing.services.scratch import Scratch
from dpone.testing.services.secret import Secret

# what a caller may not change, and why
_FIXED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "listen_addresses": (LOOPBACK, "it serves this machine only"),
        "unix_socket_directories": ("", "a socket would be a second way in, in a directory of its own"),
        "synchronous_commit": ("on", "logical decoding misses recent rows without it"),
    }
)
_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "wal_level": "logical",
        "max_replication_slots": "10",
        "max_wal_senders": "10",
        "shared_buffers": "128MB",
        "log_min_messages": "warning",
        "timezone": "UTC",  # tests must not depend on the machine's
        # inside the data directory: a crash leaves nothing in /dev/shm, which has only 64 MB in a container
        "dynamic_shared_memory_type": "mmap",
    }
)
# a SIGKILL of the server loses nothing without fsync, since the system keeps its pages; a crash of the machine does
_NOT_DURABLE: Mapping[str, str] = MappingProxyType({"fsync": "off", "full_page_writes": "off"})
_PASSWORD_FILE = "dpone.password"  # noqa: S105 - a file's name
_INITDB_TIMEOUT = 120.0
_BUILTIN_LOCALE_SINCE = 17


class EmbeddedPostgres(LaunchedService):
    """`with EmbeddedPostgres() as endpoint:` a server whose user is a superuser and may replicate.

    Without `data` everything is temporary. With it the directory is made or reopened, stays, and holds its password
    (0600). `durable` makes the data survive a crash of the machine, at the price of speed.
    """

    kind = "postgres"

    def __init__(
        self,
        *,
        data: Path | None = None,
        port: int | None = None,
        user: str = "postgres",
        password: Secret | None = None,
        settings: Mapping[str, str] | None = None,
        durable: bool = False,
    ) -> None:
        super().__init__()
        self.account = unprivileged()  # postgres refuses to run as root
        self._settings = _settings(settings or {}, durable=durable)
        self._data = data.absolute() if data is not None else None
        self._port = port
        self._user = user
        self._password = password
        self._binaries: PostgresBinaries | None = None

    @property
    def binaries(self) -> PostgresBinaries:
        """Where `psql`, `pg_dump` and the rest of this server's version are."""
        if self._binaries is None:
            self._binaries = find_binaries(self.account)
        return self._binaries

    def prepare(self, scratch: Scratch) -> Launch:
        data = self._data or scratch.path / "data"
        self._own(data)
        if not (data / "PG_VERSION").exists():
            self._initialise(data, scratch)
        password = self._known_password(data)
        port = self._port or free_port()
        arguments = [self.binaries.program("postgres"), "-D", str(data), "-p", str(port)]
        for name, value in self._settings.items():
            arguments += ["-c", f"{name}={value}"]
        command = Command(
            tuple(arguments),
            directory=data,
            log=scratch.path / "server.log",
            environment=_environment(),
            account=self.account,
            # fast, then immediate: a fast shutdown waits for a logical replication client that does not read
            stop_signals=(signal.SIGINT, signal.SIGQUIT),
            keep=(scratch.lock,),
        )
        endpoint = Endpoint(
            connector="postgres",
            host=LOOPBACK,
            ports={"postgres": port},
            user=self._user,
            password=password,
            database="postgres",
            scheme="postgresql",
            provider=Provider.EMBEDDED,
            fidelity=Fidelity.REAL,
            extra={"version": self.binaries.version},
        )
        return Launch(command, _ready(data, port), endpoint)

    def forget(self, directory: Path) -> None:
        free_segment(directory / "data")

    def _own(self, data: Path) -> None:
        """The directory exists, and the server's account alone can look into it."""
        data.mkdir(parents=True, exist_ok=True)
        if self.account is not None:
            if not self.account.can_reach(data.parent):
                raise UsageError(
                    f"the server runs as 'nobody', who cannot get to {data}",
                    code="service.data_unreachable",
                    hint="choose a directory that every account may pass through, or run as an ordinary user",
                )
            os.chown(data, self.account.uid, self.account.gid)
        data.chmod(0o700)

    def _initialise(self, data: Path, scratch: Scratch) -> None:
        password = self._password or Secret.generate()
        file = scratch.path / _PASSWORD_FILE
        self._write_private(file, password)
        arguments = [
            *(self.binaries.program("initdb"), "-D", str(data), "-U", self._user, f"--pwfile={file}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
        ]
        if self.binaries.major >= _BUILTIN_LOCALE_SINCE:
            # letters beyond ASCII have cases, the same on every system
            arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        try:
            answer = subprocess.run(  # noqa: S603 - a program that we found
                arguments,
                cwd="/",
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=_INITDB_TIMEOUT,
                pass_fds=(scratch.lock,),  # if we are killed now, nobody removes the directory under it
                **(self.account.run_as() if self.account else {}),
            )
        finally:
            file.unlink()
        if answer.returncode != 0:
            message = f"initdb could not make {data}: {answer.stderr.strip()}"
            raise RemoteError(message, code="service.cannot_run")
        self._write_private(data / _PASSWORD_FILE, password)

    def _known_password(self, data: Path) -> Secret:
        if self._password is not None:
            return self._password
        try:
            return Secret((data / _PASSWORD_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(
                f"{data} was not made by dpone, so its password is not known",
                code="service.password_unknown",
                hint="pass `password`, or a directory that does not exist yet",
            ) from None

    def _write_private(self, file: Path, secret: Secret) -> None:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, secret.reveal().encode())
            if self.account is not None:
                os.fchown(handle, self.account.uid, self.account.gid)
        finally:
            os.close(handle)


def _settings(asked: Mapping[str, str], *, durable: bool) -> dict[str, str]:
    for name, (value, reason) in _FIXED.items():
        if asked.get(name, value) != value:
            message = f"{name} stays {value!r}, not {asked[name]!r}: {reason}"
            raise UsageError(message, code="service.fixed_setting")
    fixed = {name: value for name, (value, _) in _FIXED.items()}
    return {**_DEFAULTS, **({} if durable else _NOT_DURABLE), **asked, **fixed}


def _environment() -> dict[str, str]:
    """Nothing of ours: PGDATA, PGPORT or a locale that is not installed would change what the server does."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _ready(data: Path, port: int) -> Probe:
    """Our server takes sessions: by its pid file, lest somebody else's server on that port answers for it."""

    def ready(_: object) -> bool:
        try:
            state = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[-1]
        except (OSError, IndexError):
            return False
        return state.strip() == "ready" and takes_sessions(LOOPBACK, port)

    return ready
