"""What bcp is given: every value whole, and no secret where another process could see it. A stand-in plays bcp."""

from __future__ import annotations

import json
import select
import sys
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

from dpone.errors import DataError, DponeError, MissingPackage, PlanError, RemoteError
from dpone.testing.fixtures import crowd
from dpone_mssql import bcp
from dpone_mssql.arrow_text import spelled
from dpone_mssql.bcp import bcp_copy, command, format_file, login
from dpone_mssql.config import MssqlConfig
from dpone_mssql.session import Connection

__all__ = ["crowd"]

CANARY = "cAnArY } -71"
FAKE = """#!{python}
import getpass, json, os, struct, sys
table, way, data, *rest = sys.argv[1:]
options = dict(zip(rest[::1], rest[1:], strict=False))
typed = getpass.getpass("Password:") if "-U" in rest and "-P" not in rest else None
lines = open(options["-f"]).read().splitlines()
kinds = [line.split()[1] for line in lines[2:]]
body, rows, at = open(data, "rb").read(), [], 0
while at < len(body):
    row = []
    for kind in kinds:
        (size,) = struct.unpack_from("<q", body, at)
        at += 8
        value = None if size < 0 else body[at : at + size]
        at += max(size, 0)
        row.append(None if value is None else value.hex() if kind == "SQLBINARY" else value.decode("utf-16-le"))
    rows.append(row)
told = {{"argv": sys.argv[1:], "environ": dict(os.environ), "typed": typed, "rows": rows, "files": lines[:2]}}
open({told!r}, "w").write(json.dumps(told))
{end}
"""


class Session:
    """As much of a connection as bcp needs."""

    label = "db.example.org:1433/shop"

    def __init__(self, config: MssqlConfig) -> None:
        self.config = config
        self.ran: list[str] = []

    def run(self, text: str) -> int:
        self.ran.append(text)
        return 0


def config(**given: object) -> MssqlConfig:
    return MssqlConfig.model_validate({"host": "db.example.org", "database": "shop", **given})


def by_login(**given: object) -> MssqlConfig:
    return config(user="me", password=CANARY, **given)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in, which is on the PATH, tells what it was given."""
    _stand_in(tmp_path, 'print(f"{len(rows)} rows copied.")')
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "told.json"


def _stand_in(folder: Path, end: str) -> None:
    path = folder / "bcp"
    path.write_text(FAKE.format(python=sys.executable, told=str(folder / "told.json"), end=end))
    path.chmod(0o755)


ROWS = pa.RecordBatch.from_arrays(
    [
        pa.array([1, None], pa.int64()),
        pa.array(["", "tab\tline\nnul\0end 😀"], pa.string()),
        pa.array([b"\0\xff", None], pa.binary()),
        pa.array([Decimal("0.0000001"), Decimal("-12.5000000")], pa.decimal128(38, 7)),
    ],
    names=["a", "b", "c", "d"],
)


def _send(session: Session, batch: Any = ROWS) -> None:
    with bcp_copy(cast("Connection", session), "[dbo].[or'ders]", batch.schema.names) as copy:
        copy.send(batch)
        copy.send(batch)


def test_every_value_arrives_whole_and_the_table_is_locked(told: Path) -> None:
    session = Session(config(auth="windows"))
    _send(session)
    found = json.loads(told.read_text())
    first = ["1", "", "00ff", "0.0000001"], [None, "tab\tline\nnul\0end 😀", None, "-12.5000000"]
    assert found["rows"] == [*first, *first]
    assert session.ran == ["EXEC sp_tableoption N'[dbo].[or''ders]', N'table lock on bulk load', N'ON'"]
    assert "-T" in found["argv"]
    assert not Path(found["argv"][2]).exists(), "the file with the rows is gone"


def test_a_password_is_typed_and_stands_nowhere_else(told: Path) -> None:
    _send(Session(by_login()))
    found = json.loads(told.read_text())
    assert found["typed"] == CANARY
    assert CANARY not in json.dumps([found["argv"], found["environ"]])
    assert "-P" not in found["argv"]


def test_a_password_is_typed_in_a_process_with_more_open_files_than_select_knows(told: Path, crowd: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        select.select([crowd], [], [], 0)
    _send(Session(by_login()))
    assert json.loads(told.read_text())["typed"] == CANARY


@pytest.mark.parametrize(
    "end, kind, code",
    [
        ('print("SQLState = 28000, NativeError = 18456"); sys.exit(1)', RemoteError, "sink.login_refused"),
        ('print("SQLState = 22001, NativeError = 2628"); sys.exit(1)', DataError, "sink.rejected_rows"),
        ('print(f"{len(rows) - 1} rows copied.")', RemoteError, "sink.bulk_copy_failed"),
        ("sys.exit(3)", RemoteError, "sink.bulk_copy_failed"),
    ],
)
def test_what_goes_wrong_has_its_name_and_no_value(told: Path, end: str, kind: type[DponeError], code: str) -> None:
    _stand_in(told.parent, f"print('said', repr(typed), rows); {end}")
    with pytest.raises(kind) as caught:
        _send(Session(by_login()))
    assert caught.value.code == code
    assert CANARY not in f"{caught.value!r} {caught.value} {caught.value.context}"
    assert "tab" not in f"{caught.value!r} {caught.value.context}"


def test_without_bcp_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPackage) as caught:
        _send(Session(by_login()))
    assert "bcp" in str(caught.value)


def test_tls_and_instances_are_said_as_the_connection_has_them(tmp_path: Path) -> None:
    def said(of: MssqlConfig) -> list[str]:
        return command(of, "[dbo].[t]", tmp_path, login(of, tmp_path))

    assert said(by_login())[3:9] == ["-S", "db.example.org,1433", "-d", "shop", "-U", "me"]
    assert "-Ym" in said(by_login())
    assert "-u" not in said(by_login())
    assert {"-Ym", "-u"} <= set(said(by_login(tls="trust")))
    assert "-Ys" in said(by_login(tls="strict"))
    assert "-Yo" in said(by_login(tls="off"))
    assert "db.example.org\\SQL2" in said(by_login(instance="SQL2"))
    assert said(config(auth="entra_password", user="me", password=CANARY))[7:10] == ["-G", "-U", "me"]
    for refused in (by_login(certificate="/pinned.pem"), by_login(certificate_host="other")):
        with pytest.raises(PlanError) as caught:
            said(refused)
        assert caught.value.code == "sink.no_bcp"


def test_an_access_token_is_a_file_for_us_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bcp, "_token", lambda _: CANARY)
    known = login(config(auth="entra_default"), tmp_path)
    assert known.arguments == ("-G", "-P", str(tmp_path / "token"))
    assert (tmp_path / "token").read_bytes().decode("utf-16-le") == CANARY
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    monkeypatch.undo()
    with pytest.raises(PlanError) as caught:
        login(config(auth="entra_service_principal", user="app", password=CANARY), tmp_path / "other")
    assert caught.value.code == "sink.no_bcp"


def test_a_format_file_gives_each_column_its_length() -> None:
    assert format_file([False, True]) == '13.0\n2\n1 SQLNCHAR 8 0 "" 1 c1 ""\n2 SQLBINARY 8 0 "" 2 c2 ""\n'


@pytest.mark.parametrize(
    "values, of, texts",
    [
        ([True, False, None], pa.bool_(), ["1", "0", None]),
        ([time(1, 2, 3, 400000)], pa.time64("us"), ["01:02:03.400000"]),
        ([3_723_000_000_100], pa.time64("ns"), ["01:02:03.0000001"]),
        ([datetime.fromisoformat("0001-01-01T00:00:00.000001")], pa.timestamp("us"), ["0001-01-01 00:00:00.000001"]),
        ([1_700_000_000_000_000_100], pa.timestamp("ns"), ["2023-11-14 22:13:20.0000001"]),
        (
            [datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC)],
            pa.timestamp("us", tz="UTC"),
            ["2024-05-06 07:08:09.000010 +00:00"],
        ),
        ([1e300, 0.1, -0.0], pa.float64(), ["1e+300", "0.1", "-0"]),
        ([Decimal("0E-10")], pa.decimal128(38, 10), ["0.0000000000"]),
    ],
)
def test_a_value_is_spelled_with_all_its_digits(values: list[object], of: Any, texts: list[str | None]) -> None:
    column = (
        pa.array(values, of)
        if not isinstance(values[0], int) or of == pa.bool_()
        else pa.array(values, pa.int64()).cast(of)
    )
    assert spelled(column) == texts


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_float_that_no_column_holds_is_refused(told: Path, value: float) -> None:
    del told
    with pytest.raises(DataError) as caught:
        _send(Session(by_login()), pa.RecordBatch.from_arrays([pa.array([value])], names=["a"]))
    assert caught.value.code == "sink.rejected_rows"
