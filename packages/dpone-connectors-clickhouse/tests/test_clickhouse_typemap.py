from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpone.errors import PlanError
from dpone.schema import Field, Kind, Landing, Type, Verdict, list_of, map_of, parse_type, struct_of
from dpone.testing.typemaps import EXAMPLES, fields, names, overclaim
from dpone_clickhouse.native import (
    Native,
    parse_native,
    print_identifier,
    read_identifier,
    says_nullable,
    with_null,
    without_null,
)
from dpone_clickhouse.typemap import NATIVES, TYPES


def holds_bytes(wide: Type, narrow: Type) -> bool:
    """A String of ClickHouse is bytes."""
    return wide.kind is Kind.STRING and narrow.kind is Kind.BINARY


@pytest.mark.parametrize("native", NATIVES)
def test_every_native_type_is_read_and_lands_as_itself(native: str) -> None:
    field = Field("c", TYPES.read(native), native=f"clickhouse:{native}")
    assert TYPES.land(field) == Landing(native)
    assert str(parse_native(native)) == native
    assert TYPES.widens(native, native)
    assert TYPES.widens(f"clickhouse:{native}", f"clickhouse:{native}")


@pytest.mark.parametrize("native", NATIVES)
def test_every_native_type_lands_honestly_when_its_spelling_is_lost(native: str) -> None:
    assert overclaim(TYPES, Field("c", TYPES.read(native), nullable=False), holds_bytes) is None


@given(fields())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_verdict_claims_more_than_the_column_holds(field: Field) -> None:
    assert overclaim(TYPES, field, holds_bytes) is None


@given(fields())
@settings(max_examples=EXAMPLES, deadline=None)
def test_null_is_kept_or_the_column_is_lossy(field: Field) -> None:
    landing = TYPES.land(field)
    if field.nullable and not says_nullable(with_null(parse_native(landing.native))):
        assert landing.verdict is Verdict.LOSSY


@given(fields())
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_lands_is_spelled_as_it_is_read(field: Field) -> None:
    native = TYPES.land(field).native
    assert str(parse_native(native)) == native


def test_a_changed_type_is_not_the_native_one_any_more() -> None:
    assert TYPES.land(Field("c", parse_type("int64"), native="clickhouse:UInt8")) == Landing("Int64")


@pytest.mark.parametrize(
    "type_, native, verdict",
    [
        ("bool", "Bool", Verdict.EXACT),
        ("int8", "Int8", Verdict.EXACT),
        ("uint64", "UInt64", Verdict.EXACT),
        ("int256", "Int256", Verdict.EXACT),
        ("float16", "Float32", Verdict.WIDENED),
        ("float64", "Float64", Verdict.EXACT),
        ("decimal(76,0)", "Decimal(76, 0)", Verdict.EXACT),
        ("decimal(78,0)", "Decimal(76, 0)", Verdict.LOSSY),
        ("decimal(80,10)", "Decimal(76, 6)", Verdict.LOSSY),
        ("decimal(2,5)", "Decimal(5, 5)", Verdict.WIDENED),
        ("decimal", "Decimal(76, 38)", Verdict.LOSSY),
        ("string", "String", Verdict.EXACT),
        ("string(8000)", "String", Verdict.WIDENED),
        ("binary", "String", Verdict.WIDENED),
        ("binary(16)", "String", Verdict.WIDENED),
        ("date", "Date32", Verdict.EXACT),
        ("time(6)", "Time64(6)", Verdict.EXACT),
        ("time(12)", "Time64(9)", Verdict.LOSSY),
        ("timestamp(6)", "DateTime64(6, 'UTC')", Verdict.WIDENED),
        ("timestamptz(6)", "DateTime64(6, 'UTC')", Verdict.EXACT),
        ("timestamptz(9)", "DateTime64(9, 'UTC')", Verdict.EXACT),
        ("timestamptz(12)", "DateTime64(9, 'UTC')", Verdict.LOSSY),
        ("timestamp(12)", "DateTime64(9, 'UTC')", Verdict.LOSSY),
        ("uuid", "UUID", Verdict.EXACT),
        ("json", "String", Verdict.WIDENED),
        ("interval", "String", Verdict.WIDENED),
        ("opaque", "String", Verdict.WIDENED),
        ("list<int64>", "Array(Nullable(Int64))", Verdict.EXACT),
        ("list<decimal>", "Array(Nullable(Decimal(76, 38)))", Verdict.LOSSY),
        ("list<string(5)>", "Array(Nullable(String))", Verdict.WIDENED),
        ("list<list<int64>>", "Array(Array(Nullable(Int64)))", Verdict.LOSSY),  # NULL among the inner ones
        ("map<string,int64>", "Map(String, Nullable(Int64))", Verdict.EXACT),
        ("map<float64,int64>", "String", Verdict.WIDENED),
        ("struct<a:int64,select:string>", "Tuple(a Nullable(Int64), `select` Nullable(String))", Verdict.EXACT),
    ],
)
def test_types_of_other_engines_land_where_they_fit_best(type_: str, native: str, verdict: Verdict) -> None:
    landing = TYPES.land(Field("c", parse_type(type_), nullable=False, native="elsewhere:thing"))
    assert (landing.native, landing.verdict) == (native, verdict)
    assert landing.why or verdict is Verdict.EXACT


@pytest.mark.parametrize(
    "nested",
    [list_of(parse_type("int64")), map_of(parse_type("string"), parse_type("int64")), struct_of(a=Type(Kind.DATE))],
)
def test_a_nested_column_that_admits_null_is_lossy(nested: Type) -> None:
    assert TYPES.land(Field("c", nested)).verdict is Verdict.LOSSY
    assert TYPES.land(Field("c", nested, nullable=False)).verdict is Verdict.EXACT


def test_a_tuple_has_distinct_names_that_are_not_null() -> None:
    for wrong in (("a", "a"), ("null",), ("",)):
        struct = Type(Kind.STRUCT, items=tuple(Field(name, parse_type("int8")) for name in wrong))
        assert TYPES.land(Field("c", struct, nullable=False)).native == "String"


@pytest.mark.parametrize(
    "native, type_",
    [
        ("Nullable(Int64)", "int64"),
        ("LowCardinality(Nullable(String))", "string"),
        ("Decimal(10)", "decimal(10,0)"),
        ("DateTime64(3, 'Europe/Berlin')", "timestamptz(3)"),
        ("DateTime", "timestamptz(0)"),
        ("FixedString(16)", "binary(16)"),
        (
            "Nested(a Int8, b Array(Nullable(String)))",
            "list<struct<a:int8 not null,b:list<string> not null> not null>",
        ),
        ("Tuple(Int8, Nullable(String))", 'struct<"1":int8 not null,"2":string>'),
        ("Map(LowCardinality(String), Array(UInt8))", "map<string,list<uint8 not null> not null>"),
        ("SimpleAggregateFunction(anyLast, Nullable(Decimal(9, 2)))", "decimal(9,2)"),
        ("Enum8('a, b' = 1, 'it\\'s)' = -2)", "string"),
        ("Polygon", 'list<list<struct<"1":float64 not null,"2":float64 not null> not null> not null>'),
    ],
)
def test_a_native_type_is_read_as_what_it_holds(native: str, type_: str) -> None:
    assert str(TYPES.read(native)) == type_


def test_elements_say_whether_they_admit_null() -> None:
    (item,) = TYPES.read("Array(Nullable(Int8))").items
    assert item.nullable
    (item,) = TYPES.read("Array(Int8)").items
    assert not item.nullable


@pytest.mark.parametrize(
    "native", ["", "Int7", "Array", "Array()", "Array(Int8", "Map(String)", "Decimal(x)", "Nested()", "Int8; DROP", "1"]
)
def test_an_unknown_type_is_refused(native: str) -> None:
    with pytest.raises(PlanError) as refused:
        TYPES.read(native)
    assert refused.value.code == "plan.unknown_type"


@pytest.mark.parametrize(
    "native, nullable",
    [
        ("Int64", "Nullable(Int64)"),
        ("LowCardinality(String)", "LowCardinality(Nullable(String))"),
        ("DateTime64(6, 'UTC')", "Nullable(DateTime64(6, 'UTC'))"),
        ("Enum8('a' = 1)", "Nullable(Enum8('a' = 1))"),
    ],
)
def test_null_goes_into_a_type_and_out_of_it(native: str, nullable: str) -> None:
    assert str(with_null(parse_native(native))) == nullable
    assert str(without_null(parse_native(nullable))) == native
    assert says_nullable(parse_native(nullable))
    assert not says_nullable(parse_native(native))
    assert TYPES.land(Field("c", TYPES.read(nullable), native=f"clickhouse:{nullable}")) == Landing(native)


@pytest.mark.parametrize(
    "native", ["Array(Int8)", "Map(String, Int8)", "Tuple(a Int8)", "Nullable(Tuple(a Int8))", "JSON"]
)
def test_a_type_without_null_keeps_what_it_says(native: str) -> None:
    assert str(with_null(parse_native(native))) == native
    assert str(without_null(parse_native(native))) == native


@given(names().filter(bool))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_name_of_an_element_is_read_back(name: str) -> None:
    assert read_identifier(print_identifier(name)) == name
    text = str(Native("Tuple", (Native("Int8", name=name),), called=True))
    (element,) = parse_native(text).types
    assert element == Native("Int8", name=name)


@given(st.text(max_size=30))
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_text_at_all_makes_the_reader_fall_over(text: str) -> None:
    try:
        TYPES.read(text)
    except PlanError as refused:
        assert refused.code == "plan.unknown_type"  # noqa: PT017 - it may also be a type


@pytest.mark.parametrize(
    "old, new, safe",
    [
        ("Int8", "Int16", True),
        ("Int16", "Int8", False),
        ("UInt8", "Int16", True),
        ("UInt8", "Int8", False),
        ("Int8", "UInt16", False),
        ("UInt64", "Decimal(20, 0)", True),
        ("Int64", "Decimal(18, 0)", False),
        ("Int64", "Float64", False),
        ("Float32", "Float64", True),
        ("Float64", "Float32", False),
        ("Decimal(9, 2)", "Decimal(18, 4)", True),
        ("Decimal(18, 4)", "Decimal(18, 6)", False),
        ("Int64", "Nullable(Int64)", True),
        ("Nullable(Int64)", "Int64", False),
        ("String", "LowCardinality(String)", True),
        ("LowCardinality(String)", "String", True),
        ("Date", "Date32", True),
        ("Date32", "Date", False),
        ("DateTime", "DateTime('Europe/Berlin')", True),
        ("DateTime", "DateTime64(9, 'UTC')", True),
        ("DateTime64(3, 'UTC')", "DateTime64(6, 'UTC')", True),
        ("DateTime64(6, 'UTC')", "DateTime64(9, 'UTC')", False),  # which ends in 2262
        ("DateTime64(6, 'UTC')", "DateTime64(3, 'UTC')", False),
        ("Enum8('a' = 1)", "Enum8('a' = 1, 'b' = 2)", True),
        ("Enum8('a' = 1)", "Enum16('a' = 1, 'b' = 300)", True),
        ("Enum8('a' = 1)", "Enum8('a' = 2)", False),
        ("Enum8('a' = 1)", "String", True),
        ("FixedString(4)", "FixedString(8)", False),
        ("Array(Int8)", "Array(Nullable(Int16))", True),
        ("Array(Nullable(Int8))", "Array(Int8)", False),
        ("Map(String, Int8)", "Map(String, Int16)", True),
        ("Tuple(a Int8)", "Tuple(a Int16)", True),
        ("Tuple(a Int8)", "Tuple(b Int8)", False),
        ("Tuple(`a` Int8)", "Tuple(a Int8)", True),
        ("String", "Int8", False),
        ("UUID", "String", False),
    ],
)
def test_a_column_widens_only_where_no_stored_value_changes(old: str, new: str, safe: bool) -> None:  # noqa: FBT001 - a case
    assert TYPES.widens(old, new) is safe
