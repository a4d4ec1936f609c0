"""Starts a server of any kind as a supervised child process and ends it, in order or by a crash."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from msgspec import Struct, field

from dpone.errors import RemoteError
from dpone.testing.services.account import Account
from dpone.testing.services.ports import LOOPBACK, connects

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_POLL = 0.01
_TAIL = 2000  # characters of the log that an error carries
_WORTH_HIDING = 8  # shorter values of the environment are flags, and hiding "1" would garble the log


class Command(Struct, frozen=True):
    """What to run. Secrets go into `environment` (or a file), never into `arguments`, which every account can read."""

    arguments: tuple[str, ...]
    directory: Path
    log: Path  # standard output and error of the server, appended
    environment: Mapping[str, str] = field(default_factory=dict)  # all of it: nothing is inherited
    account: Account | None = None
    # one after another, `grace` seconds apart, then SIGKILL
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)
    grace: float = 10.0
    keep: tuple[int, ...] = ()  # open files that the supervisor and the server inherit


class ServerProcess:
    """One server. It ends with this process, however this process ends.

    The server finds an empty standard input and need not watch for our death: its supervisor does.
    """

    def __init__(self, command: Command, ready: Probe, *, timeout: float = 60.0) -> None:
        self._command = command
        self._ready = ready
        self._timeout = timeout
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._log_offset = 0
        self.pid: int | None = None  # of the server itself, while it runs

    @property
    def running(self) -> bool:
        return self._supervisor is not None and self._supervisor.poll() is None

    def start(self) -> None:
        """The server is ready by its probe, or has ended and the error shows the end of its log."""
        if self.running:
            return
        self._release()
        log = self._command.log
        self._log_offset = log.stat().st_size if log.exists() else 0
        until = time.monotonic() + self._timeout
        self._supervisor = subprocess.Popen(  # noqa: S603 - this interpreter and our own file
            [sys.executable, "-I", "-S", str(_SUPERVISOR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
            pass_fds=self._command.keep,
        )
        try:
            self._hand_over(self._supervisor)
            self._await_ready(until)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """The server has shut down in order, with all its children."""
        self._end(word=None)

    def kill(self) -> None:
        """The server and its process group were ended by SIGKILL, and all its children are gone."""
        # through the supervisor, whose unreaped child the pid is: it cannot hit another process
        self._end(word=b"kill\n")

    def said(self, prefix: str) -> str | None:
        """The rest of the first whole line that starts with `prefix` among those logged since the last start."""
        for line in self._logged().splitlines(keepends=True):
            if line.startswith(prefix) and line.endswith("\n"):
                return line[len(prefix) :].strip()
        return None

    def _await_ready(self, until: float) -> None:
        while not self._ready(self):
            if not self.running:
                raise self._failure("ended before it was ready")
            if time.monotonic() > until:
                raise self._failure(f"was not ready within {self._timeout:g} s")
            time.sleep(_POLL)

    def _hand_over(self, supervisor: subprocess.Popen[bytes]) -> None:
        command = self._command
        text = json.dumps(
            {
                "arguments": command.arguments,
                "directory": str(command.directory),
                "log": str(command.log),
                "environment": dict(command.environment),
                "account": command.account and (command.account.uid, command.account.gid),
                "stop_signals": command.stop_signals,
                "grace": command.grace,
                "keep": command.keep,
            }
        )
        # through the pipe, not as an argument: the environment may hold a password
        stdin = _pipe(supervisor.stdin)
        stdin.write(text.encode() + b"\n")
        stdin.flush()
        answer = json.loads(_pipe(supervisor.stdout).readline() or "{}")
        if "pid" not in answer:
            found = answer.get("error", "the supervisor ended at once")
            message = f"cannot run {command.arguments[0]}: {found}"
            raise RemoteError(message, code="service.cannot_run", log=str(command.log))
        self.pid = answer["pid"]

    def _end(self, *, word: bytes | None) -> None:
        if self._supervisor is not None and self._supervisor.poll() is None:
            stdin = _pipe(self._supervisor.stdin)
            try:
                if word is not None:
                    stdin.write(word)
                stdin.close()
            except BrokenPipeError:
                pass  # it ended by itself just now
            self._supervisor.wait()  # bounded: the supervisor ends with SIGKILL after each grace
        self._release()

    def _release(self) -> None:
        if self._supervisor is not None:
            for pipe in (self._supervisor.stdin, self._supervisor.stdout):
                if pipe is not None and not pipe.closed:
                    pipe.close()
            self._supervisor = None
        self.pid = None

    def _logged(self) -> str:
        try:
            with self._command.log.open("rb") as log:
                log.seek(self._log_offset)
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _failure(self, what: str) -> RemoteError:
        tail = self._logged()[-_TAIL:].strip()
        for value in self._command.environment.values():
            if len(value) >= _WORTH_HIDING:
                tail = tail.replace(value, "***")
        name = Path(self._command.arguments[0]).name
        message = f"{name} {what}" + (f"; its log ends with:\n{tail}" if tail else "; its log is empty")
        return RemoteError(message, code="service.not_ready", log=str(self._command.log))


Probe = Callable[[ServerProcess], bool]


def accepts(*ports: int) -> Probe:
    """Ready when every port takes a connection.

    Whose server took it is not known: where a server can print a line once it listens, `announces` is the better probe.
    """
    return lambda _: all(connects(LOOPBACK, port) for port in ports)


def announces(prefix: str) -> Probe:
    """Ready when the server printed a line that starts so; `said(prefix)` gives the rest of it."""
    return lambda server: server.said(prefix) is not None


def _pipe(handle: IO[bytes] | None) -> IO[bytes]:
    if handle is None:  # for the type checker: both pipes are asked for above
        message = "the supervisor was started without a pipe"
        raise AssertionError(message)
    return handle
