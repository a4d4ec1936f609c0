"""`n/m`: one of several parts that processes of their own carry out, each told its number and nothing of the others."""

from __future__ import annotations

import hashlib
import re

from msgspec import Struct

from dpone.errors import UsageError


class Shard(Struct, frozen=True):
    """The `part`-th of `parts`."""

    part: int = 1
    parts: int = 1

    def __str__(self) -> str:
        return f"{self.part}/{self.parts}"

    def takes(self, name: str) -> bool:
        """True when what bears this name is of this part; of the parts exactly one takes it, whatever else there is."""
        digest = hashlib.sha256(name.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.parts == self.part - 1


WHOLE = Shard()


def shard_of(text: str) -> Shard:
    """`2/3` as the second of three parts."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", text)
    part, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= part <= parts:
        raise UsageError(
            f"--shard: not a part: {text!r}",
            code="shard.malformed",
            hint="write --shard 1/4, --shard 2/4, ... for each part of four",
        )
    return Shard(part, parts)
