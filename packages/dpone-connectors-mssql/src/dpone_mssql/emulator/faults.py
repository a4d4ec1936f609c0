"""Errors of the emulator and of the PostgreSQL behind it, by the numbers that SQL Server has for them."""

from __future__ import annotations

_NUMBERS = {
    "22001": (2628, "String or binary data would be truncated."),
    "22003": (8115, "Arithmetic overflow error."),
    "22007": (241, "Conversion failed when converting date and/or time from character string."),
    "22008": (242, "The conversion resulted in an out-of-range value."),
    "22012": (8134, "Divide by zero error encountered."),
    "22P02": (245, "Conversion failed."),
    "23502": (515, "Cannot insert the value NULL into a column; column does not allow nulls."),
    "23503": (547, "The statement conflicted with a FOREIGN KEY constraint."),
    "23505": (2627, "Violation of PRIMARY KEY constraint. Cannot insert duplicate key in object."),
    "23514": (547, "The statement conflicted with a CHECK constraint."),
    "25006": (3906, "Failed to update database because the database is read-only."),
    "3F000": (2760, "The specified schema name either does not exist or you do not have permission to use it."),
    "40001": (3960, "Snapshot isolation transaction aborted due to update conflict."),
    "40313": (313, "An insufficient number of arguments were supplied for the procedure or function."),
    "4C905": (4905, "ALTER TABLE SWITCH statement failed."),
    "4C926": (22926, "Could not create a capture instance."),
    "4C943": (4943, "ALTER TABLE SWITCH statement failed."),
    "4C962": (22962, "Could not create a capture instance."),
    "4C996": (4996, "Change tracking is already enabled."),
    "4C997": (4997, "Change tracking requires a primary key."),
    "4C998": (4998, "Change tracking is not enabled."),
    "40P01": (1205, "Transaction was deadlocked on resources with another process. Rerun the transaction."),
    "42501": (229, "The permission was denied on the object."),
    "42601": (102, "Incorrect syntax."),
    "42701": (2705, "Column names in each table must be unique."),
    "42702": (209, "Ambiguous column name."),
    "42703": (207, "Invalid column name."),
    "42704": (2715, "Cannot find data type."),
    "42804": (206, "Operand type clash."),
    "42846": (529, "Explicit conversion is not allowed."),
    "42883": (8117, "Operand data type is invalid for the operator, or the function is not there."),
    "42P01": (208, "Invalid object name."),
    "42P07": (2714, "There is already an object of that name in the database."),
    "42P18": (8117, "Operand data type is invalid."),
    "53100": (1105, "Could not allocate space for the object because the filegroup is full."),
    "55P03": (1222, "Lock request time out period exceeded."),
    "57014": (3617, "The operation was cancelled."),
    "2BP01": (3729, "Cannot drop the object because it is being referenced."),
    "428C9": (271, "The column cannot be modified because it is a computed or an identity column."),
}


class Fault(Exception):
    def __init__(self, number: int, message: str, severity: int = 16) -> None:
        super().__init__(message)
        self.number = number
        self.message = message
        self.severity = severity


class Refused(Fault):
    """A statement that the emulator does not carry out; no error of SQL Server says so."""

    def __init__(self, what: str) -> None:
        super().__init__(40514, what)


def from_postgres(state: str, said: str) -> Fault:
    """The number says what happened; the text behind it is PostgreSQL's and says where."""
    number, message = _NUMBERS.get(state, (50000, "The emulator's PostgreSQL said:"))
    return Fault(number, f"{message} [{state}] {said}", 13 if number == 1205 else 16)  # noqa: PLR2004 - a deadlock's
