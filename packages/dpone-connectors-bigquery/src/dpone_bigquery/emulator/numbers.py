"""BIGNUMERIC in DuckDB, whose decimals end at 38 digits: a BIGNUM, which is the number times 10 to the 38th.

A BIGNUM has equality, order and sums; whatever else there is of a BIGNUMERIC goes by its text.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

SCALE = 38
_LIMIT = 2**255  # of the BIGNUM, on both sides of zero
_EXACT = Context(prec=200, rounding=ROUND_HALF_UP)  # Decimal's half up is away from zero

# What a number's type is, is known when a statement is bound: of each CASE one branch is left. `bignumeric` takes any
# number, and a text of one, and leaves a BIGNUMERIC as it is; so it may be said of whatever might be one. A value is
# refused by a cast that fails: DuckDB's own error() keeps a join from being planned by hash. To bind `bignumeric` takes
# 7 ms a column; `of_integer` and `of_numeric` are for columns that are known to be no more. No sum of those is out of
# range: a NUMERIC of 29 digits needs 10^9 rows for that.
MACROS = f"""
CREATE OR REPLACE MACRO __emulator.refused(why, b) AS CAST(why || ': ' || CAST(b AS VARCHAR) AS BIGNUM);
CREATE OR REPLACE MACRO __emulator.ranged(b) AS CASE
  WHEN b >= CAST('{_LIMIT}' AS BIGNUM) OR b < CAST('-{_LIMIT}' AS BIGNUM)
  THEN __emulator.refused('BIGNUMERIC overflow', b) ELSE b END;
CREATE OR REPLACE MACRO __emulator.half(t) AS CAST(
  CASE WHEN substr(split_part(t, '.', 2), {SCALE} + 1, 1) < '5' THEN '0' WHEN t LIKE '-%' THEN '-1' ELSE '1' END
  AS BIGNUM);
CREATE OR REPLACE MACRO __emulator.shifted(t) AS __emulator.ranged(
  CAST(split_part(t, '.', 1) || rpad(split_part(t, '.', 2), {SCALE}, '0') AS BIGNUM) + __emulator.half(t));
CREATE OR REPLACE MACRO __emulator.bignumeric(x) AS CASE
  WHEN typeof(x) = 'BIGNUM' THEN TRY_CAST(x AS BIGNUM)
  WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN __emulator.shifted(format('{{:.60f}}', TRY_CAST(x AS DOUBLE)))
  ELSE __emulator.shifted(CAST(x AS VARCHAR)) END;
CREATE OR REPLACE MACRO __emulator.of_integer(x) AS CAST(CAST(x AS VARCHAR) || '{"0" * SCALE}' AS BIGNUM);
CREATE OR REPLACE MACRO __emulator.of_numeric(x) AS CAST(
  split_part(CAST(x AS VARCHAR), '.', 1) || rpad(split_part(CAST(x AS VARCHAR), '.', 2), {SCALE}, '0') AS BIGNUM);
CREATE OR REPLACE MACRO __emulator.unsigned(b) AS ltrim(CAST(b AS VARCHAR), '-');
CREATE OR REPLACE MACRO __emulator.padded(b) AS
  lpad(__emulator.unsigned(b), greatest({SCALE} + 1, CAST(length(__emulator.unsigned(b)) AS INTEGER)), '0');
CREATE OR REPLACE MACRO __emulator.spelled(b) AS
  CASE WHEN CAST(b AS VARCHAR) LIKE '-%' THEN '-' ELSE '' END
  || rtrim(rtrim(substr(__emulator.padded(b), 1, CAST(length(__emulator.padded(b)) AS INTEGER) - {SCALE})
  || '.' || right(__emulator.padded(b), {SCALE}), '0'), '.');
CREATE OR REPLACE MACRO __emulator.plain(x) AS
  CASE WHEN typeof(x) = 'BIGNUM' THEN __emulator.spelled(x) ELSE CAST(x AS VARCHAR) END;
CREATE OR REPLACE MACRO __emulator.nudged(b, scale) AS b + CAST(
  CASE WHEN scale = {SCALE} THEN '0' ELSE CASE WHEN b < CAST('0' AS BIGNUM) THEN '-5' ELSE '5' END
  || repeat('0', {SCALE} - 1 - scale) END AS BIGNUM);
CREATE OR REPLACE MACRO __emulator.cut(b, scale) AS
  CASE WHEN CAST(b AS VARCHAR) LIKE '-%' THEN '-' ELSE '' END
  || substr(__emulator.padded(b), 1, CAST(length(__emulator.padded(b)) AS INTEGER) - {SCALE} + scale)
  || repeat('0', {SCALE} - scale);
CREATE OR REPLACE MACRO __emulator.rounded(b, scale) AS
  CAST(__emulator.cut(__emulator.nudged(b, scale), scale) AS BIGNUM);
CREATE OR REPLACE MACRO __emulator.fits(b, digits, scale) AS
  length(__emulator.unsigned(b)) <= digits - scale + {SCALE};
CREATE OR REPLACE MACRO __emulator.bounded(b, digits, scale) AS CASE
  WHEN __emulator.fits(__emulator.rounded(b, scale), digits, scale) THEN __emulator.rounded(b, scale)
  ELSE __emulator.refused('out of range of BIGNUMERIC(' || digits || ', ' || scale || ')', b) END;
"""


def shifted(text: str) -> str | None:
    """The BIGNUM of a number's text, or None when BIGNUMERIC has no such number."""
    try:
        number = _EXACT.scaleb(Decimal(text), SCALE).quantize(Decimal(1), context=_EXACT)
    except InvalidOperation:
        return None
    return str(int(number)) if -_LIMIT <= number < _LIMIT else None


def spelled(bignum: str) -> str:
    """The BIGNUMERIC that a BIGNUM stands for, as the interface answers it."""
    sign, digits = ("-", bignum[1:]) if bignum.startswith("-") else ("", bignum)
    digits = digits.zfill(SCALE + 1)
    whole, behind = digits[:-SCALE], digits[-SCALE:].rstrip("0")
    return f"{sign}{whole}.{behind}" if behind else f"{sign}{whole}"
