"""Names of tables as people write them: dotted parts, double quotes where a part holds a dot, a space or a quote."""

from __future__ import annotations

import re

from dpone.errors import PlanError, UsageError

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def too_long(where: str, name: str, length: int, most: int) -> PlanError:
    """An error of a name that would have to be cut."""
    return PlanError(
        f"{where} takes names of at most {most}, and {name!r} has {length}",
        code="plan.identifier_too_long",
        hint="give the column or table a shorter name; it is never cut, because two names could become one",
    )


def parse_name(text: str) -> tuple[str, ...]:
    """`raw."or.ders"` is ("raw", "or.ders")."""
    parts: list[str] = []
    at = 0
    while True:
        found = _PART.match(text, at)
        if not found:
            raise UsageError(
                f"not a table name: {text!r}",
                code="manifest.invalid_name",
                hint='write schema.table; put a part that holds a dot in double quotes: raw."or.ders"',
            )
        quoted, plain = found.groups()
        parts.append(quoted.replace('""', '"') if quoted is not None else plain)
        at = found.end()
        if at == len(text):
            return tuple(parts)
        if text[at] != ".":
            at = len(text)  # anything but a dot after a part is refused by the next round
            continue
        at += 1


def print_name(parts: tuple[str, ...]) -> str:
    """The spelling that `parse_name` reads back."""
    return ".".join('"' + p.replace('"', '""') + '"' if _needs_quotes(p) else p for p in parts)


def _needs_quotes(part: str) -> bool:
    return not part or "." in part or '"' in part
