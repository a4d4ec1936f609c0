"""Reconciliation on demand: the rows of a source against those of its target, without moving what is equal."""
