"""A pid alone is no identity."""

from __future__ import annotations

import os
import subprocess
import sys

from msgspec.structs import replace

from dpone.testing.services.process_identity import ProcessIdentity


def test_a_living_process_is_itself_and_a_later_one_of_its_pid_is_not() -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    assert me.alive
    assert not replace(me, started="another time").alive


def test_a_process_that_ended_has_no_identity_even_while_nobody_reaped_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        identity = ProcessIdentity.of(child.pid)
        assert identity is not None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and still a zombie
        assert not identity.alive
        child.wait()
    assert ProcessIdentity.of(child.pid) is None
