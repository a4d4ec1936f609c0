"""The collations that the emulator knows, each by the five bytes and the code page that stand for it on the wire.

PostgreSQL keeps no zero character and no half of a surrogate pair, and nvarchar does: they are kept as characters for
private use.
"""

from __future__ import annotations

import re

DEFAULT, BINARY, CYRILLIC = "SQL_Latin1_General_CP1_CI_AS", "Latin1_General_100_BIN2", "Cyrillic_General_CI_AS"
BYTES = {
    DEFAULT: bytes.fromhex("0904d00034"),
    BINARY: bytes.fromhex("0904002200"),
    CYRILLIC: bytes.fromhex("1904d00000"),
}
_ZERO, _SURROGATES = "\U0010fffd", 0x100000
_PRIVATE = re.compile("[\U0010d800-\U0010dfff\U0010fffd]")
_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")


def suffix(collation: str) -> str:
    """What stands behind the name of a text type of this collation; an unknown one is an error of its own."""
    wanted = {name.lower(): name for name in BYTES}.get(collation.lower())
    if wanted is None:
        raise LookupError(collation)
    return {DEFAULT: "", BINARY: "_bin", CYRILLIC: "_cyr"}[wanted]


def page(collation: bytes) -> str:
    return "cp1251" if collation[:2] == b"\x19\x04" else "cp1252"


def kept(text: str) -> str:
    """The text as PostgreSQL can keep it."""
    if _IMPOSSIBLE.search(text) is None:
        return text
    return _IMPOSSIBLE.sub(lambda m: _ZERO if m[0] == "\0" else chr(ord(m[0]) + _SURROGATES), text)


def sent(text: str) -> bytes:
    """Kept text as UTF-16."""
    if _PRIVATE.search(text) is not None:
        text = _PRIVATE.sub(lambda m: "\0" if m[0] == _ZERO else chr(ord(m[0]) - _SURROGATES), text)
    return text.encode("utf-16-le", "surrogatepass")


def received(data: bytes) -> str:
    """UTF-16 as text to keep."""
    return kept(data.decode("utf-16-le", "surrogatepass"))
