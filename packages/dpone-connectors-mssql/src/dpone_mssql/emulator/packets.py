"""Packets of TDS over one socket, in the clear or within TLS, whose handshake travels in packets itself."""

from __future__ import annotations

import select
import socket
import ssl
import struct

HANDSHAKE = 18
WITHDRAWN = -1  # the kind of a message that its client took back half-way
_ANSWER, _HEAD, _LAST, _IGNORED = 4, 8, 1, 2
_PIECE = 1 << 18


class Packets:
    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._held = bytearray()
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.size = 4096

    @property
    def fileno(self) -> int:
        return self._client.fileno()

    @property
    def is_encrypted(self) -> bool:
        return self._tls is not None

    def encrypt(self, context: ssl.SSLContext) -> None:
        """What follows is within TLS."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        done = False
        while not done:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            if answer := self._outgoing.read():
                self.send(answer, HANDSHAKE)
            if not done:
                self._incoming.write(self.message()[1])
        self._tls = tls

    def message(self) -> tuple[int, bytes]:
        """The next whole message and its kind; ConnectionError when the client is gone."""
        parts = []
        while True:
            kind, status, length = struct.unpack(">BBH", self._exactly(_HEAD)[:4])
            parts.append(self._exactly(length - _HEAD))
            if status & _IGNORED:
                return WITHDRAWN, b""
            if status & _LAST:
                return kind, b"".join(parts)

    def send(self, payload: bytes, kind: int = _ANSWER) -> None:
        room = self.size - _HEAD
        out = bytearray()
        for number, start in enumerate(range(0, max(len(payload), 1), room), start=1):
            piece = payload[start : start + room]
            last = start + room >= len(payload)
            out += struct.pack(">BBHHBB", kind, int(last), len(piece) + _HEAD, 51, number & 255, 0) + piece
        if self._tls is None:
            self._client.sendall(out)
            return
        self._tls.write(out)
        self._client.sendall(self._outgoing.read())

    def is_interrupted(self, timeout: float) -> bool:
        """The client sent something while it waited, which can only be an attention."""
        if self._held or select.select([self._client], [], [], timeout)[0]:
            self.message()
            return True
        return False

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            piece = self._receive()
            if not piece:
                raise ConnectionError
            self._held += piece
        found = bytes(self._held[:size])
        del self._held[:size]
        return found

    def _receive(self) -> bytes:
        if self._tls is None:
            return self._client.recv(_PIECE)
        while True:
            try:
                return self._tls.read(_PIECE)
            except ssl.SSLWantReadError:
                data = self._client.recv(_PIECE)
                if not data:
                    return b""
                self._incoming.write(data)
            except ssl.SSLZeroReturnError:
                return b""
