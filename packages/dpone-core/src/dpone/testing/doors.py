"""A door where TLS is spoken, before a server of this machine that speaks none: what comes through is passed on."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

_LOOPBACK = "127.0.0.1"
_PIECE = 1 << 16


@contextmanager
def tls_door(
    to: tuple[str, int],
    identity: tuple[Path, Path],
    *,
    clients: Path | None = None,
    greet: Callable[[socket.socket], None] | None = None,
) -> Iterator[int]:
    """The port of the door. It shows the certificate of `identity`, lets in only who shows one of the authority
    `clients`, where one is given, and greets first where the protocol begins in clear.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*identity)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED

    def serve(guest: socket.socket) -> None:
        with suppress(OSError), guest:
            if greet is not None:
                greet(guest)
            with context.wrap_socket(guest, server_side=True) as way, socket.create_connection(to) as server:
                _pass_on(way, server)

    def watch() -> None:
        with suppress(OSError):  # the door is closed
            while True:
                threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()

    with socket.create_server((_LOOPBACK, 0)) as door:
        threading.Thread(target=watch, daemon=True).start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)


def _pass_on(way: ssl.SSLSocket, server: socket.socket) -> None:
    """All that either says is heard by the other, until one of them has no more to say."""
    with DefaultSelector() as ready:  # and not `select`, which knows no file beyond the 1024th
        ready.register(way, EVENT_READ, (way, server))
        ready.register(server, EVENT_READ, (server, way))
        while True:
            for one, other in [(way, server)] if way.pending() else [key.data for key, _ in ready.select()]:
                data = one.recv(_PIECE)
                if not data:
                    return
                other.sendall(data)
