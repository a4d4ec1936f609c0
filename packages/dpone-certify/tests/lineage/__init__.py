"""Lineage as evidence."""
