"""`python -m dpone_kafka.emulator FOLDER DOORS REGISTRY_PORT` serves both until it is ended; DOORS is a file."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

from dpone_kafka.emulator import doors
from dpone_kafka.emulator.broker import Broker
from dpone_kafka.emulator.http import serving
from dpone_kafka.emulator.registry import Registry


async def serve(folder: Path, behind: Path, registry_port: int) -> None:
    """Both answer, and say so; they end with the process."""
    broker = Broker(folder, doors.read(behind))
    registry = serving(Registry(folder / "registry.json"), registry_port)
    await broker.serve()
    threading.Thread(target=registry.serve_forever, daemon=True).start()
    print(f"serving {registry.server_port}", flush=True)  # noqa: T201 - what the launcher waits for
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
