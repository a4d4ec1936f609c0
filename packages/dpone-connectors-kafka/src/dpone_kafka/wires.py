"""The wire format that Kafka speaks: messages are decoded into Arrow batches, and encoded from them."""

from __future__ import annotations

from dpone.batch import ARROW, Wire

EMITS = (Wire(ARROW),)
ACCEPTS = (Wire(ARROW),)
