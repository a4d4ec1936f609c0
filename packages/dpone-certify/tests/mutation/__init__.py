"""Planted bugs, and that the certification notices them."""
