"""What the demo moves: the shop by five strategies within its own engine, and from engine to engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from dpone.testing.demo.places import HOME, Place
from dpone.testing.testkit import SeedTable

STRATEGIES = {
    "full_refresh": "{mode: full_refresh, key: [id]}",
    "incremental_merge": "{mode: incremental_merge, key: [id], cursor: {column: updated_at, lag: 45m}}",
    "snapshot_diff": "{mode: snapshot_diff, key: [id]}",
    "scd2": "{mode: scd2, key: [id]}",
    "cdc": "{mode: cdc, key: [id]}",
}
# Streams between engines: source, sink, strategy. Each is shown where both are installed.
BEYOND = {
    "to_clickhouse": (HOME, "clickhouse", STRATEGIES["incremental_merge"]),
    "api_to_clickhouse": ("rest", "clickhouse", STRATEGIES["snapshot_diff"]),
    "to_kafka": (HOME, "kafka", STRATEGIES["cdc"]),
    "kafka_to_clickhouse": ("kafka", "clickhouse", "{mode: incremental_merge, key: [id]}"),
    "to_mssql": (HOME, "mssql", STRATEGIES["snapshot_diff"]),
    "mssql_to_bigquery": ("mssql", "bigquery", STRATEGIES["full_refresh"]),
}
# What such a stream reads is what that one wrote, in the same run.
RELAYED = {"kafka_to_clickhouse": "to_kafka", "mssql_to_bigquery": "to_mssql"}


def write_manifest(
    folder: Path, places: Mapping[str, Place], tables: Mapping[str, SeedTable]
) -> tuple[Path, list[str]]:
    """The manifest of all streams, with its connections beside it; the streams by name."""
    home = places[HOME]
    streams = [(name, home, home, strategy) for name, strategy in STRATEGIES.items()]
    streams += [
        (name, places[source], places[sink], strategy)
        for name, (source, sink, strategy) in BEYOND.items()
        if source in places and sink in places
    ]
    lines = ["version: 1", "name: demo", "streams:"]
    for name, source, sink, strategy in streams:
        lines.append(f"  - name: {name}")
        relayed = source.relay(f"orders_{RELAYED[name]}") if name in RELAYED else source.source(tables[source.name])
        lines.append(f"    source: {json.dumps(relayed)}")
        lines.append(f"    sink: {json.dumps(sink.sink(f'orders_{name}'))}")
        lines.append(f"    strategy: {strategy}")
    path = folder / "demo.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    connections = {place.name: place.connection() for place in places.values()}
    (folder / "connections.yml").write_text(json.dumps(connections, indent=2) + "\n", encoding="utf-8")
    return path, [name for name, *_ in streams]
