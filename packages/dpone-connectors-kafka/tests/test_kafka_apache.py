"""What a machine needs for Apache Kafka, and what is said where it has not got it. No Java is started here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dpone.errors import RemoteError, UsageError
from dpone.testing.services.endpoint import Provider
from dpone.testing.services.secret import Secret
from dpone_kafka.apache import jars, settings
from dpone_kafka.apache.__main__ import main
from dpone_kafka.doors import Doors, Identity
from dpone_kafka.testkit import testkit

Program = Callable[[str, str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a script of this name on PATH, where nothing else of ours is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(jars, "kept", lambda: tmp_path / "kept")

    def make(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)

    return make


def test_what_is_missing_is_named_and_the_provider_is_not_offered(program: Program) -> None:
    assert jars.why_unavailable() == "there is no `java` on PATH"
    program("java", "exit 0")
    assert "no `mvn` on PATH" in (jars.why_unavailable() or "")
    assert Provider.EMBEDDED not in testkit.providers()
    program("mvn", "exit 0")
    assert jars.why_unavailable() is None
    assert Provider.EMBEDDED in testkit.providers()
    assert testkit.providers()[0] is Provider.EMULATED, "by default nothing is fetched and no Java started"


def test_jars_that_were_kept_need_no_maven(program: Program) -> None:
    program("java", "exit 0")
    jars.kept().mkdir()
    assert jars.why_unavailable() is None
    assert jars.jars() == jars.kept()


@pytest.mark.parametrize("said", ["", 'openjdk version "11.0.2" 2019-01-15', 'java version "1.8.0_392"'])
def test_java_that_is_not_there_or_too_old_is_refused(program: Program, said: str) -> None:
    if said:
        program("java", f"echo '{said}' >&2")
    with pytest.raises(UsageError) as refused:
        jars.java()
    assert refused.value.code == "service.no_java"
    assert "17" in str(refused.value)


@pytest.mark.parametrize("said", ['openjdk version "17.0.15" 2025-04-15', 'openjdk version "21" 2023-09-19'])
def test_java_that_is_new_enough_is_taken(program: Program, said: str) -> None:
    program("java", f"echo '{said}' >&2")
    assert jars.java().endswith("java")


def test_without_maven_the_error_says_so(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    program("java", """echo 'openjdk version "17"' >&2""")
    with pytest.raises(UsageError) as refused:
        jars.jars()
    assert refused.value.code == "service.no_maven"
    assert main() == 2
    assert "install Maven" in capsys.readouterr().err


def test_what_maven_says_is_handed_on_and_nothing_is_left(program: Program, tmp_path: Path) -> None:
    program("mvn", "echo 'Could not transfer artifact from central' >&2; exit 1")
    with pytest.raises(RemoteError) as refused:
        jars.jars()
    assert refused.value.code == "service.no_jars"
    assert "Could not transfer artifact" in str(refused.value)
    assert not jars.kept().exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_jars_are_fetched_once(program: Program) -> None:
    find = 'for a in "$@"; do case "$a" in -DoutputDirectory=*) d="${a#*=}";; esac; done'
    program("mvn", f'{find}; /bin/mkdir "$d"; echo x >> "$d/a.jar"')
    assert [path.name for path in jars.jars().iterdir()] == ["a.jar"]
    program("mvn", "exit 1")
    assert (jars.jars() / "a.jar").read_text() == "x\n"


def test_the_settings_are_ours_alone_and_on_loopback(tmp_path: Path) -> None:
    doors = Doors({"alice": Secret("p")}, Identity(tmp_path / "s.pem", tmp_path / "a.pem"))
    assert doors.names == ("sasl", "tls", "sasl_tls")
    path = tmp_path / "server.properties"
    ports = {name: number for number, name in enumerate(("broker", *doors.names), 1)}
    settings.write(path, tmp_path / "data", ports, 9, doors)
    assert path.stat().st_mode & 0o077 == 0, "it holds the passwords"
    listeners = next(line for line in path.read_text().splitlines() if line.startswith("listeners="))
    assert [part.partition("//")[2] for part in listeners.partition("=")[2].split(",")] == [
        "127.0.0.1:9",
        *(f"127.0.0.1:{n}" for n in range(1, 5)),
    ]
