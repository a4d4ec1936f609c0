"""The release summary: one verdict over the chains and suites of a release."""
