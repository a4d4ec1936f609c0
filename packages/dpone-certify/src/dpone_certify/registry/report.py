"""A run report as evidence: the parts of `dpone.run_report.v1` that a verdict rests on, strictly read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from dpone.observe.record import StreamReport, stream_of


class _Lenient(BaseModel):
    """A later version may say more; what is known here has its type."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


class OperationResult(_Lenient):
    op: str
    inserted: int = Field(ge=0)
    updated: int = Field(ge=0)
    deleted: int = Field(ge=0)


class Place(_Lenient):
    namespace: str
    name: str


class ColumnResult(_Lenient):
    name: str
    type: str
    source: str | None = None
    source_type: str | None = None
    change: str | None = None


class StreamResult(_Lenient):
    name: str
    reads: Place | None = None
    writes: Place | None = None
    columns: tuple[ColumnResult, ...] = ()
    decided_by: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    failed_check: str | None = None
    nbytes: int = Field(default=0, ge=0)
    source: str
    sink: str
    strategy: str
    status: str
    plan_digest: str
    rows_staged: int = Field(ge=0)
    rows_before: int = Field(ge=0)
    rows_after: int = Field(ge=0)
    operations: tuple[OperationResult, ...]
    loads: tuple[str, ...]
    error_code: str | None = None
    error: str | None = None

    @property
    def inserted(self) -> int:
        return sum(op.inserted for op in self.operations)

    @property
    def deleted(self) -> int:
        return sum(op.deleted for op in self.operations)


class RunResult(_Lenient):
    """What a run left under .dpone/runs."""

    schema_version: Literal["dpone.run_report.v1"]
    run_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    manifest: str
    name: str = ""
    manifest_sha256: str | None = None
    status: str
    started_at: AwareDatetime
    finished_at: AwareDatetime | None = None
    streams: tuple[StreamResult, ...]

    @property
    def pipeline(self) -> str:
        return self.name or self.manifest

    def reports(self) -> tuple[StreamReport, ...]:
        """The streams as core knows them."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        return tuple(stream_of(entry) for entry in plain["streams"])
