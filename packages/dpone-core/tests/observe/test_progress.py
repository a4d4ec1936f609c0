from __future__ import annotations

from io import StringIO

from rich.console import Console

from dpone import events
from dpone.connector import Staged
from dpone.observe.progress import ProgressBars


def test_a_stream_shows_rows_bytes_rate_and_phase() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=140)
    with ProgressBars(console) as bars:
        bars("orders", events.RunStarted("r", "orders", "a", "b", "full_refresh"))
        bars("orders", events.BatchStaged("0", None, 2_500_000))
        bars("orders", events.StageSealed(Staged(received=1234, live=1234)))
        bars("orders", events.RunFinished("succeeded", 1.0))
        bars("empty", events.RunFinished("succeeded", 0.1))
    last = out.getvalue().rpartition("orders")[2]
    assert "1,234 rows" in last
    assert "2.5 MB" in last
    assert "rows/s" in last
    assert "succeeded" in last
    assert "0 rows" in last  # a stream that read nothing does not claim a row
