"""The registry of runs."""
