"""Pipelines into BigQuery, and what they send to it."""
