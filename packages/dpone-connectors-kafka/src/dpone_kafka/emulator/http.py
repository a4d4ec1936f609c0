"""The registry over HTTP; `python -m dpone_kafka.emulator.http FILE PORT` serves it alone until it is ended."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from dpone_kafka.emulator.registry import Registry


def serving(registry: Registry, port: int = 0) -> ThreadingHTTPServer:
    """A server on loopback, whose `serve_forever` answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # both together: 1,000 requests a second instead of 23
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, answer = registry.answer(self.command, self.path, json.loads(raw or b"{}"))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = do_any  # noqa: N815 - what the base looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base gave it
            """Nothing is logged of what is asked."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    server = serving(Registry(Path(sys.argv[1])), int(sys.argv[2]))
    print(f"serving {server.server_port}", flush=True)  # noqa: T201 - what the launcher waits for
    server.serve_forever()
