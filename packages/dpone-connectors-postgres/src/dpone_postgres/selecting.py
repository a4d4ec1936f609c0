"""The SELECT that a reading is: columns under their new names, a relation or a query, and conditions."""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals, and of the manifest's own query

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from dpone.batch import ARROW, PG_BINARY, PG_TEXT, Format
from dpone.connector import CHANGE_FIELDS, ReadRequest
from dpone.readings import needs_table
from dpone.schema import INT64, STRING, Field, Schema
from dpone_postgres.catalog import Relation
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.typemap import ENGINE

SEQ, CHANGE, KEPT = CHANGE_FIELDS
CHANGE_COLUMNS: tuple[Field, ...] = (
    Field(SEQ, INT64, nullable=False, native=f"{ENGINE}:bigint"),
    Field(CHANGE, STRING, nullable=False, native=f"{ENGINE}:text"),
    Field(KEPT, STRING, native=f"{ENGINE}:text"),
)
_OPTIONS = {PG_BINARY: "FORMAT binary", PG_TEXT: "FORMAT text", ARROW: "FORMAT csv"}


class Subject(Struct, frozen=True):
    """What is read: a relation of the catalogue, or a query that was found to be one statement."""

    schema: Schema
    relation: Relation | None = None
    query: str | None = None

    @property
    def source(self) -> str:
        """The item of FROM, called `t`."""
        if self.relation is not None:
            return f"{POSTGRES.table(self.relation.name)} AS t"
        return f"(\n{self.query}\n) AS t"

    def table(self, purpose: str) -> Relation:
        """The relation, where `purpose` needs one that holds rows itself."""
        if self.relation is None or self.relation.kind not in {"r", "p"}:
            raise needs_table(purpose)
        return self.relation


def select(subject: Subject, request: ReadRequest, conditions: Sequence[str], beside: Sequence[str] = ()) -> str:
    """The rows that match the request's filter and all conditions, with the expressions of `beside` behind."""
    terms = [POSTGRES.where(request.where, "t", subject.schema.fields)] if request.where else []
    terms += conditions
    columns = [f"t.{POSTGRES.quote(c.source)} AS {POSTGRES.quote(c.name)}" for c in request.columns]
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    return f"SELECT {', '.join([*columns, *beside])} FROM {subject.source}{where}"


def typed_null(field: Field) -> str:
    return f"NULL::{POSTGRES.spell(field)}"


def copy_statement(query: str, as_format: Format) -> str:
    return f"COPY ({query}) TO STDOUT ({_OPTIONS[as_format]})"
