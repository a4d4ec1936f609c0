"""200 manifests of the guides, each damaged by somebody: an answer in words, no secret in it, and nothing touched."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dpone.cli import main

GUIDES = Path(__file__).parents[2] / "docs/how-to"
DAMAGED = 200
CANARY = "c4n4ry-in-a-password"
CONNECTIONS = ("shop", "dwh", "lake", "events", "api", "log")
WORDS = (
    '"; DROP TABLE orders; --',
    "'; SELECT pg_sleep(60); --",
    "../../../../etc/passwd",
    "${file:/etc/shadow}",
    "${env:HOME}",
    "${env:DPONE_CONN_SHOP}",
    "!!python/object/apply:os.system ['touch owned']",
    "&a [*a]",
    "*nothing",
    "{" * 500,
    "[" * 500 + "]" * 500,
    "\x00",
    "\u202e\u2028",
    "9" * 400,
    "1e999",
    ".nan",
    "~",
    "true",
    "2026-99-99",
    "x" * 70_000,
    "a: b: c",
    "- - -",
    "\t",
    "<<: *defaults",
    "? {}",
)


def originals() -> list[str]:
    pages = sorted(GUIDES.glob("*-to-*.md"))
    return [
        text for page in pages for text in re.findall(r"```yaml\n(version: 1\n.*?)```", page.read_text(), re.DOTALL)
    ]


def value(text: str, pick: random.Random) -> str:
    """Another value stands behind a key."""
    spots = list(re.finditer(r"(?<=: )[^{}\[\],\n]+", text))
    spot = pick.choice(spots)
    return text[: spot.start()] + pick.choice(WORDS) + text[spot.end() :]


def key(text: str, pick: random.Random) -> str:
    spot = pick.choice(list(re.finditer(r"\b[a-z_]+(?=:)", text)))
    name = pick.choice([spot[0] + "s", spot[0][:-1], spot[0].upper(), "__class__", "'; DROP TABLE x; --"])
    return text[: spot.start()] + name + text[spot.end() :]


def line(text: str, pick: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    at = pick.randrange(len(lines))
    match pick.randrange(4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(pick.randrange(len(lines)), lines[at])
        case 2:
            lines[at] = "    " + lines[at]
        case _:
            lines.insert(at, pick.choice(WORDS) + "\n")
    return "".join(lines)


def characters(text: str, pick: random.Random) -> str:
    at = pick.randrange(len(text))
    return text[:at] + pick.choice(["{", "}", ":", '"', "#", "\x07", "\ufeff", "\r", "é", ""]) + text[at + 1 :]


def bomb(text: str, _pick: random.Random) -> str:
    """Nine levels of nine references: a billion of them, if they were written out."""
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(["l0: &l0 [x]", *levels, text])


WAYS: tuple[Callable[[str, random.Random], str], ...] = (value, value, key, line, characters)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every connection that the guides name, at a port where nobody listens."""
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("DPONE_")]:
        monkeypatch.delenv(name)
    found = "".join(originals())
    names = sorted(set(re.findall(r"type: (\w+), connection: (\w+)|connection: (\w+), type: (\w+)", found)))
    for kind, name, other_name, other_kind in names:
        scheme = kind or other_kind
        monkeypatch.setenv(f"DPONE_CONN_{(name or other_name).upper()}", f"{scheme}://me:{CANARY}@127.0.0.1:1/d")
    return tmp_path


@pytest.mark.timeout(300)
def test_damaged_manifests_are_answered_in_words(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = originals()
    assert len(texts) == 200
    manifest = project / "damaged.yaml"
    refused = 0
    for number in range(DAMAGED):
        pick = random.Random(number)
        way = bomb if number % 50 == 0 else pick.choice(WAYS)
        manifest.write_bytes(way(texts[number], pick).encode(errors="surrogatepass"))
        with pytest.raises(SystemExit) as ended:
            main(["check", "damaged.yaml"])
        out, err = capsys.readouterr()
        about = f"{number} ({way.__name__}): {ended.value.code}\n{out}{err}"[:2000]
        assert ended.value.code in {None, 0, 2}, about
        assert "Traceback" not in out + err, about
        assert "internal error" not in err, about
        assert CANARY not in out + err, about
        assert "root:" not in out + err, about
        if ended.value.code == 2:
            refused += 1
            assert err.strip(), about
        assert [path.name for path in project.iterdir()] == ["damaged.yaml"], about
    assert refused > DAMAGED / 2
