"""200 documents that somebody damaged, at random but the same ones each time: red, and nothing else is touched."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpone.testing.shop import Dpone
from evidence.conftest import (
    BASELINE,
    CHAINS,
    DBT,
    EVIDENCE,
    LINEAGE,
    REPLAY,
    REPORT,
    STRATEGY,
    SUITES,
    World,
    full,
    summary,
)

DAMAGED = 200
JUDGED = (REPORT, BASELINE, LINEAGE, DBT, STRATEGY, EVIDENCE)
RELEASED = (REPORT, REPLAY, STRATEGY, *SUITES.values(), *(f"{f}/evidence_chain_index.json" for f in CHAINS.values()))
CANARY = "c4n4ry-of-the-reader"
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    -1,
    10**400,
    "",
    CANARY * 1000,
    "../../../../etc/passwd",
    "/etc/passwd",
    "<script>alert(1)</script>",
    "\x00\u202e\ud800",
    "${env:HOME}",
    [],
    {},
    [[[[[]]]]],
    {"passed": True},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inside for place in places(one, (*path, key)))]


def inside(document: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        document = document[key]
    return document


def exchanged(text: str, pick: random.Random) -> bytes:
    """Another value stands somewhere."""
    document = json.loads(text)
    *above, last = pick.choice([p for p in places(document) if p])
    holder = inside(document, tuple(above))
    holder[last] = pick.choice([v for v in VALUES if v != holder[last]])
    return json.dumps(document).encode(errors="surrogatepass")


def dropped(text: str, pick: random.Random) -> bytes:
    document = json.loads(text)
    *above, last = pick.choice([p for p in places(document) if p])
    del inside(document, tuple(above))[last]
    return json.dumps(document).encode()


def renamed(text: str, pick: random.Random) -> bytes:
    document = json.loads(text)
    *above, last = pick.choice([p for p in places(document) if p and isinstance(p[-1], str)])
    holder = inside(document, tuple(above))
    holder[pick.choice(["__proto__", "Passed", "passed ", "x" * 9999, CANARY])] = holder.pop(last)
    return json.dumps(document).encode()


def doubled(text: str, pick: random.Random) -> bytes:
    """A key stands twice, and readers differ on which of them counts."""
    name: str = pick.choice([*json.loads(text)])
    return ('{"' + name + '": true, ' + text.lstrip()[1:]).encode()


def no_number(text: str, pick: random.Random) -> bytes:
    document = json.loads(text)
    *above, last = pick.choice([p for p in places(document) if p])
    inside(document, tuple(above))[last] = "@@"
    changed: str = json.dumps(document)
    return changed.replace('"@@"', pick.choice(["NaN", "-Infinity", "1e999", "01", "0x1f"])).encode()


def cut(text: str, pick: random.Random) -> bytes:
    return text.encode()[: pick.randrange(len(text) - 2)]


def flipped(text: str, pick: random.Random) -> bytes:
    """One bit of one byte that means something is another."""
    data = bytearray(text.encode())
    at = pick.choice([i for i, byte in enumerate(data) if chr(byte).isalnum()])
    data[at] ^= 1 << pick.randrange(5)
    return bytes(data)


def buried(_text: str, pick: random.Random) -> bytes:
    deep = pick.choice([100, 5_000, 100_000])
    return b"[" * deep + b"]" * deep


def foreign(text: str, pick: random.Random) -> bytes:
    found: bytes = pick.choice(
        [
            b"",
            b"null",
            b"[]",
            b"{}",
            b"\xff\xfe\x00",
            b"\x00" * 4096,
            text.encode("utf-16"),
            b"{}" + text.encode(),
            b"--- !!python/object/apply:os.system ['touch owned']",
        ]
    )
    return found


WAYS: tuple[Callable[[str, random.Random], bytes], ...] = (
    exchanged,
    exchanged,
    dropped,
    renamed,
    doubled,
    no_number,
    cut,
    flipped,
    buried,
    foreign,
)


ANSWERS = ("test_artifacts/certification/", "test_artifacts/release")  # where the commands themselves write


def evidence(folder: Path) -> dict[str, str]:
    """What each document holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and (path.name.endswith("__behavior.json") or not str(path.relative_to(folder)).startswith(ANSWERS))
    }


@pytest.mark.timeout(600)
def test_damaged_documents_are_red_and_change_nothing(world: World, call: Dpone) -> None:
    """Each with the key, as a release manager reads them: a changed byte is a changed document."""
    key = ("--public-key", str(world.public))
    assert call(*summary(*key)).code == 0
    before = evidence(world.folder)
    missed = []
    for number in range(DAMAGED):
        pick = random.Random(number)
        command, judged = (full(), JUDGED) if number % 2 else (summary(*key), RELEASED)
        way, path = WAYS[number // 2 % len(WAYS)], world / pick.choice(judged)
        good = path.read_text(encoding="utf-8")
        path.write_bytes(way(good, pick))
        same = _means_the_same(path, good)
        try:
            answer = call(*command)
        finally:
            path.write_text(good, encoding="utf-8")
        about = f"{number}: {way.__name__} in {path.name}: {answer.code} {answer.out[:300]} {answer.err[:300]}"
        assert answer.code in {0, 1, 2}, about
        assert CANARY * 2 not in answer.out + answer.err, about
        if answer.code == 0 and not same:
            missed.append(about)
    assert not missed, "\n".join(missed)
    after = evidence(world.folder)
    assert {path: after.get(path) for path in before} == before
    assert not list(world.folder.rglob("owned"))


def _means_the_same(path: Path, good: str) -> bool:
    try:
        return bool(json.loads(path.read_bytes()) == json.loads(good))
    except (ValueError, RecursionError):
        return False
