"""`python -m dpone_kafka.emulator FOLDER BROKER_PORT REGISTRY_PORT` serves both until it is ended."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

from dpone_kafka.emulator.broker import Broker
from dpone_kafka.emulator.http import serving
from dpone_kafka.emulator.registry import Registry


async def serve(folder: Path, broker_port: int, registry_port: int) -> None:
    """Both answer, and say so; they end with the process."""
    broker = Broker(folder, port=broker_port)
    registry = serving(Registry(folder / "registry.json"), registry_port)
    server = await broker.serve()
    threading.Thread(target=registry.serve_forever, daemon=True).start()
    print(f"serving {broker.port} {registry.server_port}", flush=True)  # noqa: T201 - what the launcher waits for
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
