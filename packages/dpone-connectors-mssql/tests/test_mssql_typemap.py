from __future__ import annotations

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from dpone.errors import PlanError
from dpone.schema import Field, Kind, Landing, Verdict, parse_type
from dpone.testing.typemaps import EXAMPLES, fields, overclaim
from dpone_mssql.typemap import NATIVES, TYPES

# What only the server can write, or what no wire carries whole, lands as something else in another SQL Server.
NOT_THEMSELVES = {
    "rowversion": Landing("binary(8)", Verdict.WIDENED),
    "sql_variant": Landing("sql_variant", Verdict.LOSSY),
}


@pytest.mark.parametrize("native", NATIVES)
def test_every_native_type_is_read_and_lands_as_itself(native: str) -> None:
    landing = TYPES.land(Field("c", TYPES.read(native), native=f"mssql:{native}"))
    assert replace(landing, why="") == NOT_THEMSELVES.get(native, Landing(native))
    assert TYPES.widens(native, native)
    assert TYPES.widens(f"mssql:{native}", f"mssql:{native}")


@pytest.mark.parametrize("native", NATIVES)
def test_every_native_type_lands_honestly_when_its_spelling_is_lost(native: str) -> None:
    assert overclaim(TYPES, Field("c", TYPES.read(native))) is None


@given(fields())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_verdict_claims_more_than_the_column_holds(field: Field) -> None:
    assert overclaim(TYPES, field) is None


def test_the_check_of_verdicts_catches_a_lie() -> None:
    def narrow(field: Field) -> Landing:
        return Landing("int") if field.type.kind is Kind.INT else TYPES.land(field)

    lying = replace(TYPES, land=narrow)
    assert overclaim(lying, Field("c", parse_type("int32"))) is None
    assert "less than int64" in (overclaim(lying, Field("c", parse_type("int64"))) or "")


def test_a_changed_type_is_not_the_native_one_any_more() -> None:
    cast = Field("c", parse_type("int64"), native="mssql:varchar(10)")
    assert TYPES.land(cast) == Landing("bigint")


@pytest.mark.parametrize(
    "type_, native, verdict",
    [
        ("bool", "bit", Verdict.EXACT),
        ("int8", "smallint", Verdict.WIDENED),
        ("uint8", "tinyint", Verdict.EXACT),
        ("int64", "bigint", Verdict.EXACT),
        ("uint32", "bigint", Verdict.WIDENED),
        ("uint64", "decimal(20,0)", Verdict.WIDENED),  # bigint would lose the upper half
        ("int128", "decimal(38,0)", Verdict.LOSSY),
        ("uint256", "decimal(38,0)", Verdict.LOSSY),
        ("float16", "real", Verdict.WIDENED),
        ("float32", "real", Verdict.EXACT),
        ("float64", "float(53)", Verdict.EXACT),
        ("decimal(38,9)", "decimal(38,9)", Verdict.EXACT),
        ("decimal(76,0)", "decimal(38,0)", Verdict.LOSSY),
        ("decimal(76,38)", "decimal(38,0)", Verdict.LOSSY),
        ("decimal(50,20)", "decimal(38,8)", Verdict.LOSSY),
        ("decimal(2,5)", "decimal(5,5)", Verdict.WIDENED),
        ("decimal", "decimal(38,9)", Verdict.LOSSY),
        ("string", "nvarchar(max)", Verdict.EXACT),
        ("string(2000)", "nvarchar(4000)", Verdict.WIDENED),
        ("string(2001)", "nvarchar(max)", Verdict.WIDENED),
        ("string(8000)", "nvarchar(max)", Verdict.WIDENED),
        ("binary", "varbinary(max)", Verdict.EXACT),
        ("binary(8000)", "varbinary(8000)", Verdict.EXACT),
        ("binary(8001)", "varbinary(max)", Verdict.WIDENED),
        ("date", "date", Verdict.EXACT),
        ("time(6)", "time(6)", Verdict.EXACT),
        ("time(9)", "time(7)", Verdict.LOSSY),
        ("timestamp(7)", "datetime2(7)", Verdict.EXACT),
        ("timestamp(9)", "datetime2(7)", Verdict.LOSSY),
        ("timestamptz(6)", "datetimeoffset(6)", Verdict.EXACT),
        ("timestamptz(9)", "datetimeoffset(7)", Verdict.LOSSY),
        ("uuid", "uniqueidentifier", Verdict.EXACT),
        ("json", "nvarchar(max)", Verdict.WIDENED),
        ("interval", "nvarchar(max)", Verdict.WIDENED),
        ("list<int64>", "nvarchar(max)", Verdict.WIDENED),
        ("map<string,int64>", "nvarchar(max)", Verdict.WIDENED),
        ("struct<a:int64>", "nvarchar(max)", Verdict.WIDENED),
        ("opaque", "nvarchar(max)", Verdict.WIDENED),
    ],
)
def test_types_of_other_engines_land_where_they_fit_best(type_: str, native: str, verdict: Verdict) -> None:
    landing = TYPES.land(Field("c", parse_type(type_), native="elsewhere:thing"))
    assert (landing.native, landing.verdict) == (native, verdict)
    assert landing.why or verdict is Verdict.EXACT


def test_a_negative_scale_becomes_digits() -> None:
    landing = TYPES.land(Field("c", replace(parse_type("decimal(5,2)"), scale=-2)))
    assert (landing.native, landing.verdict) == ("decimal(7,0)", Verdict.WIDENED)


@pytest.mark.parametrize(
    "native, type_",
    [
        ("DECIMAL(10, 2)", "decimal(10,2)"),
        ("numeric", "decimal(18,0)"),
        ("float", "float64"),
        ("float(24)", "float32"),
        ("datetime2", "timestamp(7)"),
        ("datetime", "timestamp(3)"),
        ("smalldatetime", "timestamp(0)"),
        ("money", "decimal(19,4)"),
        ("varchar", "string(1)"),
        ("nvarchar(max)", "string"),
        ("varchar(20) collate Latin1_General_CI_AS", "string(20)"),
        ("rowversion", "binary(8)"),
        ("geography", "binary"),
        ("hierarchyid", "opaque"),
    ],
)
def test_a_native_type_is_read_as_what_it_holds(native: str, type_: str) -> None:
    assert str(TYPES.read(native)) == type_


@pytest.mark.parametrize("native", ["", "cursor", "dbo.phone_number", "decimal(x)", "int; drop table t", "vector(3)"])
def test_an_unknown_type_is_refused_by_its_name(native: str) -> None:
    with pytest.raises(PlanError) as refused:
        TYPES.read(native)
    assert refused.value.code == "plan.unknown_type"
    assert native in refused.value.message


@pytest.mark.parametrize(
    "old, new, safe",
    [
        ("tinyint", "bigint", True),
        ("bigint", "int", False),
        ("bit", "int", False),
        ("int", "decimal(10,0)", True),
        ("int", "decimal(9,0)", False),
        ("bigint", "decimal(38,9)", True),
        ("decimal(10,2)", "decimal(12,4)", True),
        ("decimal(10,2)", "decimal(12,5)", False),
        ("money", "decimal(19,4)", True),
        ("real", "float(53)", True),
        ("float(53)", "real", False),
        ("int", "float(53)", False),
        ("varchar(10)", "varchar(20)", True),
        ("varchar(20)", "varchar(10)", False),
        ("varchar(20)", "varchar(max)", True),
        ("varchar(max)", "varchar(8000)", False),
        ("varchar(10)", "nvarchar(10)", True),
        ("nvarchar(10)", "varchar(20)", False),
        ("varchar(10)", "varchar(20) collate Cyrillic_General_CI_AS", False),
        ("char(10)", "varchar(10)", False),  # the padding would stay
        ("binary(8)", "varbinary(16)", True),
        ("varbinary(8)", "binary(16)", False),
        ("time(3)", "time(7)", True),
        ("datetime", "datetime2(3)", True),
        ("datetime", "datetime2(7)", False),  # thirds of a millisecond would show
        ("smalldatetime", "datetime2(0)", True),
        ("datetime2(7)", "datetime2(3)", False),
        ("datetime2(3)", "datetimeoffset(3)", False),
        ("date", "datetime2(7)", False),
        ("uniqueidentifier", "nvarchar(36)", False),
        ("mssql:int", "mssql:bigint", True),
    ],
)
def test_a_column_widens_only_where_no_stored_value_changes(old: str, new: str, safe: bool) -> None:  # noqa: FBT001 - a case
    assert TYPES.widens(old, new) is safe
