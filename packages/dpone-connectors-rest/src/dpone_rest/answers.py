"""Answers as values, every number exact, and the places in them that a manifest names."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, Never

import jmespath
from jmespath.exceptions import JMESPathError
from msgspec import DecodeError
from msgspec.json import Decoder

from dpone_rest.client import Answer
from dpone_rest.faults import bad_expression, bad_total, inapplicable, no_records, not_json

Record = dict[str, Any]
# A number with a fraction or an exponent is kept as the bytes of its text, which no other value of JSON is: every digit
# stays, and Arrow reads it without a Python number in between. Where a path computes with records it is a Decimal.
Fraction = bytes | Decimal


_DIGITS: Decoder[Any] = Decoder(float_hook=str.encode)
_NUMBERS: Decoder[Any] = Decoder(float_hook=Decimal)
_REFUSALS = (DecodeError, ValueError, RecursionError, InvalidOperation)


class Place:
    """A JMESPath of the manifest; `name` is the key that holds it."""

    def __init__(self, name: str, expression: str) -> None:
        self.name = name
        self.expression = expression
        self.computes = any(sign in expression for sign in "?(&")  # compares or sorts, and needs numbers
        try:
            self._compiled = jmespath.compile(expression)
        except (JMESPathError, ValueError):
            raise bad_expression(name, expression) from None

    def find(self, document: Any) -> Any:
        """What is there; None when nothing is."""
        try:
            return self._compiled.search(document)
        except (JMESPathError, ValueError, TypeError):
            raise inapplicable(self.name, self.expression) from None


def place_at(name: str, expression: str | None) -> Place | None:
    return None if expression is None else Place(name, expression)


def document_of(answer: Answer, place: Place | None = None) -> Any:
    """The answer as Python values: whole numbers of any size, fractions with all their digits."""
    computes = place is not None and place.computes
    with suppress(*_REFUSALS):
        return (_NUMBERS if computes else _DIGITS).decode(answer.body)
    try:
        # four times slower; it knows other encodings, and halves of letters, whose column is then told
        return json.loads(answer.body, parse_float=Decimal if computes else str.encode, parse_constant=_no_number)
    except _REFUSALS:
        raise not_json(answer.url) from None


def _no_number(_: str) -> Never:
    raise ValueError  # NaN and Infinity, which are none of JSON


def records_of(answer: Answer, document: Any, place: Place | None) -> list[Record]:
    """The records of a page."""
    found = document if place is None else place.find(document)
    where = None if place is None else place.expression
    if not isinstance(found, list):
        raise no_records(answer.url, where, kind_of(found))
    if set(map(type, found)) - {dict}:
        other = next(one for one in found if not isinstance(one, dict))
        raise no_records(answer.url, where, f"a list with {kind_of(other)} in it")
    return found


def number_at(answer: Answer, document: Any, place: Place) -> int:
    """The whole number that a place of the answer must hold."""
    found = place.find(document)
    if isinstance(found, str) and found.isascii() and found.isdigit():
        return int(found)
    if isinstance(found, bool) or not isinstance(found, int):
        raise bad_total(answer.url, f"{place.name}: {place.expression}", kind_of(found))
    return found


def kind_of(value: Any) -> str:
    """What a value is in JSON's words, itself left out."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case int() | Decimal() | bytes():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"


def text_of(value: Any) -> str:
    """A value as JSON again: numbers keep their digits, names their order."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case bytes():
            return value.decode("ascii")
        case int() | Decimal():
            return str(value)
        case list():
            return "[" + ",".join(map(text_of, value)) + "]"
        case _:
            pairs = (f"{json.dumps(k, ensure_ascii=False)}:{text_of(v)}" for k, v in value.items())
            return "{" + ",".join(pairs) + "}"
