"""Why the way to SQL Server is not trusted: TLS begins within TDS, and so a client of TDS has to try it."""

from __future__ import annotations

import socket
import ssl
import struct

from dpone.errors import RemoteError
from dpone.tls import certificates_in, check_certificate, distrusted, not_trusted
from dpone_mssql.config import MssqlConfig
from dpone_mssql.faults import Side

_HEADER = 8
_PRELOGIN, _LAST = 0x12, 0x01  # a packet's type; its status where no more follows
_VERSION, _ENCRYPTION, _END = 0x00, 0x01, 0xFF  # what a prelogin says
_ON, _NOT_SUPPORTED = b"\x01", 2
# the places and lengths of the two options, and behind them: no version, and that we want all to be encrypted
_HELLO = struct.pack(">BHHBHHB", _VERSION, 11, 6, _ENCRYPTION, 17, 1, _END) + bytes(6) + _ON
_HINT = (
    "let the server have a certificate that this system trusts for the host, name its host as `certificate_host` or "
    "the certificate itself as `certificate`; `tls: trust` goes without, and then anybody on the way can read"
)


def refused_trust(config: MssqlConfig, side: Side) -> RemoteError | None:
    """Why TLS stands between us and the server; None when it is something else, or nobody can tell from here."""
    pinned = config.certificate
    if pinned is not None:
        check_certificate(config.label, pinned)
    if config.tls_mode not in {"verify", "strict"} or config.instance is not None:
        return None
    context, name = ssl.create_default_context(), config.certificate_host or config.host
    if pinned is not None:  # which is compared, whoever vouches for it
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    shown: list[bytes] = []

    def shake(way: socket.socket) -> bool:
        found = (_shown if config.tls_mode == "strict" else _shown_within_tds)(way, context, name)
        shown.extend([] if found is None else [found])
        return found is not None

    why = distrusted((config.host, config.port or 1433), shake)
    if why is None and pinned is not None and shown and shown[0] not in certificates_in(pinned):
        why = f"its certificate is not that in {pinned}"
    return None if why is None else not_trusted(side, config.label, why, _HINT)


def _shown(way: socket.socket, context: ssl.SSLContext, name: str) -> bytes | None:
    """The server's certificate, by TLS from the first byte on."""
    with context.wrap_socket(way, server_hostname=name) as tls:
        return tls.getpeercert(binary_form=True)


def _shown_within_tds(way: socket.socket, context: ssl.SSLContext, name: str) -> bytes | None:
    """The server's certificate; None where it offers no TLS."""
    _send(way, _HELLO)
    if _encryption(_answer(way)) == _NOT_SUPPORTED:
        return None
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(coming, going, server_hostname=name)
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            _send(way, going.read())
            coming.write(_answer(way))
        else:
            return tls.getpeercert(binary_form=True)


def _encryption(said: bytes) -> int:
    """What a prelogin says about encryption."""
    for at in range(0, len(said) - 5, 5):
        if said[at] == _ENCRYPTION:
            (place,) = struct.unpack_from(">H", said, at + 1)
            return said[place] if place < len(said) else _NOT_SUPPORTED
        if said[at] == _END:
            break
    raise ConnectionError  # it is no server of TDS


def _send(way: socket.socket, data: bytes) -> None:
    way.sendall(struct.pack(">BBHHBB", _PRELOGIN, _LAST, _HEADER + len(data), 0, 0, 0) + data)


def _answer(way: socket.socket) -> bytes:
    """What the server says next, all packets of it."""
    said = b""
    while True:
        _, status, length = struct.unpack(">BBH", _exactly(way, _HEADER)[:4])
        said += _exactly(way, max(0, length - _HEADER))
        if status & _LAST:
            return said


def _exactly(way: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = way.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data
