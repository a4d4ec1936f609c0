"""The findings as a document that can be sent to whoever helps: `dpone.doctor.v1`, without secrets.

`python -m dpone.doctor.diagnosis docs/reference/schemas/doctor.schema.json` publishes its schema.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from dpone.connector import Finding
from dpone.evidence.canonical import canonical
from dpone.evidence.document import Blocker, Document, Part, now, verdict
from dpone.evidence.subject import subject

SCHEMA_VERSION: Literal["dpone.doctor.v1"] = "dpone.doctor.v1"


class Examined(Part):
    """One finding; `action` is empty where there is nothing to do."""

    name: str
    status: Literal["ok", "warning", "failed", "skipped"]
    found: str
    action: str


class Diagnosis(Document):
    """All findings of a profile. It passes when nothing failed."""

    schema_version: Literal["dpone.doctor.v1"] = SCHEMA_VERSION
    profile: str
    python: str
    system: str
    findings: tuple[Examined, ...]


def diagnosis(profile: str, findings: Sequence[Finding]) -> Diagnosis:
    """The document; each failed finding is a blocker."""
    examined = tuple(
        Examined(name=f.name, status=f.status, found=f.found, action="" if f.ok else f.action) for f in findings
    )
    failed = (e for e in examined if e.status == "failed")
    return Diagnosis(
        created_at=now(),
        producer=f"dpone-core {version('dpone-core')}",
        subject=subject(),
        profile=profile,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        findings=examined,
        **verdict(Blocker(code=f"doctor.failed:{e.name}", message=e.found, action=e.action) for e in failed),
    )


def print_schema() -> str:
    """The JSON Schema of the document, as it is published."""
    found = Diagnosis.model_json_schema(mode="serialization")
    return canonical({"$schema": "https://json-schema.org/draft/2020-12/schema", **found})


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(print_schema(), encoding="utf-8")
