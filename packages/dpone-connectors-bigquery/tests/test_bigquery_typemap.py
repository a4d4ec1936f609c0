from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dpone.errors import PlanError
from dpone.schema import Field, Kind, Landing, Type, Verdict, list_of, parse_type
from dpone.testing.typemaps import EXAMPLES, fields, names, overclaim
from dpone_bigquery.native import Native, parse_native, print_identifier, read_identifier
from dpone_bigquery.typemap import NATIVES, TYPES


@pytest.mark.parametrize("native", NATIVES)
def test_every_native_type_is_read_and_lands_as_itself(native: str) -> None:
    field = Field("c", TYPES.read(native), native=f"bigquery:{native}")
    assert TYPES.land(field) == Landing(native)
    assert TYPES.widens(native, native)
    assert TYPES.widens(f"bigquery:{native}", f"bigquery:{native}")


@pytest.mark.parametrize("native", NATIVES)
def test_every_native_type_lands_honestly_when_its_spelling_is_lost(native: str) -> None:
    assert overclaim(TYPES, Field("c", TYPES.read(native), nullable=False)) is None


@given(fields())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_verdict_claims_more_than_the_column_holds(field: Field) -> None:
    assert overclaim(TYPES, field) is None


@given(fields())
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_lands_obeys_the_limits_of_bigquery(field: Field) -> None:
    landing = TYPES.land(field)
    native = parse_native(landing.native)
    assert str(native) == landing.native
    if native.word == "ARRAY" and field.nullable:
        assert landing.verdict is Verdict.LOSSY
    for part in _parts(native):
        match part.word, part.sizes:
            case "NUMERIC", (digits, *scale):
                behind = scale[0] if scale else 0
                assert max(1, behind) <= digits <= behind + 29
                assert behind <= 9
            case "BIGNUMERIC", (digits, *scale):
                behind = scale[0] if scale else 0
                assert max(1, behind) <= digits <= behind + 38
                assert behind <= 38
            case "ARRAY", _:
                assert part.inner[0].word != "ARRAY"
            case "STRUCT", _:
                lower = [inner.name.lower() for inner in part.inner]
                assert len(set(lower)) == len(lower) > 0
            case _:
                pass


def _parts(of: Native) -> list[Native]:
    return [of, *(part for inner in of.inner for part in _parts(inner))]


@pytest.mark.parametrize(
    "type_, native, verdict",
    [
        ("bool", "BOOL", Verdict.EXACT),
        ("int64", "INT64", Verdict.EXACT),
        ("int16", "INT64", Verdict.WIDENED),
        ("uint32", "INT64", Verdict.WIDENED),
        ("uint64", "NUMERIC(20)", Verdict.WIDENED),
        ("int128", "BIGNUMERIC(38)", Verdict.LOSSY),
        ("float32", "FLOAT64", Verdict.WIDENED),
        ("float64", "FLOAT64", Verdict.EXACT),
        ("decimal(38,9)", "NUMERIC(38, 9)", Verdict.EXACT),
        ("decimal(29,0)", "NUMERIC(29)", Verdict.EXACT),
        ("decimal(30,0)", "BIGNUMERIC(30)", Verdict.EXACT),
        ("decimal(38,10)", "BIGNUMERIC(38, 10)", Verdict.EXACT),
        ("decimal(76,38)", "BIGNUMERIC(76, 38)", Verdict.EXACT),
        ("decimal(39,0)", "BIGNUMERIC", Verdict.LOSSY),
        ("decimal(76,0)", "BIGNUMERIC", Verdict.LOSSY),
        ("decimal(45,40)", "BIGNUMERIC", Verdict.LOSSY),
        ("decimal(2,5)", "NUMERIC(5, 5)", Verdict.WIDENED),
        ("decimal", "BIGNUMERIC", Verdict.LOSSY),
        ("string", "STRING", Verdict.EXACT),
        ("string(8000)", "STRING(8000)", Verdict.EXACT),
        ("binary(16)", "BYTES(16)", Verdict.EXACT),
        ("date", "DATE", Verdict.EXACT),
        ("time(6)", "TIME", Verdict.EXACT),
        ("time(7)", "TIME", Verdict.LOSSY),
        ("timestamp(3)", "DATETIME", Verdict.WIDENED),
        ("timestamp(6)", "DATETIME", Verdict.EXACT),
        ("timestamp(7)", "DATETIME", Verdict.LOSSY),
        ("timestamptz(6)", "TIMESTAMP", Verdict.EXACT),
        ("timestamptz(9)", "TIMESTAMP", Verdict.LOSSY),
        ("uuid", "STRING", Verdict.WIDENED),
        ("json", "JSON", Verdict.EXACT),
        ("interval", "STRING", Verdict.WIDENED),
        ("opaque", "STRING", Verdict.WIDENED),
        ("list<int64>", "ARRAY<INT64>", Verdict.LOSSY),  # its elements may be NULL
        ("list<list<int64>>", "JSON", Verdict.WIDENED),
        ("map<string,int64>", "ARRAY<STRUCT<key STRING, value INT64>>", Verdict.WIDENED),
        ("struct<a:int64,select:string>", "STRUCT<a INT64, `select` STRING>", Verdict.EXACT),
        ("struct<a:list<int64>>", "STRUCT<a ARRAY<INT64>>", Verdict.LOSSY),
        ("struct<a:int64,A:int64>", "JSON", Verdict.WIDENED),
    ],
)
def test_types_of_other_engines_land_where_they_fit_best(type_: str, native: str, verdict: Verdict) -> None:
    landing = TYPES.land(Field("c", parse_type(type_), nullable=False, native="elsewhere:thing"))
    assert (landing.native, landing.verdict) == (native, verdict)
    assert landing.why or verdict is Verdict.EXACT


def test_an_array_is_exact_where_nothing_in_it_is_null() -> None:
    array = Type(Kind.LIST, items=(Field("item", parse_type("int64"), nullable=False),))
    assert TYPES.land(Field("c", array, nullable=False)) == Landing("ARRAY<INT64>")
    assert TYPES.land(Field("c", array)).verdict is Verdict.LOSSY
    assert TYPES.land(Field("c", list_of(parse_type("int64")), nullable=False)).verdict is Verdict.LOSSY


def test_a_negative_scale_becomes_digits() -> None:
    landing = TYPES.land(Field("c", replace(parse_type("decimal(5,2)"), scale=-2)))
    assert (landing.native, landing.verdict) == ("NUMERIC(7)", Verdict.WIDENED)


@pytest.mark.parametrize(
    "native, type_",
    [
        ("numeric", "decimal(38,9)"),
        ("BIGDECIMAL", "decimal(76,38)"),
        ("decimal(10, 2)", "decimal(10,2)"),
        ("INTEGER", "int64"),
        ("array<struct<x float64, `y z` bytes(3)>>", 'list<struct<x:float64,"y z":binary(3)> not null>'),
        ("STRUCT<INT64, STRING>", "struct<_1:int64,_2:string>"),
        ("RANGE<DATE>", "opaque"),
        ("GEOGRAPHY", "opaque"),
    ],
)
def test_a_native_type_is_read_as_what_it_holds(native: str, type_: str) -> None:
    assert str(TYPES.read(native)) == type_


@pytest.mark.parametrize(
    "native",
    ["", "ARRAY", "ARRAY<", "STRUCT<>", "INT65", "NUMERIC(1,2,3)", "STRING<INT64>", "INT64(5)", "STRING(x)", "BOOL; x"],
)
def test_an_unknown_type_is_refused(native: str) -> None:
    with pytest.raises(PlanError) as refused:
        TYPES.read(native)
    assert refused.value.code == "plan.unknown_type"


@given(st.text(max_size=30))
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_text_at_all_makes_the_reader_fall_over(text: str) -> None:
    try:
        TYPES.read(text)
    except PlanError as refused:
        assert refused.code == "plan.unknown_type"  # noqa: PT017 - it may also be a type


@given(names().filter(bool))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_name_of_a_field_is_read_back(name: str) -> None:
    assert read_identifier(print_identifier(name)) == name
    (field,) = parse_native(str(Native("STRUCT", inner=(Native("INT64", name=name),)))).inner
    assert field == Native("INT64", name=name)


@pytest.mark.parametrize(
    "old, new, safe",
    [
        ("INT64", "NUMERIC", True),
        ("INT64", "NUMERIC(19)", True),
        ("INT64", "NUMERIC(18)", False),
        ("INT64", "BIGNUMERIC", True),
        ("INT64", "FLOAT64", False),  # BigQuery would, and round
        ("NUMERIC", "BIGNUMERIC", True),
        ("BIGNUMERIC", "NUMERIC", False),
        ("NUMERIC(10, 2)", "NUMERIC(12, 4)", True),
        ("NUMERIC(10, 2)", "NUMERIC(12, 5)", False),
        ("STRING(10)", "STRING(20)", True),
        ("STRING(10)", "STRING", True),
        ("STRING", "STRING(10)", False),
        ("BYTES(4)", "BYTES", True),
        ("DATE", "TIMESTAMP", False),
        ("DATETIME", "TIMESTAMP", False),
        ("ARRAY<INT64>", "ARRAY<NUMERIC>", False),
        ("INTEGER", "INT64", True),
        ("STRING", "JSON", False),
    ],
)
def test_a_column_widens_only_where_no_stored_value_changes(old: str, new: str, safe: bool) -> None:  # noqa: FBT001 - a case
    assert TYPES.widens(old, new) is safe
