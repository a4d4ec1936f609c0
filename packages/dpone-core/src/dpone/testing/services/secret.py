"""A password that is read on purpose and never printed by accident."""

from __future__ import annotations

import secrets
from typing import Never


class Secret:
    """Text that shows as `***`; `reveal()` is the only way to it, so that every use can be found by searching."""

    # not a Struct: msgspec.to_builtins() would walk into it
    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def generate(cls) -> Secret:
        """A new random password: letters and digits of three classes, which every engine's password policy accepts."""
        return cls(f"Dp1{secrets.token_hex(16)}")

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and secrets.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Secret:
        return self

    def __reduce__(self) -> Never:
        # a pickle would carry it in clear to wherever the pickle goes
        message = "a Secret is not pickled; resolve it again where it is needed"
        raise TypeError(message)
