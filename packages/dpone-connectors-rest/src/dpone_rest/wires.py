"""The wire format that a REST source speaks: records are decoded into Arrow batches."""

from __future__ import annotations

from dpone.batch import ARROW, Wire

EMITS = (Wire(ARROW),)
