"""Blockers as SARIF, so that code scanning shows them beside the code: one rule for each kind, one result for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dpone_certify.documents.document import Document

_HELP = "docs/reference/blockers.md"
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif_of(document: Document, path: Path) -> dict[str, Any]:
    """The log of a document whose file is `path`; it has no result when nothing blocks."""
    rules = list(dict.fromkeys(b.code.partition(":")[0] for b in document.blockers))
    where = {"physicalLocation": {"artifactLocation": {"uri": path.as_posix()}, "region": {"startLine": 1}}}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": document.producer,
                        "rules": [
                            {"id": rule, "shortDescription": {"text": rule}, "help": {"text": f"{_HELP}#{rule}"}}
                            for rule in rules
                        ],
                    }
                },
                "results": [
                    {
                        "ruleId": blocker.code.partition(":")[0],
                        "ruleIndex": rules.index(blocker.code.partition(":")[0]),
                        "level": "error",
                        "message": {"text": f"{blocker.code}: {blocker.message}. {blocker.action}"},
                        "locations": [where],
                        "partialFingerprints": {"blocker/v1": blocker.code},
                    }
                    for blocker in document.blockers
                ],
            }
        ],
    }
