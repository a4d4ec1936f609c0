"""Bundles: files that belong together, hashed and judged in one document."""
