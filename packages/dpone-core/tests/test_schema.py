"""Types are text and back again, columns have distinct names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.errors import PlanError, UsageError
from dpone.schema import (
    BOOL,
    INT64,
    JSON,
    STRING,
    Field,
    Kind,
    Schema,
    Type,
    decimal,
    list_of,
    map_of,
    parse_type,
    string,
    struct_of,
    time,
    timestamp,
    timestamptz,
)

_SIZED = {Kind.INT: (8, 16, 32, 64, 128, 256), Kind.UINT: (8, 16, 32, 64, 128, 256), Kind.FLOAT: (16, 32, 64)}
_PLAIN = [Kind.BOOL, Kind.DATE, Kind.INTERVAL, Kind.UUID, Kind.JSON, Kind.OPAQUE]
_NAMES = st.one_of(
    st.from_regex(r"[A-Za-z_][A-Za-z_0-9]{0,9}", fullmatch=True),
    st.sampled_from(["", "1", "a b", 'q"q', '""', "int64", "not", "null", "größe", "a,b>", " a ", "line\nbreak"]),
    st.text(max_size=5),
)
_LEAVES = st.one_of(
    st.sampled_from([Type(kind, size) for kind, sizes in _SIZED.items() for size in sizes]),
    st.sampled_from([Type(kind) for kind in _PLAIN]),
    st.builds(string, st.none() | st.integers(1, 9999)),
    st.builds(lambda n: Type(Kind.BINARY, n), st.none() | st.integers(1, 9999)),
    st.builds(decimal, st.integers(1, 76), st.integers(-30, 90)),
    st.just(decimal()),
    st.builds(time, st.integers(0, 9)),
    st.builds(timestamp, st.integers(0, 9)),
    st.builds(timestamptz, st.integers(0, 9)),
)


def _fields(names: st.SearchStrategy[str], types: st.SearchStrategy[Type]) -> st.SearchStrategy[Field]:
    return st.builds(Field, names, types, st.booleans())


def _holding(kind: Kind, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Type]:
    fields = [_fields(name, of) for name, of in zip(parts[::2], parts[1::2], strict=True)]
    return st.tuples(*fields).map(lambda found: Type(kind, items=found))


TYPES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        _holding(Kind.LIST, st.just("item"), inner),
        _holding(Kind.MAP, st.just("key"), inner, st.just("value"), inner),
        st.lists(_fields(_NAMES, inner), min_size=1, max_size=3).map(lambda f: Type(Kind.STRUCT, items=tuple(f))),
    ),
    max_leaves=6,
)


@given(TYPES)
def test_a_type_is_read_back_from_its_spelling(of: Type) -> None:
    assert parse_type(str(of)) == of
    assert str(parse_type(str(of))) == str(of)


@pytest.mark.parametrize(
    "of,text",
    [
        (decimal(5, -2), "decimal(5,-2)"),
        (decimal(2, 5), "decimal(2,5)"),
        (struct_of(**{"a b": INT64, 'q"q': STRING, "": BOOL}), 'struct<"a b":int64,"q""q":string,"":bool>'),
        (Type(Kind.LIST, items=(Field("item", INT64, nullable=False),)), "list<int64 not null>"),
        (map_of(STRING, INT64), "map<string,int64>"),
        (Type(Kind.MAP, items=(Field("key", STRING), Field("value", INT64, False))), "map<string null,int64 not null>"),
        (Type(Kind.STRUCT, items=(Field("a", list_of(INT64), False),)), "struct<a:list<int64> not null>"),
    ],
)
def test_how_what_is_out_of_the_ordinary_is_spelled(of: Type, text: str) -> None:
    assert str(of) == text
    assert parse_type(text) == of


@pytest.mark.parametrize(
    "kind,size,scale,items",
    [
        (Kind.STRUCT, None, None, ()),
        (Kind.LIST, None, None, ()),
        (Kind.MAP, None, None, (Field("key", INT64),)),
        (Kind.BOOL, None, None, (Field("item", INT64),)),
        (Kind.LIST, 3, None, (Field("item", INT64),)),
        (Kind.LIST, None, None, (Field("element", INT64),)),
        (Kind.INT, 7, None, ()),
        (Kind.FLOAT, None, None, ()),
        (Kind.TIMESTAMP, None, None, ()),
        (Kind.DECIMAL, None, 2, ()),
        (Kind.DECIMAL, 9, None, ()),
        (Kind.DECIMAL, 0, 0, ()),
        (Kind.STRING, 9, 2, ()),
        (Kind.STRING, -1, None, ()),
    ],
)
def test_there_is_no_type_that_could_not_be_spelled(
    kind: Kind, size: int | None, scale: int | None, items: tuple[Field, ...]
) -> None:
    with pytest.raises(UsageError) as caught:
        Type(kind, size, scale, items)
    assert caught.value.code == "manifest.invalid_type"


@pytest.mark.parametrize(
    "text,of",
    [
        (" decimal( 38 , 9 ) ", decimal(38, 9)),
        ("decimal(38)", decimal(38, 0)),
        ("timestamp", timestamp(6)),
        ("list< map<string,int64> >", list_of(map_of(STRING, INT64))),
        ("struct<a:bool,b:struct<c:json>>", struct_of(a=BOOL, b=struct_of(c=JSON))),
    ],
)
def test_spaces_and_defaults_are_understood(text: str, of: Type) -> None:
    assert parse_type(text) == of


@pytest.mark.parametrize(
    "text",
    [
        "",
        "int",
        "int7",
        "integer",
        "string(",
        "string(a)",
        "string(1,2)",
        "list<int64",
        "map<int64>",
        "struct<int64>",
        "int64 int64",
        "decimal(1,2,3)",
        "list<>",
        "float128",
        "timestamp(1,2)",
        "int64;drop",
        "list<int64,int64>",
        "struct<>",
        "struct<a b:int64>",
        "struct<'a':int64>",
        'struct<"a:int64>',
        "string(-1)",
        "decimal(-5,2)",
        "decimal(5,--2)",
        "decimal(5 2)",
        "decimal(0,0)",
        "decimal()",
        "int64 not null",
        "list<int64 not>",
        "struct<a:int64 null null>",
    ],
)
def test_what_is_no_type_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_type(text)
    assert caught.value.code == "manifest.invalid_type"
    assert "decimal(38,9)" in (caught.value.hint or "")


class TestSchema:
    SCHEMA = Schema((Field("id", INT64), Field("v", STRING, native="postgres:text")), key=("id",))

    def test_a_column_is_found_by_its_name(self) -> None:
        assert self.SCHEMA["v"].type == STRING
        assert "id" in self.SCHEMA
        assert "x" not in self.SCHEMA
        assert (self.SCHEMA.names, len(self.SCHEMA), [f.name for f in self.SCHEMA]) == (("id", "v"), 2, ["id", "v"])
        with pytest.raises(KeyError):
            _ = self.SCHEMA["x"]

    def test_columns_become_required(self) -> None:
        assert [f.nullable for f in self.SCHEMA.not_null(("id",))] == [False, True]
        assert self.SCHEMA["id"].nullable

    def test_two_columns_of_one_name_are_refused(self) -> None:
        with pytest.raises(PlanError, match="a") as caught:
            Schema((Field("a", INT64), Field("b", INT64), Field("a", STRING)))
        assert caught.value.code == "plan.duplicate_column"

    def test_a_native_type_belongs_to_its_engine(self) -> None:
        field = self.SCHEMA["v"]
        assert (field.native_of("postgres"), field.native_of("mssql")) == ("text", None)
        assert Field("a", INT64).native_of("postgres") is None
        assert Field("a", INT64, native="mssql:a:b").native_of("mssql") == "a:b"
