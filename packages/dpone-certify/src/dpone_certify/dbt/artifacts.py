"""What dbt writes: manifest.json and run_results.json, in the current and the previous version of their schemas.

dbt 1.8 and later write manifest v12 and run-results v6, dbt 1.7 wrote v11 and v5. Only what is read here is modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from dpone_certify.documents.document import Blocker

SCHEMAS = "https://schemas.getdbt.com/dbt"
MANIFESTS = {f"{SCHEMAS}/manifest/v{n}.json" for n in (11, 12)}
MOST_BYTES = 400_000_000  # dbt's manifests are large
RUN_RESULTS = {f"{SCHEMAS}/run-results/v{n}.json" for n in (5, 6)}


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Metadata(_Part):
    dbt_schema_version: str
    dbt_version: str = ""
    generated_at: str = ""
    invocation_id: str | None = None
    adapter_type: str | None = None
    project_name: str | None = None


class Column(_Part):
    name: str
    data_type: str | None = None


class DependsOn(_Part):
    nodes: tuple[str, ...] = ()


class Config(_Part):
    materialized: str | None = None
    severity: str | None = None


class TestMetadata(_Part):
    name: str


class Node(_Part):
    """Anything in the graph that has an id; what a kind of node does not have stays None."""

    unique_id: str
    resource_type: str
    name: str
    database: str | None = None
    schema_: str | None = Field(default=None, alias="schema")
    alias: str | None = None
    identifier: str | None = None  # of a source
    source_name: str | None = None
    columns: Mapping[str, Column] = {}
    depends_on: DependsOn = DependsOn()
    config: Config = Config()
    attached_node: str | None = None  # of a test
    column_name: str | None = None  # of a test
    test_metadata: TestMetadata | None = None
    model: str | None = None  # of a unit test

    @property
    def relation(self) -> tuple[str, ...]:
        """Database, schema and table."""
        table = self.identifier or self.alias or self.name
        return tuple(part for part in (self.database, self.schema_, table) if part)


class Manifest(_Part):
    metadata: Metadata
    nodes: Mapping[str, Node]
    sources: Mapping[str, Node] = {}
    exposures: Mapping[str, Node] = {}
    unit_tests: Mapping[str, Node] = {}


class Timing(_Part):
    name: str
    started_at: str | None = None
    completed_at: str | None = None


class Result(_Part):
    unique_id: str
    status: str
    execution_time: float = 0.0
    failures: int | None = None
    message: str | None = None
    timing: tuple[Timing, ...] = ()


class Arguments(_Part):
    which: str | None = None


class RunResults(_Part):
    metadata: Metadata
    results: tuple[Result, ...]
    args: Arguments = Arguments()
    elapsed_time: float = 0.0


Kind = Literal["dbt_manifest", "dbt_run_results"]
_KNOWN: dict[Kind, tuple[set[str], Any]] = {
    "dbt_manifest": (MANIFESTS, TypeAdapter(Manifest)),
    "dbt_run_results": (RUN_RESULTS, TypeAdapter(RunResults)),
}


def understand(kind: Kind, value: Mapping[str, Any]) -> tuple[Any, tuple[Blocker, ...]]:
    """The artifact, or the blocker that says why it is none that can be judged."""
    versions, adapter = _KNOWN[kind]
    metadata = value.get("metadata")
    said = metadata.get("dbt_schema_version") if isinstance(metadata, dict) else None
    if said not in versions:
        known = ", ".join(sorted(v.removeprefix(f"{SCHEMAS}/").removesuffix(".json") for v in versions))
        message = f"its schema is {str(said)[:100]}, known are {known}"
        action = "use a dbt whose artifacts have one of these versions"
        return None, (Blocker(code=f"{kind}.unsupported_version", message=message, action=action),)
    try:
        return adapter.validate_python(value), ()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)[:3])
        return None, (Blocker(code=f"{kind}.invalid", message=wrong, action="let dbt write it again"),)
