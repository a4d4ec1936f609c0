"""What an answer's text becomes: exact, in any encoding of Unicode, and an error where it is no JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dpone.errors import DponeError
from dpone_rest.answers import Place, document_of
from dpone_rest.client import Answer


def answer(body: bytes) -> Answer:
    return Answer("https://api/orders", 200, {}, body)


@pytest.mark.parametrize(
    "body, found",
    [
        (b"[12345678901234567890123456789]", [12345678901234567890123456789]),
        (
            b"[0.1000000000000000055511151231257827, 1e400, -0.0]",
            [b"0.1000000000000000055511151231257827", b"1e400", b"-0.0"],
        ),
        (b' {"a": "\xc3\xa9", "a": null} ', {"a": None}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'["\\ud800"]', ["\ud800"]),  # half a letter, which is refused with its column
        ('["é"]'.encode("utf-8-sig"), ["é"]),
        ('["é"]'.encode("utf-16"), ["é"]),
        ('["é"]'.encode("utf-32-be"), ["é"]),
    ],
)
def test_every_digit_and_letter_of_a_document_stays(body: bytes, found: Any) -> None:
    assert document_of(answer(body)) == found


def test_where_a_path_computes_with_records_fractions_are_numbers() -> None:
    assert document_of(answer(b"[1.10, 1e400]"), Place("records", "[?a > `1`]")) == [Decimal("1.10"), Decimal("1e400")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[1] [2]",
        b"[NaN]",
        b"[-Infinity]",
        b'["\xe9"]',
        b"\xff\xfe[",
        b"[" * 100_000,
        b"[1e99999999999999999999]",
    ],
)
def test_what_is_no_json_is_said(body: bytes) -> None:
    with pytest.raises(DponeError) as caught:
        document_of(answer(body), Place("records", "[?a > `1`]"))
    assert caught.value.code == "rest.invalid_json"
