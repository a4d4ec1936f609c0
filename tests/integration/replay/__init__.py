"""Replay on clients that are injected into the process, and on an embedded PostgreSQL."""
