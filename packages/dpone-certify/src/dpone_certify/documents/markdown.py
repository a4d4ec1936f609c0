"""Pieces of Markdown that every document is rendered with, core's own evidence as well."""

from __future__ import annotations

from dpone.evidence.markdown import escaped, head, table

__all__ = ["escaped", "head", "table"]
