"""What the meter says of processes whose cost is known."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from dpone.errors import RemoteError
from dpone_certify.benchmark.costs import Command, measure

MB = 1_000_000


def python(code: str, **environment: str) -> Command:
    return (sys.executable, "-I", "-S", "-c", code), environment


def test_waiting_is_wall_time_and_no_cpu(tmp_path: Path) -> None:
    cost = measure([[python("import time; time.sleep(0.3)")]], tmp_path).cost
    assert 0.3 <= cost.wall < 3
    assert cost.cpu < 0.25


def test_computing_is_cpu_of_all_pipes(tmp_path: Path) -> None:
    burn = python("import time\nwhile time.process_time() < 0.2: pass")
    assert measure([[burn], [burn]], tmp_path).cost.cpu >= 0.4


def test_processes_of_a_pipe_run_side_by_side(tmp_path: Path) -> None:
    sleep = python("import time; time.sleep(0.4)")
    beside = measure([[sleep, sleep, sleep]], tmp_path).cost.wall
    assert beside < measure([[sleep], [sleep], [sleep]], tmp_path).cost.wall - 0.4


def test_memory_is_the_childs_and_not_that_of_whoever_measures(tmp_path: Path) -> None:
    ballast = bytearray(200 * MB)
    assert measure([[python("pass")]], tmp_path).cost.memory < 40 * MB
    assert measure([[python("bytearray(100_000_000)")]], tmp_path).cost.memory > 100 * MB
    assert len(ballast) == 200 * MB


def test_a_pipe_hands_over_every_byte_and_the_last_output_is_kept(tmp_path: Path) -> None:
    write = python("import os; os.write(1, b'x' * 50_000); os.write(1, b'y')")
    count = python("import sys; d = sys.stdin.buffer.read(); print(len(d), d[-1:])")
    assert measure([[write, count]], tmp_path).out == "50001 b'y'\n"


def test_only_the_given_environment_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPONE_SOMETHING", "ours")
    code = "import os; print(os.environ.get('DPONE_SOMETHING'), os.environ['GIVEN'], os.getcwd())"
    assert measure([[python(code, GIVEN="theirs")]], tmp_path).out == f"None theirs {tmp_path.resolve()}\n"


def test_any_failure_in_a_pipe_is_a_failure(tmp_path: Path) -> None:
    fails = python("import sys; sys.exit('no such table')")
    with pytest.raises(RemoteError, match="ended with 1 instead of 0") as found:
        measure([[fails, python("pass")]], tmp_path)
    assert found.value.code == "benchmark.failed"
    assert found.value.hint == "no such table"


def test_no_secret_is_an_argument(tmp_path: Path) -> None:
    if shutil.which("ps") is None or os.name != "posix":
        pytest.skip("needs ps")
    look = "import subprocess; print(subprocess.run(['/bin/ps', '-eo', 'args'], capture_output=True, text=True).stdout)"
    seen = measure([[python(look, CANARY="canary-7f3a")]], tmp_path).out
    assert "meter.py" in seen
    assert "canary-7f3a" not in seen
