"""`python -m dpone_bigquery.emulator FOLDER PORT`: the emulator of this folder's data, until the process is ended."""

from __future__ import annotations

import sys
from pathlib import Path

from dpone_bigquery.emulator.server import serve

if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
