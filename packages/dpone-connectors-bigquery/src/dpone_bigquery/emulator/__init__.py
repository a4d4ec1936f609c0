"""A stand-in for BigQuery on this machine: its REST interface over DuckDB, for tests. It listens on loopback alone.

It proves our client's calls, our statements as far as another grammar reads them, and the order of our transactions. It
proves nothing about Google's engine: `GAPS` says in what it is known to differ.
"""

from __future__ import annotations

GAPS = (
    "a product, a quotient or any other function of a BIGNUMERIC is refused; sums, comparisons and casts are whole",
    "TO_JSON_STRING of a record or an array writes a BIGNUMERIC within it without its point",
    "a correlated subquery is never refused, whatever BigQuery's planner could make of it",
    "names of columns and tables are not checked",
    "tables whose names differ in case alone cannot both be there",
    "bytes processed are always zero, quotas are never exceeded, and nothing expires",
    "JSON keeps numbers that a double cannot hold, which PARSE_JSON refuses",
    "GEOGRAPHY and RANGE are texts; INTERVAL is what DuckDB makes of it",
    "access policies, policy tags and permissions are not there",
    "a load of JSON takes no column of BIGNUMERIC, and overlooks fields that its schema does not name",
    "jobs are done when the answer to their insertion comes",
)
