"""Whether a connector's type map tells the truth: verdicts held against what the types themselves can hold.

`types()` draws any type, `fields()` any field; `overclaim` says what a type map promises of a field and does not keep.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from hypothesis import strategies as st

from dpone.schema import Field, Kind, Type, TypeMap, Verdict

EXAMPLES = 2000 if os.environ.get("DPONE_HYPOTHESIS_PROFILE") == "full" else 300
_BITS = (8, 16, 32, 64, 128, 256)
_LEAVES = 4

Holds = Callable[[Type, Type], bool]


def _sized(kind: Kind, sizes: st.SearchStrategy[int | None]) -> st.SearchStrategy[Type]:
    return st.builds(Type, st.just(kind), sizes)


def scalars() -> st.SearchStrategy[Type]:
    """Any type that holds no other."""
    digits = st.integers(0, 12)
    length = st.none() | st.integers(1, 20_000)
    decimals = st.builds(Type, st.just(Kind.DECIMAL), st.integers(1, 90), st.integers(-10, 90))
    plain = (Kind.BOOL, Kind.DATE, Kind.UUID, Kind.JSON, Kind.INTERVAL, Kind.OPAQUE)
    return st.one_of(
        *(_sized(kind, st.sampled_from(_BITS)) for kind in (Kind.INT, Kind.UINT)),
        _sized(Kind.FLOAT, st.sampled_from((16, 32, 64))),
        *(_sized(kind, digits) for kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)),
        *(_sized(kind, length) for kind in (Kind.STRING, Kind.BINARY)),
        *(st.just(Type(kind)) for kind in (*plain, Kind.DECIMAL)),
        decimals,
    )


def names() -> st.SearchStrategy[str]:
    """Names of nested fields, hostile ones among them."""
    return st.one_of(
        st.sampled_from(("a", "b", "A", "select", "null", "values", "a b", "x`y", 'q"q', "back\\slash", "1", "é", "")),
        st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8),
    )


def _nested(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    nullable = st.booleans()
    lists = st.builds(lambda of, null: Type(Kind.LIST, items=(Field("item", of, null),)), inner, nullable)
    maps = st.builds(
        lambda key, value, null: Type(Kind.MAP, items=(Field("key", key, nullable=False), Field("value", value, null))),
        inner,
        inner,
        nullable,
    )
    members = st.lists(st.builds(Field, names(), inner, nullable), min_size=1, max_size=4, unique_by=lambda f: f.name)
    return lists | maps | st.builds(lambda found: Type(Kind.STRUCT, items=tuple(found)), members)


def types() -> st.SearchStrategy[Type]:
    """Any type, nested to some depth."""
    return scalars() | st.recursive(scalars(), _nested, max_leaves=_LEAVES)


def fields() -> st.SearchStrategy[Field]:
    """Any field that comes from no engine, or from one that nobody knows."""
    return st.builds(Field, st.just("column"), types(), st.booleans(), st.none() | st.just("elsewhere:thing"))


def overclaim(types: TypeMap, field: Field, also: Holds = lambda _wide, _narrow: False) -> str | None:
    """What the type map promises about the field and its own types do not keep; None when it is honest.

    `also` adds what is true of one engine alone, as that its text holds bytes.
    """
    landing = types.land(field)
    if landing.verdict is Verdict.LOSSY:
        return None if landing.why else f"{field.type} loses something in {landing.native}, and no reason is given"
    found = types.read(landing.native)
    if not holds(found, field.type, also):
        return f"{landing.verdict.value}: {landing.native} holds {found}, which is less than {field.type}"
    if landing.verdict is Verdict.EXACT and found.kind is not field.type.kind:
        return f"exact: {landing.native} holds {found}, which is another kind than {field.type}"
    if landing.verdict is Verdict.WIDENED and not landing.why:
        return f"{field.type} becomes another type in {landing.native}, and no reason is given"
    return None


_CLOCKS = frozenset({Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_NESTED = frozenset({Kind.LIST, Kind.MAP, Kind.STRUCT})


def holds(wide: Type, narrow: Type, also: Holds = lambda _wide, _narrow: False) -> bool:
    """True when every value of `narrow` has a value of `wide` that says the same; text without limit says anything."""
    if also(wide, narrow):
        return True
    match wide.kind, narrow.kind:
        case ((Kind.STRING | Kind.OPAQUE), kind) if wide.size is None and kind is not Kind.BINARY:
            return True
        case Kind.JSON, kind if kind in _NESTED:
            return True
        case Kind.DECIMAL, (Kind.INT | Kind.UINT | Kind.DECIMAL):
            return _decimal_holds(wide, narrow)
        case Kind.INT, Kind.UINT:
            return _size(wide) > _size(narrow)
        case Kind.LIST, Kind.MAP:
            pair = wide.items[0].type
            return pair.kind is Kind.STRUCT and _all_held(pair, narrow, also)
        case Kind.TIMESTAMPTZ, Kind.TIMESTAMP:
            return _size(wide) >= _size(narrow)
        case kind, other if kind is not other:
            return False
        case kind, _ if kind in _CLOCKS or kind in {Kind.INT, Kind.UINT, Kind.FLOAT}:
            return _size(wide) >= _size(narrow)
        case ((Kind.STRING | Kind.BINARY), _):
            return wide.size is None or (narrow.size is not None and wide.size >= narrow.size)
        case Kind.STRUCT, _:
            same_names = [f.name for f in wide.items] == [f.name for f in narrow.items]
            return same_names and _all_held(wide, narrow, also)
        case ((Kind.LIST | Kind.MAP), _):
            return _all_held(wide, narrow, also)
        case _:
            return True


def _all_held(wide: Type, narrow: Type, also: Holds) -> bool:
    return len(wide.items) == len(narrow.items) and all(
        holds(to.type, of.type, also) and (to.nullable or not of.nullable)
        for to, of in zip(wide.items, narrow.items, strict=True)
    )


def _size(of: Type) -> int:
    return of.size or 0


def _decimal_holds(wide: Type, narrow: Type) -> bool:
    if wide.size is None:
        return True
    if narrow.kind is Kind.DECIMAL:
        if narrow.size is None:
            return False
        behind, whole = narrow.scale or 0, max(narrow.size - (narrow.scale or 0), 0)
    else:
        behind, whole = 0, len(str(2 ** (_size(narrow) - (narrow.kind is Kind.INT))))
    return behind <= (wide.scale or 0) and whole <= max(wide.size - (wide.scale or 0), 0)
