"""Many streams in one file: defaults, names, templates, wildcards, selection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.connector import Dataset
from dpone.errors import UsageError
from dpone.manifest import Manifest, SourceEnd, expand, select
from dpone.manifest.options import Template
from dpone.manifest.templates import fill, is_wildcard, matches
from dpone.names import parse_name, print_name

Load = Callable[[str], Manifest]

HEAD = """\
version: 1
name: shop
parallel: 3
defaults:
  source: {type: alpha, connection: shop, fetch_rows: 7}
  sink: {type: beta, connection: dwh, table: "raw.{table}"}
  strategy: {mode: incremental_merge, key: [id], cursor: {column: at, lag: 5m}}
  checks: [{min_rows: 1}]
  limits: {run_timeout: 1h}
streams:
"""
TABLES = [("public", "orders"), ("public", "customers"), ("public", "tmp_x"), ("other", "orders")]


def discover(_source: SourceEnd, _pattern: tuple[str, ...]) -> Iterable[Dataset]:
    return [Dataset(name) for name in TABLES]


def targets(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    return {s.name: s.sink.options.target().name for s in manifest.streams}


def test_a_single_pipeline_is_one_stream_of_its_own_name(load_text: Load) -> None:
    manifest = load_text(
        "version: 1\nname: orders\nsource: {type: gamma, table: a}\n"
        "sink: {type: beta, connection: dwh, table: raw.a}\nstrategy: {mode: replace}\n"
    )
    (stream,) = manifest.streams
    assert (manifest.name, stream.name, manifest.parallel, manifest.path) == (
        "orders",
        "orders",
        1,
        Path("orders.yaml"),
    )


def test_a_stream_is_laid_over_the_defaults_key_by_key(load_text: Load) -> None:
    (stream,) = load_text(
        HEAD + "  - source: {table: public.orders}\n    strategy: {cursor: {column: id}}\n    limits: {memory: 1GiB}\n"
    ).streams
    assert stream.name == "public.orders"
    assert stream.source.options.model_dump(exclude_none=True) == {"table": "public.orders", "fetch_rows": 7}
    assert stream.strategy.setting("key") == ("id",)
    assert stream.strategy.setting("cursor").lag == 0  # the cursor is exchanged as a whole
    assert stream.limits.memory == 1 << 30
    assert stream.limits.run_timeout is not None
    assert len(stream.checks) == 1


def test_another_mode_takes_nothing_from_the_default_strategy(load_text: Load) -> None:
    (stream,) = load_text(HEAD + "  - {source: {table: a.b}, strategy: {mode: full_refresh}}\n").streams
    assert stream.strategy.setting("key") == ()


def test_the_same_mode_is_completed(load_text: Load) -> None:
    (stream,) = load_text(HEAD + "  - {source: {table: a.b}, strategy: {mode: incremental_merge, key: [x]}}\n").streams
    assert stream.strategy.setting("key") == ("x",)
    assert stream.strategy.setting("cursor").column == "at"


def test_another_type_takes_nothing_from_the_default_source(load_text: Load) -> None:
    (stream,) = load_text(HEAD + "  - source: {type: gamma, table: a.b}\n").streams
    assert stream.source.connection.name == ""
    assert stream.source.type == "gamma"


def test_templates_and_names(load_text: Load) -> None:
    manifest = load_text(
        HEAD
        + "  - {source: {table: 'public.\"or.ders\"'}}\n"
        + "  - {source: {table: public.items}, sink: {table: '{schema}_raw.{table}_x'}, name: '{table}'}\n"
        + "  - {source: {table: public.b}, sink: {table: '{{x}}.y'}}\n"
    )
    assert targets(manifest) == {
        'public."or.ders"': ("raw", "or.ders"),
        "items": ("public_raw", "items_x"),
        "public.b": ("{x}", "y"),
    }


def test_a_wildcard_becomes_a_stream_for_each_table(load_text: Load) -> None:
    manifest = load_text(HEAD + "  - source: {table: 'public.*'}\n    skip: ['tmp_*']\n    audit: true\n")
    assert manifest.streams == ()
    assert manifest.wildcards[0].pattern == ("public", "*")
    expanded = expand(manifest, discover)
    assert targets(expanded) == {"public.customers": ("raw", "customers"), "public.orders": ("raw", "orders")}
    assert all(s.audit and s.source.options.model_dump()["fetch_rows"] == 7 for s in expanded.streams)
    assert expanded.parallel == 3
    assert expand(expanded, discover) == expanded


def test_a_table_with_a_stream_of_its_own_is_left_to_it(load_text: Load) -> None:
    manifest = load_text(
        HEAD + "  - source: {table: 'public.*'}\n  - {source: {table: public.orders}, strategy: {mode: full_refresh}}\n"
    )
    expanded = expand(manifest, discover)
    modes = {s.name: s.strategy.mode for s in expanded.streams}
    assert modes["public.orders"] == "full_refresh"
    assert len(modes) == 3


def test_the_discovering_source_sees_the_pattern_and_its_connection(load_text: Load) -> None:
    seen: list[tuple[str, str, tuple[str, ...]]] = []

    def looking(source: SourceEnd, pattern: tuple[str, ...]) -> Iterable[Dataset]:
        seen.append((source.type, source.connection.name, pattern))
        return [Dataset(("public", "a"))]

    expand(load_text(HEAD + "  - source: {table: 'public.?'}\n"), looking)
    assert seen == [("alpha", "shop", ("public", "?"))]


def test_a_wildcard_that_matches_nothing_is_refused(load_text: Load) -> None:
    manifest = load_text(HEAD + "  - source: {table: 'nowhere.*'}\n")
    with pytest.raises(UsageError, match=r"nowhere\.\* matches no table") as raised:
        expand(manifest, discover)
    assert raised.value.code == "manifest.nothing_matched"


def test_two_tables_do_not_share_a_target(load_text: Load) -> None:
    with pytest.raises(UsageError, match=r'"other.orders" and "public.orders" both write'):
        expand(load_text(HEAD + "  - source: {table: '*.orders'}\n"), discover)


def test_hostile_table_names_survive_expansion(load_text: Load) -> None:
    names = ['or"ders', "a.b", "sel ect", "größe", "{table}", "*", "x" * 100]
    manifest = load_text(HEAD + "  - source: {table: 'public.*'}\n")
    expanded = expand(manifest, lambda *_: [Dataset(("public", name)) for name in names])
    assert {s.source.options.dataset().name[-1] for s in expanded.streams} == set(names)
    assert {s.sink.options.target().name[-1] for s in expanded.streams} == set(names)


def test_names_that_are_one_part_keep_their_dots(load_text: Load) -> None:
    manifest = load_text(
        "version: 1\nname: n\nstreams:\n  - source: {type: delta, topic: 'shop.*'}\n"
        "    sink: {type: delta, topic: 'copy.{table}'}\n    strategy: {mode: replace}\n"
    )
    expanded = expand(manifest, lambda *_: [Dataset(("shop.orders",)), Dataset(("other.orders",))])
    assert targets(expanded) == {"shop.orders": ("copy.shop.orders",)}


def test_select_keeps_what_matches(load_text: Load) -> None:
    manifest = expand(load_text(HEAD + "  - source: {table: 'public.*'}\n"), discover)
    chosen = select(manifest, ["*.orders", "public.c*"])
    assert [s.name for s in chosen.streams] == ["public.customers", "public.orders"]
    assert select(manifest, []) == manifest


def test_a_wildcard_stays_selected_while_it_may_match(load_text: Load) -> None:
    manifest = load_text(HEAD + "  - source: {table: 'public.*'}\n  - source: {table: other.x}\n")
    assert len(select(manifest, ["public.orders"]).wildcards) == 1
    assert select(manifest, ["other.*"]).wildcards == ()
    assert [s.name for s in select(manifest, ["other.*"]).streams] == ["other.x"]
    with pytest.raises(UsageError, match="no stream matches"):
        select(manifest, ["raw.*"])


def test_a_selection_that_matches_nothing_is_a_suggestion(load_text: Load) -> None:
    manifest = expand(load_text(HEAD + "  - source: {table: 'public.*'}\n"), discover)
    with pytest.raises(UsageError, match=r'no stream matches "public') as raised:
        select(manifest, ["public.ordres", "*"])
    assert raised.value.code == "manifest.nothing_matched"


@pytest.mark.parametrize(
    "text, expected", [("a.*", True), ("a?", True), ("a.b", False), ('a."*"', False), ('"?".*', True)]
)
def test_a_wildcard_stands_outside_of_quotes(text: str, *, expected: bool) -> None:
    assert is_wildcard(text) is expected


NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)


@given(st.lists(NAMES, min_size=1, max_size=3).map(tuple))
def test_a_filled_template_is_a_name_again(source: tuple[str, ...]) -> None:
    filled = fill("raw.{table}", Template(), source)
    assert parse_name(filled) == ("raw", source[-1])


@given(st.lists(NAMES, min_size=1, max_size=3).map(tuple))
def test_a_star_matches_every_name_of_its_depth(name: tuple[str, ...]) -> None:
    assert matches(name, ("*",) * len(name))
    assert matches(name, ("*",))
    assert not matches(name, ("*",) * (len(name) + 1))
    assert print_name(parse_name(print_name(name))) == print_name(name)
