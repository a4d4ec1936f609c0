"""Badges: one line for each pair, which never says more than was proven."""
