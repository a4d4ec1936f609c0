from __future__ import annotations

import subprocess
import sys

from dpone.process import is_alive, this_process


def test_a_process_is_alive_until_it_ends_and_no_other_takes_its_name() -> None:
    program = "from dpone.process import this_process; print(this_process(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        assert is_alive(name)
        child.communicate("\n")
    assert not is_alive(name)
    assert is_alive(this_process())
    pid = this_process().partition("@")[0]
    assert not is_alive(f"{pid}@1/another-boot")  # the same pid, another process
    assert not is_alive("")
