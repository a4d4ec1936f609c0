"""BIGNUMERIC in DuckDB, whose decimals end at 38 digits: a BIGNUM, which is the number times 10 to the 38th.

A BIGNUM has equality, order and sums; whatever else there is of a BIGNUMERIC goes by its text.
"""

from __future__ import annotations

SCALE = 38
_LIMIT = 2**255  # of the BIGNUM, on both sides of zero

# `bignumeric` takes whatever is a number, and what is a BIGNUMERIC already stays so: its branches are chosen when the
# statement is bound. Of a text `shifted` is the BIGNUM.
MACROS = f"""
CREATE OR REPLACE MACRO __emulator.ranged(b) AS CASE
  WHEN b >= CAST('{_LIMIT}' AS BIGNUM) OR b < CAST('-{_LIMIT}' AS BIGNUM) THEN error('BIGNUMERIC overflow') ELSE b END;
CREATE OR REPLACE MACRO __emulator.shifted(t) AS
  CAST(split_part(t, '.', 1) || rpad(split_part(t, '.', 2), {SCALE}, '0') AS BIGNUM);
CREATE OR REPLACE MACRO __emulator.bignumeric(x) AS CASE
  WHEN typeof(x) = 'BIGNUM' THEN CAST(CAST(x AS VARCHAR) AS BIGNUM)
  WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN __emulator.shifted(format('{{:.{SCALE}f}}', TRY_CAST(x AS DOUBLE)))
  ELSE __emulator.shifted(CAST(x AS VARCHAR)) END;
"""


def spelled(bignum: str) -> str:
    """The BIGNUMERIC that a BIGNUM stands for, as the interface answers it."""
    sign, digits = ("-", bignum[1:]) if bignum.startswith("-") else ("", bignum)
    digits = digits.zfill(SCALE + 1)
    whole, behind = digits[:-SCALE], digits[-SCALE:].rstrip("0")
    return f"{sign}{whole}.{behind}" if behind else f"{sign}{whole}"
