"""What is certified, which core's own evidence names in the same way."""

from __future__ import annotations

from dpone.evidence.subject import differences, digest_of, digest_of_sources, subject

__all__ = ["differences", "digest_of", "digest_of_sources", "subject"]
