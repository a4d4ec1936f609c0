"""Values of rows as plain JSON and back, exactly: what the files of a store hold, and the tokens of its positions."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal

from dpone.connector import Json


def encode(value: object) -> Json:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else {"float": str(value)}
        case Decimal():
            return {"decimal": str(value)}
        case bytes():
            return {"bytes": value.hex()}
        case datetime():
            return {"datetime": (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()}
        case date():
            return {"date": value.isoformat()}
        case time():
            return {"time": value.isoformat()}
        case list() | tuple():
            return {"list": [encode(v) for v in value]}
        case dict():
            return {"map": [[encode(k), encode(v)] for k, v in value.items()]}
        case _:
            raise TypeError(type(value).__name__)


def decode(value: Json) -> object:
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    match kind:
        case "float":
            return float(inner)
        case "decimal":
            return Decimal(inner)
        case "bytes":
            return bytes.fromhex(inner)
        case "datetime":
            return datetime.fromisoformat(inner)
        case "date":
            return date.fromisoformat(inner)
        case "time":
            return time.fromisoformat(inner)
        case "list":
            return [decode(v) for v in inner]
        case "map":
            return {decode(k): decode(v) for k, v in inner}
        case _:
            raise ValueError(kind)
