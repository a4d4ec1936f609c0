"""One load in a process of its own, which DPONE_FAILPOINT ends: what it is comes as JSON on stdin."""

from __future__ import annotations

import json
import sys

from dpone.schema import Field, Schema, parse_type
from dpone.testing.testkit import SeedTable
from dpone_certify.certification.faults import drive_of
from dpone_certify.certification.seeded import CORE, KEY


def main() -> None:
    order = json.loads(sys.stdin.buffer.read())
    drive = drive_of(order)
    wide = (Field(name, parse_type(of), native=native) for name, of, native in order["columns"])
    table = SeedTable(order["table"], Schema((*CORE, *wide), (KEY,)), (), drive.source.kit.connector.source.reads)
    sys.exit(0 if drive.load(table, order["strategy"]).error_code is None else 1)


if __name__ == "__main__":
    main()
