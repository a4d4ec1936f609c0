"""Runs dpone's integration matrix and judges the evidence."""
