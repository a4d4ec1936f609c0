"""What is certified has one digest wherever it is installed, and another as soon as one of its files differs."""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path

import pytest

from dpone.evidence.subject import digest_of

WHEEL = "dpone/__init__.py,sha256=abc,10\ndpone_core-0.1.0.dist-info/METADATA,sha256=def,20\n"
HERE = """\
../../../bin/dpone,sha256=111,300
dpone_core-0.1.0.dist-info/INSTALLER,sha256=222,2
dpone_core-0.1.0.dist-info/RECORD,,
dpone_core-0.1.0.dist-info/direct_url.json,sha256=333,90
dpone/__pycache__/__init__.cpython-311.pyc,,
"""


def installed(folder: Path, record: str | None) -> Distribution:
    info = folder / "dpone_core-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: dpone-core\nVersion: 0.1.0\n")
    if record is not None:
        (info / "RECORD").write_text(record)
    return Distribution.at(info)


def test_where_and_how_it_was_installed_changes_nothing(tmp_path: Path) -> None:
    one = digest_of(installed(tmp_path / "one", WHEEL))
    other = digest_of(installed(tmp_path / "other", HERE + "".join(sorted(WHEEL.splitlines(keepends=True)))))
    assert one == other is not None


@pytest.mark.parametrize(
    "record",
    [
        WHEEL.replace("abc", "abd"),
        WHEEL.replace("def", "deg"),
        WHEEL + "dpone/more.py,sha256=1,1\n",
        WHEEL.replace("dpone/__init__", "dpone/other"),
    ],
    ids=["a file", "the metadata", "one more", "a name"],
)
def test_another_file_is_another_subject(tmp_path: Path, record: str) -> None:
    assert digest_of(installed(tmp_path / "one", WHEEL)) != digest_of(installed(tmp_path / "other", record))


def test_what_has_no_record_has_no_digest(tmp_path: Path) -> None:
    assert digest_of(installed(tmp_path, None)) is None
