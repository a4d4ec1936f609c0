"""The graph of a dbt run as evidence: its nodes, tests and statuses, stitched to the datasets that dpone loads."""
