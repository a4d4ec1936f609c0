"""The driver, without its calendar: two tables of all 146,000 days of Date32, 90 ms and 20 MB for every run.

Nor does it talk to a person who has set up no log: it would print a traceback for each server that does not answer.
"""

from __future__ import annotations

import logging
import os

os.environ.setdefault("CLICKHOUSE_DRIVER_LASY_DATE_LUT", "none")  # the driver's own switch: days as they are asked for

from clickhouse_driver import Client, errors

logging.getLogger("clickhouse_driver").addHandler(logging.NullHandler())

__all__ = ["Client", "errors"]
