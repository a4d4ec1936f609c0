"""Objects within a record as columns of their own, by one rule: the names on the way, with a separator between."""

from __future__ import annotations

from typing import Any

from dpone_rest.answers import Record
from dpone_rest.faults import flattened_twice


def flattened(record: Record, separator: str) -> Record:
    """The record without objects in it; lists stay as they are, and an empty object is no column."""
    if dict not in set(map(type, record.values())):
        return record
    flat: Record = {}
    _lay(flat, record, "", separator)
    return flat


def _lay(flat: Record, part: dict[str, Any], prefix: str, separator: str) -> None:
    for name, value in part.items():
        column = prefix + name
        if isinstance(value, dict):
            _lay(flat, value, column + separator, separator)
        elif column in flat:
            raise flattened_twice(column)
        else:
            flat[column] = value
