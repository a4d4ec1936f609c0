"""Columns between dpone and BigQuery: a field's native type, and the interface's description of a column."""

from __future__ import annotations

from collections.abc import Iterable

from google.cloud import bigquery
from msgspec.structs import replace

from dpone.schema import Field
from dpone_bigquery.dialect import BIGQUERY
from dpone_bigquery.native import ENGINE, Native, parse_native
from dpone_bigquery.typemap import read

_WORDS = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}


def native_of(column: bigquery.SchemaField) -> Native:
    """The column's type as statements spell it."""
    word = _WORDS.get(column.field_type, column.field_type).partition("(")[0]
    inner: tuple[Native, ...] = ()
    sizes: tuple[int, ...] = ()
    if word == "STRUCT":
        inner = tuple(replace(native_of(part), name=part.name) for part in column.fields)
    elif word == "RANGE" and column.range_element_type is not None:
        inner = (Native(column.range_element_type.element_type),)
    elif column.max_length is not None:
        sizes = (int(column.max_length),)
    elif column.precision is not None:
        sizes = (int(column.precision), *([int(column.scale)] if column.scale else []))
    found = Native(word, sizes, inner)
    return Native("ARRAY", inner=(found,)) if column.mode == "REPEATED" else found


def field_of(column: bigquery.SchemaField) -> Field:
    """The column as core knows it; an ARRAY is never NULL, and takes what is."""
    native = str(native_of(column))
    return Field(column.name, read(native), nullable=column.mode != "REQUIRED", native=f"{ENGINE}:{native}")


def columns_of(
    fields: Iterable[Field], *, loose: bool = False, texts: frozenset[str] = frozenset()
) -> list[bigquery.SchemaField]:
    """The columns that BigQuery makes of fields; with `loose` all take NULL; those in `texts` are STRING."""
    made = []
    for field in fields:
        native = Native("STRING") if field.name in texts else parse_native(BIGQUERY.spell(field))
        mode = "NULLABLE" if loose or field.nullable else "REQUIRED"
        made.append(_column(field.name, native, mode))
    return made


def _column(name: str, native: Native, mode: str = "NULLABLE") -> bigquery.SchemaField:
    if native.word == "ARRAY":
        return _column(name, native.inner[0], "REPEATED")
    if native.word == "STRUCT":
        parts = [_column(part.name, replace(part, name="")) for part in native.inner]
        return bigquery.SchemaField(name, "STRUCT", mode=mode, fields=parts)
    if native.word == "RANGE":
        return bigquery.SchemaField(name, "RANGE", mode=mode, range_element_type=native.inner[0].word)
    if native.word in {"STRING", "BYTES"} and native.sizes:
        return bigquery.SchemaField(name, native.word, mode=mode, max_length=native.sizes[0])
    if native.sizes:
        digits, *scale = native.sizes
        if not scale:
            return bigquery.SchemaField(name, native.word, mode=mode, precision=digits)
        return bigquery.SchemaField(name, native.word, mode=mode, precision=digits, scale=scale[0])
    return bigquery.SchemaField(name, native.word, mode=mode)
