"""The model of every document, which core's own evidence shares."""

from __future__ import annotations

from dpone.evidence.document import Artifact, Blocker, Distribution, Document, Part, Subject, now, verdict

__all__ = ["Artifact", "Blocker", "Distribution", "Document", "Part", "Subject", "now", "verdict"]
