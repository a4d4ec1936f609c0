"""Planted bugs, and whether the certification noticed them, as a document."""
