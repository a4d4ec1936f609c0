"""Which of dbt's sources are tables that dpone loads: by engine and by the relation's name."""

from __future__ import annotations

from collections.abc import Sequence

from dpone_certify.dbt.artifacts import Manifest, Node
from dpone_certify.registry.document import DatasetRef, RegisteredStream

# dbt's adapter, and how OpenLineage's namespaces of that engine begin
SCHEMES = {
    "postgres": "postgres://",
    "sqlserver": "mssql://",
    "fabric": "mssql://",
    "clickhouse": "clickhouse://",
    "bigquery": "bigquery",
}
_WITHOUT_DATABASE = {"clickhouse"}  # what dbt calls a schema is the database there


def relation_name(adapter: str | None, node: Node) -> str:
    """The relation as OpenLineage names a table of this engine."""
    parts = node.relation[-2:] if adapter in _WITHOUT_DATABASE else node.relation
    return ".".join(parts)


def stitched(manifest: Manifest, streams: Sequence[RegisteredStream]) -> dict[str, DatasetRef]:
    """The dataset that dpone writes, by the id of the dbt source that it is."""
    adapter = manifest.metadata.adapter_type
    scheme = SCHEMES.get(adapter or "")
    if scheme is None:
        return {}
    targets = {s.writes.name: s.writes for s in streams if s.writes and s.writes.namespace.startswith(scheme)}
    return {
        name: targets[relation]
        for name, source in manifest.sources.items()
        if (relation := relation_name(adapter, source)) in targets
    }


def namespace_of(manifest: Manifest, given: str | None, found: dict[str, DatasetRef]) -> str:
    """Where dbt's relations are. Its artifacts do not name the server: what is given counts, then dpone's target."""
    if given:
        return given
    places = {dataset.namespace for dataset in found.values()}
    return places.pop() if len(places) == 1 else f"dbt://{manifest.metadata.project_name or 'project'}"
