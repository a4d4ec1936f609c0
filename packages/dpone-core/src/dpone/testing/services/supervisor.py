"""Runs one server as its child and ends it when the owner asks, closes the pipe or dies.

Run by path in an isolated interpreter, standard library only, so that it starts in some 20 ms and needs no package:

    python -I -S supervisor.py

Standard input: one line of JSON (the `Command`), then the word `kill` on a line, then end of file, which means stop.
Standard output: a line `{"pid": n}` or `{"error": text}`, and at the end `{"exit": code}`. It ends after the server and
all of the server's children have ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_POLL = 0.5  # seconds; bounds how late the death of an owner is noticed whose pipe a forked child still holds


class Supervisor:
    def __init__(self, command: dict[str, Any]) -> None:
        self._stop_signals = [signal.Signals(number) for number in command["stop_signals"]]
        self._grace: float = command["grace"]
        self._owner = os.getppid()
        if sys.platform == "linux":
            # orphans of a killed server become our children: in a container the first process may never reap them
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._asked = False
        # the server and every child it makes inherit the writing end: end of file says that all of them are gone
        self._tomb, write = os.pipe()
        keep = (write, *command["keep"])
        as_account = command["account"]
        log = os.open(command["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.server = subprocess.Popen(  # noqa: S603 - the owner's own command, no shell
            command["arguments"],
            cwd=command["directory"],
            env=command["environment"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=keep,
            start_new_session=True,  # a group of its own: Ctrl-C is for the owner, and SIGKILL takes the whole group
            preexec_fn=self._die_with_supervisor,  # noqa: PLW1509 - this process has one thread
            **({"user": as_account[0], "group": as_account[1], "extra_groups": []} if as_account else {}),
        )
        for handle in (write, log):
            os.close(handle)
        signal.signal(signal.SIGTERM, self._on_signal)

    def run(self) -> int:
        """The server is gone with all its children; the result is its exit code."""
        while self.server.poll() is None and not self._asked:
            ready, _, _ = select.select([0, self._tomb], [], [], _POLL)
            if 0 in ready and not self._obey():
                break
            if os.getppid() != self._owner:
                break
        for number in (*self._stop_signals, signal.SIGKILL):
            if self._gone_within(0):
                break
            self._send(number)
            self._gone_within(self._grace)
        code = self.server.wait()
        _reap_orphans(self._grace)
        return code

    def _obey(self) -> bool:
        """False at the end of the pipe."""
        words = os.read(0, 64)
        if b"kill" in words:
            self._send(signal.SIGKILL)
        return bool(words)

    def _send(self, number: signal.Signals) -> None:
        # poll() reaps, so between it and the signal the pid cannot have been given to somebody else
        if number == signal.SIGKILL:
            try:
                os.killpg(self.server.pid, number)  # also children that outlived the server
            except ProcessLookupError:
                return
        elif self.server.poll() is None:
            self.server.send_signal(number)

    def _gone_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self._tomb], [], [], max(0.0, until - time.monotonic()))
            if ready:
                return True
            if time.monotonic() >= until:
                return False

    def _on_signal(self, number: int, frame: object) -> None:
        del number, frame
        self._asked = True

    def _die_with_supervisor(self) -> None:
        # Linux only; elsewhere a server outlives a SIGKILL of its supervisor (not of its owner)
        if sys.platform == "linux":
            first = (self._stop_signals or [signal.SIGKILL])[0]
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(first))


def main() -> None:
    command = json.loads(_first_line())
    try:
        supervisor = Supervisor(command)
    except OSError as error:
        _report(error=f"{type(error).__name__}: {error}")
        return
    _report(pid=supervisor.server.pid)
    _report(exit=supervisor.run())


def _reap_orphans(seconds: float) -> None:
    """No zombie is left; they have closed their files, so this is a matter of milliseconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.001)
        except ChildProcessError:
            return


def _first_line() -> bytes:
    """Read byte by byte: a buffered reader would swallow the words that follow."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return line


def _report(**fact: object) -> None:
    with contextlib.suppress(BrokenPipeError):  # the owner died; the server still has to be ended
        os.write(1, json.dumps(fact).encode() + b"\n")


if __name__ == "__main__":
    main()
