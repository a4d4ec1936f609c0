"""YAML as a tree with places: what is read, what is bounded, what is refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.errors import UsageError
from dpone.manifest.document import MAX_BYTES, MAX_NODES, Node, compose
from dpone.manifest.problems import Mark


def read(text: str) -> Node:
    return compose(text.encode(), "m.yaml")


def value(text: str) -> object:
    node = read(f"a: {text}\n").get("a")
    assert node is not None
    return node.plain()


@pytest.mark.parametrize(
    "text, expected",
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("2026-01-31", "2026-01-31"),
        ("12:30:45", "12:30:45"),
        ("0x1F", 31),
        ("0o17", 15),
        ("-7", -7),
        ("1_000", "1_000"),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("0.1", 0.1),
        ("'5'", "5"),
        ('"\\u00e9"', "é"),
        ("=", "="),
        ("[a, 1, {b: c}]", ["a", 1, {"b": "c"}]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


def test_every_key_and_value_knows_its_place() -> None:
    root = read("# comment\na: 1\nb:\n  - c: x\n    d: [y,\n      z]\n")
    assert root.mark == Mark(2, 1)
    assert root.key_at(["b"]) == Mark(3, 1)
    assert root.at(["b", 0, "d", 1]).mark == Mark(6, 7)
    assert root.key_at(["b", 0, "d"]) == Mark(5, 5)
    assert root.at(["b", "a tag of pydantic", 0, "c"]).value == "x"


def test_a_byte_order_mark_is_not_part_of_the_first_key() -> None:
    assert list(compose("\ufeffversion: 1\n".encode(), "m.yaml").entries) == ["version"]


def test_aliases_are_values_with_the_place_of_their_anchor() -> None:
    root = read("a: &x [1, 2]\nb: *x\n")
    assert root.at(["b"]).plain() == [1, 2]
    assert root.at(["b"]).mark == root.at(["a"]).mark


def test_a_billion_laughs_are_stopped_at_once() -> None:
    levels = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    begun = time.monotonic()
    with pytest.raises(UsageError, match=str(MAX_NODES)) as raised:
        read("\n".join(levels))
    assert time.monotonic() - begun < 5
    assert raised.value.code == "manifest.syntax"


def test_an_alias_inside_of_its_own_anchor_is_unknown() -> None:
    with pytest.raises(UsageError, match="unknown alias"):
        read("a: &a [*a]\n")


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    with pytest.raises(UsageError, match="larger than 1 MiB"):
        compose(b"#" * (MAX_BYTES + 1), "m.yaml")


@pytest.mark.parametrize(
    "raw, line",
    [(b"a: 1\nb: \xff\n", 2), (b"\xff\xfea\x00", 1)],
)
def test_what_is_not_utf_8_is_refused_at_its_line(raw: bytes, line: int) -> None:
    with pytest.raises(UsageError, match="not UTF-8") as raised:
        compose(raw, "m.yaml")
    assert raised.value.message.startswith(f"m.yaml:{line}: ")


def test_a_syntax_error_never_quotes_the_line() -> None:
    with pytest.raises(UsageError) as raised:
        read("password: hunter2 : x\n  y: [\n")
    assert "hunter2" not in f"{raised.value.message}{raised.value.hint}{raised.value.context}"


@pytest.mark.parametrize("number", ["9" * 5000, "1e999", "-1e999", "1" * 400 + ".5", "1e99999999999"])
def test_numbers_that_python_would_not_keep_are_refused(number: str) -> None:
    with pytest.raises(UsageError, match="number"):
        value(number)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**6), max_value=10**6))
def test_a_short_decimal_is_read_exactly_or_not_at_all(number: object) -> None:
    found = value(str(number))
    assert isinstance(found, int | float)
    assert f"{found:.3f}" == f"{number:.3f}"


def code_of(raw: bytes) -> str | None:
    try:
        compose(raw, "m.yaml").plain()
    except UsageError as error:
        return error.code
    return None


@given(st.text(max_size=200))
def test_any_text_is_a_tree_or_a_usage_error(text: str) -> None:
    assert code_of(text.encode(errors="surrogatepass")) in {None, "manifest.syntax"}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_tree_or_a_usage_error(raw: bytes) -> None:
    assert code_of(raw) in {None, "manifest.syntax"}
