from __future__ import annotations

import json
from io import StringIO

import pytest

from dpone import events
from dpone.batch import ARROW, Choice, Refusal
from dpone.observe.logs import LogLines


def test_every_event_is_one_json_object_and_batches_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("dpone.observe.logs.monotonic", lambda: clock[0])
    out = StringIO()
    lines = LogLines(out)
    lines("orders", events.FormatChosen(Choice(ARROW, (Refusal(ARROW, "why"),))))
    for clock[0] in (0.0, 0.5, 1.5):
        lines("orders", events.BatchStaged("0", 10, 100))
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in found] == ["FormatChosen", "BatchesStaged"]
    assert found[0]["choice"]["refused"][0]["reason"] == "why"
    assert (found[1]["rows"], found[1]["nbytes"]) == (30, 300)
