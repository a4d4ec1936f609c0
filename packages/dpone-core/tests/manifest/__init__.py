"""Manifests: what is read, what is refused, and how a mistake is told."""
