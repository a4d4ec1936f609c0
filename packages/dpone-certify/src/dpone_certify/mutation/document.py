"""`dpone.certification_mutation.v1`: which bugs were planted in a run of the real engine, and which case went red."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dpone_certify.certification.document import Count
from dpone_certify.documents.document import Document, Part

NAME = "certification_mutation"

Seam = Literal["reader", "wire", "stage", "operation", "position", "comparator"]
# `equivalent`: the oracle shows that on this data the bug changes nothing; named, and not counted
MutantState = Literal["killed", "survived", "equivalent", "error"]


class Mutant(Part):
    """One bug under one strategy. `noticed_by` is the case and the check that went red."""

    name: str
    seam: Seam
    strategy: str
    state: MutantState
    noticed_by: str = ""
    detail: str = ""


class CertificationMutation(Document):
    """Passes when enough bugs were planted at every seam and every one that differs was noticed."""

    schema_version: Literal["dpone.certification_mutation.v1"] = "dpone.certification_mutation.v1"
    bug_count: Count  # different bugs, each under several strategies
    mutant_count: Count
    killed_count: Count
    survived_count: Count
    equivalent_count: Count
    score: Annotated[float, Field(ge=0, le=1)]
    duration_seconds: float
    mutants: tuple[Mutant, ...]
