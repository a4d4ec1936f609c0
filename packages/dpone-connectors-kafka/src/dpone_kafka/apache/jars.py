"""Apache's jars: fetched once by Maven, kept beside the other programs that tests run, found there ever after."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from dpone.errors import RemoteError, UsageError
from dpone.testing.services.scratch import scratch_root

VERSION = "4.1.0"  # compose.yaml names the same
_JAVA = 17  # what this version's server runs on at least
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_PATIENCE = 900  # seconds for some 45 MB
_TAIL = 2_000
_SAID = re.compile(r'version "(?:1\.)?(\d+)')
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dpone</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""


def why_unavailable() -> str | None:
    """What is missing on this machine for the Apache Kafka; None when nothing is. Nothing is started to find out."""
    if shutil.which("java") is None:
        return "there is no `java` on PATH"
    if not kept().is_dir() and shutil.which("mvn") is None:
        return f"{kept()} is not there, and no `mvn` on PATH to fetch it"
    return None


def kept() -> Path:
    """Where the jars are once they were fetched."""
    return scratch_root(None) / f"binaries-kafka-{VERSION}"


def java() -> str:
    """A Java that runs this version's server."""
    found = shutil.which("java")
    if found is None:
        raise _lacks("there is no `java` on PATH")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)  # noqa: S603 - found on PATH
    said = _SAID.search(told.stderr + told.stdout)
    if said is None or int(said[1]) < _JAVA:
        raise _lacks(f"{found} is version {said[1] if said else 'unknown'}")
    return found


def jars() -> Path:
    """The folder of all jars that the server is made of, their checksums verified when they were fetched."""
    folder = kept()
    if folder.is_dir():
        return folder
    mvn = shutil.which("mvn")
    if mvn is None:
        raise UsageError(
            "Apache Kafka's jars are not on this machine, and no `mvn` on PATH to fetch them from Maven Central",
            code="service.no_maven",
            hint="install Maven, or use another provider: emulated, docker, given",
        )
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder.parent))
    try:
        _fetch(mvn, unfinished)
        (unfinished / "jars").rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process finished the same first
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _fetch(mvn: str, folder: Path) -> None:
    (folder / "pom.xml").write_text(_POM, "utf-8")
    asked = [mvn, "--batch-mode", "--strict-checksums", "--quiet", _PLUGIN, "-DincludeScope=runtime"]
    try:
        done = subprocess.run(  # noqa: S603 - found on PATH, with words of our own
            [*asked, f"-DoutputDirectory={folder / 'jars'}"],
            cwd=folder,
            env=dict(os.environ),  # proxies and mirrors are the machine's business
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _unfetched(f"nothing after {_PATIENCE} s") from None
    if done.returncode:
        raise _unfetched((done.stdout + done.stderr)[-_TAIL:].strip())


def _lacks(found: str) -> UsageError:
    return UsageError(
        f"Apache Kafka {VERSION} needs Java {_JAVA} or newer; {found}",
        code="service.no_java",
        hint="install a Java runtime, or use another provider: emulated, docker, given",
    )


def _unfetched(said: str) -> RemoteError:
    return RemoteError(
        f"Maven could not fetch Apache Kafka {VERSION}:\n{said}",
        code="service.no_jars",
        hint="check that Maven Central, or the mirror in Maven's settings, can be reached",
        retryable=True,
    )
