"""When two bags of rows are the same: a digest for each row, one checksum for all, and the first rows that differ."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from dpone_certify.certification.document import CheckName, Difference

SHOWN = 20  # differing rows that an artifact holds
_CUT = 200  # characters of a value that an artifact holds

R = TypeVar("R", bound=Hashable)
Shown = Callable[[R], dict[str, str]]


class Comparison(Struct, frozen=True):
    """Two bags of rows, counted and summed; `differing` are the first rows that are in one of them alone."""

    expected_rows: int
    actual_rows: int
    expected_checksum: str
    actual_checksum: str
    differing: tuple[Difference, ...] = ()

    @property
    def is_same(self) -> bool:
        return not self.differing and self.expected_checksum == self.actual_checksum


class Digests(Generic[R]):
    """The digest of each row, remembered: the same row has the same one wherever it is met."""

    def __init__(self) -> None:
        self._known: dict[R, bytes] = {}

    def checksum(self, rows: Iterable[R]) -> str:
        """One SHA-256 over the sorted digests of all rows, twins and all."""
        known = self._known
        found = []
        for row in rows:
            digest = known.get(row)
            if digest is None:
                digest = known[row] = digest_of(row)
            found.append(digest)
        found.sort()
        return hashlib.sha256(b"".join(found)).hexdigest()


def digest_of(row: object) -> bytes:
    return hashlib.sha256(repr(row).encode()).digest()


def compare(
    check: CheckName,
    expected: Sequence[R],
    actual: Sequence[R],
    digests: Digests[R],
    shown: Shown[R],
    key: Sequence[str],
) -> Comparison:
    """Row by row, whatever their order."""
    wanted, found = Counter(expected), Counter(actual)
    differing: tuple[Difference, ...] = ()
    if wanted != found:
        differing = tuple(_differences(check, wanted - found, found - wanted, shown, key))
    return Comparison(len(expected), len(actual), digests.checksum(expected), digests.checksum(actual), differing)


def _differences(
    check: CheckName, missing: Counter[R], unexpected: Counter[R], shown: Shown[R], key: Sequence[str]
) -> Iterable[Difference]:
    """The first rows of each kind; two rows of one key are one difference."""
    lost = [shown(row) for row in list(missing.elements())[:SHOWN]]
    extra = [shown(row) for row in list(unexpected.elements())[:SHOWN]]
    for row in lost:
        twin = next((e for e in extra if key and all(e.get(c) == row.get(c) for c in key)), None)
        if twin is not None:
            extra.remove(twin)
            names = [n for n in dict.fromkeys((*row, *twin)) if row.get(n) != twin.get(n)]
            yield _difference(check, f"differs in {', '.join(names[:5])}", row, twin, key)
        else:
            yield _difference(check, "missing", row, None, key)
    for row in extra:
        yield _difference(check, "unexpected", None, row, key)


def _difference(
    check: CheckName, kind: str, expected: dict[str, str] | None, found: dict[str, str] | None, key: Sequence[str]
) -> Difference:
    some = expected or found or {}
    return Difference(
        check=check,
        kind=kind,
        key=tuple(some.get(c, "") for c in key),
        expected=None if expected is None else {n: v[:_CUT] for n, v in expected.items()},
        found=None if found is None else {n: v[:_CUT] for n, v in found.items()},
    )
