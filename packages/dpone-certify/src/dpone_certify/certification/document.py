"""`dpone.certification_report.v1`: which cases ran, on what, and what was compared in each."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dpone_certify.documents.document import Blocker, Document, Part

NAME = "certification_report"

Profile = Literal["mock_contract", "mock_local", "vendor_live"]
State = Literal["passed", "failed", "error", "skipped", "not_run", "unknown", "stale"]
Fidelity = Literal["contract", "emulated", "real", "vendor"]
Provider = Literal["none", "docker", "embedded", "emulated", "java", "given"]
CheckName = Literal[
    "manifest",
    "statements",
    "guide",
    "package",
    "three_computations",
    "sampled_wide_columns",
    "first_load",
    "second_load",
    "unchanged_rerun",
    "empty_source",
    "added_column",
    "position",
    "wide_columns",
    "killed",
    "cut_off",
]

FIDELITIES: tuple[Fidelity, ...] = ("contract", "emulated", "real", "vendor")  # how much a green case proves
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Ends(Part):
    """How much each end proves: a case's fidelity is the lower of the two."""

    source: Fidelity
    sink: Fidelity


class Providers(Part):
    """How each end was had; `none` where nothing was started for it."""

    source: Provider
    sink: Provider


class Check(Part):
    """One thing that was looked at. Counts and checksums are null where nothing was compared."""

    name: CheckName
    state: State
    detail: str = ""
    expected_row_count: Count | None = None
    actual_row_count: Count | None = None
    expected_checksum: Sha256 | None = None
    actual_checksum: Sha256 | None = None
    duration_seconds: float = 0.0

    @model_validator(mode="after")
    def _passes_only_alike(self) -> Self:
        if self.state == "passed" and (
            self.expected_row_count != self.actual_row_count or self.expected_checksum != self.actual_checksum
        ):
            raise ValueError(f"{self.name} does not pass: what was found is not what was expected")
        return self


class Result(Part):
    """One case. Counts and checksums are those of the last comparison; only the state `passed` counts."""

    case_id: str
    source: str
    sink: str
    strategy: str
    state: State
    reason: str = ""  # of a state that is neither passed nor failed
    passed: bool
    fidelity: Ends
    provider: Providers
    expected_row_count: Count | None
    actual_row_count: Count | None
    expected_checksum: Sha256 | None
    actual_checksum: Sha256 | None
    checks: tuple[Check, ...]
    duration_seconds: float
    repro: str
    artifact_path: str | None
    blockers: tuple[Blocker, ...]

    @property
    def is_executed(self) -> bool:
        """Both ends were services; nothing of the run was computed in their place."""
        return "contract" not in {self.fidelity.source, self.fidelity.sink}

    @property
    def lower_fidelity(self) -> Fidelity:
        return min(self.fidelity.source, self.fidelity.sink, key=FIDELITIES.index)


class Volume(Part):
    """How many rows a case moves, and how they change between its two loads."""

    row_count: Count
    changed: Count
    deleted: Count
    updated: Count
    inserted: Count
    wide_columns: Count
    change_ratio: float
    delete_ratio: float
    seed: int


class Selection(Part):
    """The cases that were asked for: comma lists or `*`, and the part of them that this run took."""

    source: str = "*"
    sink: str = "*"
    strategy: str = "*"
    case_id: str = "*"
    shard: Annotated[str, Field(pattern=r"^[1-9][0-9]*/[1-9][0-9]*$")] = "1/1"

    @property
    def is_whole(self) -> bool:
        return self == Selection()


class CertificationReport(Document):
    """Passes when every case that was selected is there once and passed, and no specified connector is missing."""

    schema_version: Literal["dpone.certification_report.v1"] = "dpone.certification_report.v1"
    profile: Profile
    case_count: Count
    executed_count: Count
    contract_count: Count
    registry_digest: Sha256
    selection: Selection
    volume: Volume
    duration_seconds: float
    results: tuple[Result, ...]


class Difference(Part):
    """A row that is not as it should be, found by one check: what had to be there, and what was, as text."""

    check: CheckName
    kind: str
    key: tuple[str, ...]
    expected: dict[str, str] | None
    found: dict[str, str] | None


class BehaviorArtifact(Document):
    """One case as it was found: `<case_id>__behavior.json`; the differing rows are masked under vendor_live."""

    schema_version: Literal["dpone.case_behavior.v1"] = "dpone.case_behavior.v1"
    profile: Profile
    registry_digest: Sha256
    volume: Volume
    result: Result
    manifest: str
    program: tuple[str, ...]
    statements: tuple[str, ...]
    notes: tuple[str, ...]
    differing: tuple[Difference, ...]
