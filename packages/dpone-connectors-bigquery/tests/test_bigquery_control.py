"""The control of the benchmark: a load job of google-cloud-bigquery that stands alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dpone.connector import Target
from dpone.schema import INT64, Field, Schema
from dpone.testing.plain import JSON_LINES
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone_bigquery import plain
from dpone_bigquery.control import LOAD_JOB

SCHEMA = Schema((Field("id", INT64, nullable=False),), key=("id",))


def test_the_emulator_is_named_and_google_is_not() -> None:
    (wire,) = LOAD_JOB.takes
    assert wire == JSON_LINES
    here = Endpoint("bigquery", "project", {}, Provider.EMULATED, Fidelity.EMULATED, extra={"endpoint": "http://here"})
    there = Endpoint("bigquery", "project", {}, Provider.GIVEN, Fidelity.VENDOR)
    target = Target(("shop", "orders"))
    assert LOAD_JOB.writes(here, target, SCHEMA, wire)[0][2:] == ("project", "shop", "orders", "http://here")
    assert LOAD_JOB.writes(there, target, SCHEMA, wire)[0][2:] == ("project", "shop", "orders")


def test_the_program_and_the_control_load_no_client_until_they_are_asked() -> None:
    file = Path(plain.__file__)
    code = (
        f"import runpy, sys; runpy.run_path({str(file)!r}); import dpone_bigquery.control; "
        "print(*(m for m in sys.modules if m.startswith('google.cloud')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
