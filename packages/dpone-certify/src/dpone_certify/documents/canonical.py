"""The one spelling of a document, which core's own evidence shares."""

from __future__ import annotations

from dpone.evidence.canonical import canonical, parse, relative, sha256, sha256_of, write

__all__ = ["canonical", "parse", "relative", "sha256", "sha256_of", "write"]
