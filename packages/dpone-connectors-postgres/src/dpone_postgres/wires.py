"""The wire formats that PostgreSQL speaks, best first, and the reasons why a column must not travel in one."""

from __future__ import annotations

from dpone.batch import ARROW, PG_BINARY, PG_TEXT, Wire
from dpone.schema import Field, Kind, Landing
from dpone_postgres.spelling import Spelling, parse_spelling
from dpone_postgres.typemap import ENGINE, widens

# numbers of objects in their binary form: the same number means another object at another server
_BY_NUMBER = frozenset(
    {
        *("regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator"),
        *("regproc", "regprocedure", "regrole", "regtype"),
    }
)
_WITHOUT_BINARY = frozenset({"aclitem", "gtsvector", "txid_snapshot_out"})
# foreign fields whose canonical text PostgreSQL reads as it is
_TEXT_KINDS = frozenset(
    {
        *(Kind.BOOL, Kind.INT, Kind.UINT, Kind.FLOAT, Kind.DECIMAL, Kind.STRING, Kind.DATE, Kind.TIME),
        *(Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.UUID, Kind.JSON),
    }
)


def binary_refusal(field: Field, landing: Landing) -> str | None:
    """Why COPY BINARY would not keep the column: the bytes mean something in one type only."""
    native = field.native_of(ENGINE)
    if native is None:
        return "its bytes are those of another engine"
    if parse_spelling(native) != parse_spelling(landing.native):
        return f"{native} is not {landing.native}"
    return _binary_hazard(parse_spelling(native))


def _binary_hazard(spelled: Spelling) -> str | None:
    if spelled.is_user_defined:
        return f"{spelled.base} has another number in another database, and the binary form may hold it"
    if spelled.base in _BY_NUMBER:
        return f"{spelled.base} is a number of an object, and its name is what means something elsewhere"
    if spelled.base in _WITHOUT_BINARY:
        return f"{spelled.base} has no binary form"
    return None


def emitted_text_refusal(_field: Field, _landing: Landing) -> str | None:
    """The server prints every type of its own; whether the text is understood is the sink's to say."""
    return None


def accepted_text_refusal(field: Field, landing: Landing) -> str | None:
    """Why the text of a column would not be read back as the same value."""
    native = field.native_of(ENGINE)
    if native is not None:
        if parse_spelling(native) == parse_spelling(landing.native) or widens(native, landing.native):
            return None
        return f"{native} does not widen to {landing.native}"
    if field.type.kind in _TEXT_KINDS:
        return None
    return f"the text of {field.type} differs between engines"


EMITS = (Wire(PG_BINARY, binary_refusal), Wire(PG_TEXT, emitted_text_refusal), Wire(ARROW))
ACCEPTS = (Wire(PG_BINARY, binary_refusal), Wire(PG_TEXT, accepted_text_refusal), Wire(ARROW))
