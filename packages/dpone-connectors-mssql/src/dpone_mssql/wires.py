"""The wire formats that SQL Server speaks, best first, and why a column must not travel in one."""

from __future__ import annotations

from dpone.batch import ARROW, Format, Wire
from dpone.schema import Field, Landing
from dpone_mssql.typemap import ENGINE, parse

# Arrow batches in SQL Server's own terms, from one SQL Server to another: a datetimeoffset is text with its offset, and
# a datetime2 of seven digits keeps all its years. Arrow's nanoseconds end in 2262, and its instants have no offset.
MSSQL_ARROW = Format("mssql_arrow")


def own_refusal(field: Field, _landing: Landing) -> str | None:
    """Why the server's own terms mean nothing to the other end."""
    return None if field.native_of(ENGINE) is not None else "the column does not come from SQL Server"


def arrow_refusal(field: Field, landing: Landing) -> str | None:
    """Why plain Arrow would not keep what same-engine copies promise."""
    native = field.native_of(ENGINE)
    if native is not None and parse(native).name == "datetimeoffset" == _name(landing):
        return "Arrow holds the instant of a datetimeoffset and not its offset"
    return None


def _name(landing: Landing) -> str:
    """The landing's type, where it is one of SQL Server's; another engine's sink spells types of its own."""
    return landing.native.partition("(")[0].strip().lower()


EMITS = (Wire(MSSQL_ARROW, own_refusal), Wire(ARROW, arrow_refusal))
ACCEPTS = (Wire(MSSQL_ARROW, own_refusal), Wire(ARROW, arrow_refusal))
