"""Good and bad manifests, one corpus for two judges: the loader, which says where and why, and the JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from textwrap import dedent
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec import Struct, field

from dpone.connector import Connector
from dpone.errors import UsageError
from dpone.manifest import Manifest, parse
from dpone.manifest.document import compose
from dpone.manifest.schema import DIALECT, manifest_schema, modeline

Load = Callable[[str], Manifest]

BASE = (
    "version: 1",
    "name: orders",
    "source: {type: alpha, connection: shop, table: public.orders}",
    "sink: {type: beta, connection: dwh, table: raw.orders}",
    "strategy: {mode: full_refresh}",
)
MERGE = "strategy: {mode: incremental_merge, key: [id], cursor: {column: updated_at, lag: 5m}}"


def text_of(*extra: str, **lines: str) -> str:
    """The base manifest with lines exchanged (`source=`, `strategy=`, ...; empty removes one) and lines added."""
    by_key = {line.partition(":")[0]: line for line in BASE} | lines
    return "\n".join([line for line in by_key.values() if line] + list(extra)) + "\n"


def strategy(inside: str) -> str:
    return text_of(strategy=f"strategy: {{{inside}}}")


class Bad(Struct, frozen=True):
    """`words` must occur in message or hint; `blind` says why the JSON Schema cannot see it."""

    text: str
    line: int | None
    code: str
    words: tuple[str, ...]
    blind: str = field(default="")


INVALID = "manifest.invalid"
SYNTAX = "manifest.syntax"
KEY = "manifest.unknown_key"
NAMES = "names are found elsewhere"
ACROSS = "a condition across keys"
YAML = "gone once YAML is read"
MANY = "defaults and streams complete each other"

HEAD = "version: 1\nname: shop\n"
DEFAULTS = (
    "defaults:\n"
    "  source: {type: alpha, connection: shop}\n"
    "  sink: {type: beta, connection: dwh, table: 'raw.{table}'}\n"
    "  strategy: {mode: full_refresh}\n"
)

BAD: dict[str, Bad] = {
    # the file
    "empty": Bad("", 1, SYNTAX, ("empty",), YAML),
    "only-a-comment": Bad("# nothing\n", 1, SYNTAX, ("empty",), YAML),
    "not-a-mapping": Bad("- a\n- b\n", 1, INVALID, ("expected a mapping",)),
    "bare-sign": Bad(text_of("where: [{column: a, op: >=, value: 1}]"), 6, SYNTAX, ("not YAML", "quotes"), YAML),
    "unclosed": Bad(text_of("checks: [{min_rows: 1}"), 7, SYNTAX, ("not YAML",), YAML),
    "tab": Bad("version: 1\nname: a\nsource:\n\ttype: alpha\n", 4, SYNTAX, ("not YAML",), YAML),
    "duplicate-key": Bad(text_of("audit: true", "audit: false"), 7, SYNTAX, ('"audit"', "twice", "line 6"), YAML),
    "two-documents": Bad(text_of("---", "version: 1"), 6, SYNTAX, ("second document",), YAML),
    "merge-key": Bad(text_of("<<: {audit: true}"), 6, SYNTAX, ("`<<`", "defaults"), YAML),
    "tag": Bad(text_of("exclude: !secret [a]"), 6, SYNTAX, ("tags",), YAML),
    "unknown-alias": Bad(text_of("exclude: *gone"), 6, SYNTAX, ("unknown alias", "quote"), YAML),
    "complex-key": Bad(text_of("? [a, b]", ": 1"), 6, SYNTAX, ("key is plain text",), YAML),
    "yaml-1.1": Bad("%YAML 1.1\n---\n" + text_of(), 2, SYNTAX, ("YAML 1.2",), YAML),
    "infinite": Bad(text_of("where: [{column: a, value: .inf}]"), 6, SYNTAX, ("finite",), YAML),
    "leading-zeros": Bad(text_of("where: [{column: zip, value: 01234}]"), 6, SYNTAX, ("zeros", "quotes"), YAML),
    "too-exact": Bad(text_of("where: [{column: a, value: 0.12345678901234567891}]"), 6, SYNTAX, ("quotes",), YAML),
    "bad-escape": Bad(text_of('exclude: ["\\ud800"]'), 6, SYNTAX, ("surrogate",), YAML),
    "deep": Bad(text_of("exclude: " + "[" * 60 + "]" * 60), 6, SYNTAX, ("deep",), YAML),
    # head
    "no-version": Bad(text_of(version=""), 1, INVALID, ('"version"', "version: 1")),
    "other-version": Bad(text_of(version="version: 2"), 1, INVALID, ("version 1",)),
    "version-true": Bad(text_of(version="version: true"), 1, INVALID, ("version 1",)),
    "no-name": Bad(text_of(name=""), 1, INVALID, ('"name"',)),
    "name-with-space": Bad(text_of(name="name: or ders"), 2, INVALID, ("letters",)),
    "name-is-a-path": Bad(text_of(name="name: ../orders"), 2, INVALID, ("letters",)),
    "name-is-a-number": Bad(text_of(name="name: 7"), 2, INVALID, ("text", "quote")),
    # keys
    "stratgy": Bad(text_of(strategy="stratgy: {mode: full_refresh}"), 5, KEY, ('"stratgy"', '"strategy"')),
    "unknown-key": Bad(text_of("colour: red"), 6, KEY, ('"colour"', "known here")),
    "key-of-strategy": Bad(text_of("cursor: {column: a}"), 6, KEY, ("under `strategy:`",)),
    "key-of-ends": Bad(text_of("connection: shop"), 6, KEY, ("`source:` or `sink:`",)),
    "key-of-streams": Bad(text_of("parallel: 2"), 6, KEY, ("`streams:`",)),
    "nested-unknown": Bad(text_of("limits: {run_timout: 1h}"), 6, KEY, ("under limits", '"run_timeout"')),
    "no-value": Bad(text_of("checks:"), 6, INVALID, ("`checks` has no value",)),
    "nested-no-value": Bad(text_of("limits:", "  run_timeout:"), 7, INVALID, ("no value",)),
    # strategy
    "no-strategy": Bad(text_of(strategy=""), 1, "manifest.missing_strategy", ("no default", "snapshot_diff", "scd2")),
    "strategy-is-text": Bad(text_of(strategy="strategy: replace"), 5, INVALID, ("mapping", "{mode: replace}")),
    "no-mode": Bad(strategy("key: [id]"), 5, "manifest.missing_strategy", ("`mode`", "backfill")),
    "mistyped-mode-key": Bad(strategy("mod: replace"), 5, KEY, ('"mode"',)),
    "unknown-mode": Bad(strategy("mode: merge"), 5, "manifest.unknown_strategy", ('"incremental_merge"',)),
    "mistyped-mode": Bad(strategy("mode: full-refesh"), 5, "manifest.unknown_strategy", ('"full_refresh"',)),
    "mode-is-a-list": Bad(strategy("mode: [cdc]"), 5, "manifest.unknown_strategy", ("name of a mode",)),
    "merge-without-key": Bad(strategy("mode: incremental_merge, cursor: {column: a}"), 5, INVALID, ('"key"',)),
    "merge-without-cursor": Bad(strategy("mode: incremental_merge, key: [a]"), 5, INVALID, ('"cursor"',), ACROSS),
    "key-of-another-mode": Bad(strategy("mode: replace, cursor: {column: a}"), 5, KEY, ("incremental_append",)),
    "guard-on-append": Bad(
        strategy("mode: incremental_append, cursor: {column: a}, guard: {allow_empty: true}"), 5, KEY, ("full_refresh",)
    ),
    "key-is-text": Bad(strategy("mode: cdc, key: id"), 5, INVALID, ("a list", "[id]")),
    "key-is-empty": Bad(strategy("mode: cdc, key: []"), 5, INVALID, ("at least one",)),
    "key-twice": Bad(strategy("mode: cdc, key: [id, id]"), 5, INVALID, ("id", "twice")),
    "key-of-numbers": Bad(strategy("mode: cdc, key: [1]"), 5, INVALID, ("text", "quotes")),
    "cursor-lagg": Bad(strategy("mode: incremental_append, cursor: {column: a, lagg: 5m}"), 5, KEY, ('"lag"',)),
    "lag-without-unit": Bad(
        strategy("mode: incremental_append, cursor: {column: a, lag: '5'}"), 5, INVALID, ("duration", "5m")
    ),
    "lag-negative": Bad(strategy("mode: incremental_append, cursor: {column: a, lag: -5}"), 5, INVALID, ("negative",)),
    "late-enum": Bad(
        strategy("mode: incremental_append, cursor: {column: a, late: holdback}"), 5, INVALID, ('"hold_back"',)
    ),
    "append-overlap": Bad(
        strategy("mode: incremental_append, cursor: {column: a, late: overlap}"), 5, INVALID, ("added again",), ACROSS
    ),
    "deletes": Bad(strategy("mode: cdc, key: [id], deletes: soften"), 5, INVALID, ("hard, soft, ignore",)),
    "deletes-mapping": Bad(strategy("mode: cdc, key: [id], deletes: {hard: x}"), 5, INVALID, ("hard, soft, ignore",)),
    "guard-share": Bad(
        strategy("mode: replace, guard: {max_removed_share: 50}"), 5, INVALID, ("max_removed_share", "between 0 and 1")
    ),
    "guard-yes": Bad(strategy("mode: replace, guard: {allow_empty: yes}"), 5, INVALID, ("true or false", "YAML 1.2")),
    "last-without-key": Bad(strategy("mode: replace, duplicates: last, order: [a]"), 5, INVALID, ("`key`",), ACROSS),
    "last-without-order": Bad(strategy("mode: scd2, key: [a], duplicates: last"), 5, INVALID, ("`order`",), ACROSS),
    "order-without-last": Bad(strategy("mode: scd2, key: [a], order: [b]"), 5, INVALID, ("duplicates: last",), ACROSS),
    "partition-without-column": Bad(strategy("mode: partition_replace"), 5, INVALID, ('"column"',)),
    "grain": Bad(strategy("mode: partition_replace, column: d, grain: days"), 5, INVALID, ('"day"',)),
    "backfill-without-bounds": Bad(strategy("mode: backfill, column: d"), 5, INVALID, ('"bounds"',)),
    "bounds-descend": Bad(
        strategy("mode: backfill, column: d, bounds: {from: 2026-02-01, to: 2026-01-01}"), 5, INVALID, ("less",), ACROSS
    ),
    "bounds-of-two-kinds": Bad(
        strategy("mode: backfill, column: d, bounds: {from: 1, to: 2026-01-01}"), 5, INVALID, ("one kind",), ACROSS
    ),
    "bounds-of-text": Bad(
        strategy("mode: backfill, column: d, bounds: {from: a, to: 1}"), 5, INVALID, ("a number, a date",)
    ),
    "chunk": Bad(
        strategy("mode: backfill, column: d, bounds: {from: 1, to: 9}, chunk: some"), 5, INVALID, ("a step", "7 days")
    ),
    "chunk-of-another-kind": Bad(
        strategy("mode: backfill, column: d, bounds: {from: 1, to: 9}, chunk: month"), 5, INVALID, ("number",), ACROSS
    ),
    "workers": Bad(
        strategy("mode: backfill, column: d, bounds: {from: 1, to: 9}, workers: 0"), 5, INVALID, ("at least 1",)
    ),
    "compare-in-key": Bad(strategy("mode: scd2, key: [a], compare: [a]"), 5, INVALID, ("cannot change",), ACROSS),
    "one-column-for-both": Bad(
        strategy("mode: scd2, key: [a], valid_from: v, valid_to: v"), 5, INVALID, ("two",), ACROSS
    ),
    "xmin-deletes": Bad(strategy("mode: xmin, key: [a], deletes: hard"), 5, INVALID, ("reconcile: true",), ACROSS),
    "guard-on-kept": Bad(
        strategy("mode: scd2, key: [a], absent: keep, guard: {allow_empty: true}"),
        5,
        INVALID,
        ("absent: expire",),
        ACROSS,
    ),
    # ends
    "no-source": Bad(text_of(source=""), 1, INVALID, ('"source"',)),
    "no-sink": Bad(text_of(sink=""), 1, INVALID, ('"sink"',)),
    "source-is-text": Bad(text_of(source="source: shop"), 3, INVALID, ("mapping", "type")),
    "no-type": Bad(text_of(source="source: {connection: shop, table: a}"), 3, INVALID, ('"type"', "connectors")),
    "mistyped-type": Bad(text_of(source="source: {typ: alpha, connection: shop, table: a}"), 3, KEY, ('"type"',)),
    "unknown-connector": Bad(
        text_of(source="source: {type: alhpa, connection: shop, table: a}"),
        3,
        "manifest.unknown_connector",
        ("did you mean 'alpha'",),
    ),
    "missing-package": Bad(
        text_of(source="source: {type: kafka, connection: shop, topic: a}"),
        3,
        "package.missing",
        ("pip install dpone-connectors-kafka",),
    ),
    "sink-as-source": Bad(
        text_of(source="source: {type: beta, connection: dwh, table: a}"), 3, INVALID, ("a sink only",)
    ),
    "source-as-sink": Bad(text_of(sink="sink: {type: gamma, table: a}"), 4, INVALID, ("a source only",)),
    "no-table": Bad(text_of(source="source: {type: alpha, connection: shop}"), 3, INVALID, ("`table` or `query`",)),
    "table-and-query": Bad(
        text_of(source="source: {type: alpha, connection: shop, table: a, query: select 1}"), 3, INVALID, ("one of",)
    ),
    "no-target": Bad(text_of(sink="sink: {type: beta, connection: dwh}"), 4, INVALID, ('"table"', "under sink")),
    "bad-table-name": Bad(
        text_of(source="source: {type: alpha, connection: shop, table: 'a..b'}"), 3, INVALID, ("table name",), ACROSS
    ),
    "too-many-levels": Bad(
        text_of(sink="sink: {type: beta, connection: dwh, table: a.b.c}"), 4, "manifest.invalid_name", ("two",), ACROSS
    ),
    "mistyped-option": Bad(
        text_of(source="source: {type: alpha, connection: shop, table: a, fetch_row: 9}"), 3, KEY, ('"fetch_rows"',)
    ),
    "mistyped-core-key": Bad(
        text_of(source="source: {type: alpha, conection: shop, table: a}"), 3, KEY, ('"connection"',)
    ),
    "option-is-text": Bad(
        text_of(source="source: {type: alpha, connection: shop, table: a, fetch_rows: '9'}"), 3, INVALID, ("whole",)
    ),
    "option-enum": Bad(
        text_of(sink="sink: {type: beta, connection: dwh, table: a, engine: trie}"), 4, INVALID, ("log or tree",)
    ),
    "option-nested": Bad(
        text_of(sink="sink: {type: beta, connection: dwh, table: a, settings: {x: y}}"), 4, INVALID, ("settings.x",)
    ),
    "option-refused-by-our-own-error": Bad(
        text_of(sink="sink: {type: beta, connection: dwh, table: a, settings: {unknown: 1}}"),
        4,
        "manifest.invalid_value",
        ("sink: no such setting", "look it up"),
        ACROSS,
    ),
    "wildcard-alone": Bad(
        text_of(source="source: {type: alpha, connection: shop, table: 'public.*'}"),
        3,
        INVALID,
        ("`streams:`",),
        ACROSS,
    ),
    "template-typo": Bad(
        text_of(sink="sink: {type: beta, connection: dwh, table: 'raw.{tabel}'}"), 4, INVALID, ('"table"',), ACROSS
    ),
    # connections
    "no-connection": Bad(text_of(source="source: {type: alpha, table: a}"), 3, INVALID, ('"connection"', "host")),
    "unknown-connection": Bad(
        text_of(source="source: {type: alpha, connection: shp, table: a}"),
        3,
        "manifest.unknown_connection",
        ('"shop"', "DPONE_CONN_SHP"),
        NAMES,
    ),
    "connection-of-another-type": Bad(
        text_of(sink="sink: {type: beta, connection: shop, table: a}"),
        2,
        "connection.invalid",
        ("alpha", "beta"),
        NAMES,
    ),
    "connection-url": Bad(
        text_of(source="source: {type: alpha, connection: 'alpha://u:hunter2@h/d', table: a}"),
        3,
        "secret.literal",
        ("connections.yml",),
    ),
    "connection-list": Bad(
        text_of(source="source: {type: alpha, connection: [a], table: a}"), 3, INVALID, ("name of",)
    ),
    "inline-unknown": Bad(
        text_of(source="source: {type: alpha, connection: {hots: h}, table: a}"),
        3,
        KEY,
        ('"host"', "source.connection"),
    ),
    "inline-missing": Bad(
        text_of(source="source: {type: alpha, connection: {user: u}, table: a}"), 3, "connection.invalid", ('"host"',)
    ),
    "inline-port": Bad(
        text_of(source="source: {type: alpha, connection: {host: h, port: 99999}, table: a}"),
        3,
        "connection.invalid",
        ("at most 65535",),
    ),
    "inline-literal-secret": Bad(
        text_of(source="source: {type: alpha, connection: {host: h, password: hunter2}, table: a}"),
        3,
        "secret.literal",
        ("${env:NAME}",),
    ),
    "inline-literal-header": Bad(
        text_of(source="source: {type: alpha, connection: {host: h, headers: {auth: hunter2}}, table: a}"),
        3,
        "secret.literal",
        ("headers",),
    ),
    "inline-bad-reference": Bad(
        text_of(source="source: {type: alpha, connection: {host: '${evn:HOST}'}, table: a}"),
        3,
        "connection.invalid",
        ('"evn"',),
        "a reference of an unknown kind is text to a schema",
    ),
    "misplaced-reference": Bad(
        text_of(source="source: {type: alpha, connection: shop, table: '${env:TABLE}'}"),
        3,
        "secret.misplaced",
        ("connection only",),
        "text to a schema",
    ),
    # checks, columns, where and the rest
    "unknown-check": Bad(text_of("checks: [{not_nul: [id]}]"), 6, INVALID, ('"not_null"',)),
    "check-of-two": Bad(text_of("checks: [{min_rows: 1, max_rows: 2}]"), 6, INVALID, ("one key",)),
    "check-is-text": Bad(text_of("checks: [min_rows]"), 6, INVALID, ("one key",)),
    "checks-is-a-mapping": Bad(text_of("checks: {min_rows: 1}"), 6, INVALID, ("a list",)),
    "min-rows": Bad(text_of("checks:", "  - min_rows: 1", "  - min_rows: -1"), 8, INVALID, ("checks[1]", "at least 0")),
    "counts-disagree": Bad(text_of("checks: [{min_rows: 5}, {max_rows: 4}]"), 6, INVALID, ("no number",), ACROSS),
    "max-age": Bad(text_of("checks: [{freshness: {column: a, max_age: 0s}}]"), 6, INVALID, ("above zero",)),
    "accepted-nothing": Bad(text_of("checks: [{accepted_values: {column: a, values: []}}]"), 6, INVALID, ("one item",)),
    "column-key": Bad(text_of("columns: [{name: a, rename: b}]"), 6, KEY, ("under columns[0]",)),
    "cast": Bad(text_of("columns: [{name: a, cast: varchar(5)}]"), 6, INVALID, ("not a type", "decimal")),
    "hash": Bad(text_of("columns: [{name: a, hash: md5}]"), 6, INVALID, ("sha256",)),
    "two-changes": Bad(text_of("columns: [{name: a, hash: sha256, mask: x}]"), 6, INVALID, ("one way",)),
    "columns-twice": Bad(text_of("columns: [a, {name: b, as: a}]"), 6, INVALID, ("twice: a",), ACROSS),
    "exclude-and-name": Bad(text_of("columns: ['*', a]", "exclude: [a]"), 7, INVALID, ("excluded: a",), ACROSS),
    "exclude-nothing": Bad(text_of("columns: [a]", "exclude: [b]"), 7, INVALID, ('"*"',), ACROSS),
    "where-op": Bad(text_of("where: [{column: a, op: like, value: x}]"), 6, INVALID, ("not_in",)),
    "where-null": Bad(text_of("where: [{column: a, op: '='}]"), 6, INVALID, ("`value`", "is_null")),
    "where-list": Bad(text_of("where: [{column: a, value: [1]}]"), 6, INVALID, ("single",)),
    "where-in": Bad(text_of("where: [{column: a, op: in, value: 1}]"), 6, INVALID, ("list",)),
    "where-is-null": Bad(text_of("where: [{column: a, op: is_null, value: 1}]"), 6, INVALID, ("no value",)),
    "where-sql": Bad(text_of("where: a > 1"), 6, INVALID, ("a list",)),
    "audit": Bad(text_of("audit: yes"), 6, INVALID, ("true or false", "YAML 1.2")),
    "type-loss": Bad(text_of("on_type_loss: ignore"), 6, INVALID, ("refuse, allow",)),
    "evolution": Bad(text_of("schema_evolution: {new_columns: ad}"), 6, INVALID, ('"add"',)),
    "timeout": Bad(text_of("limits: {run_timeout: 10}"), 6, INVALID, ("duration",)),
    "memory": Bad(text_of("limits: {memory: lots}"), 6, INVALID, ("512MiB",)),
    "reconcile": Bad(text_of("reconcile: rows"), 6, INVALID, ("counts or profile",)),
    # many streams
    "streams-and-source": Bad(
        HEAD + DEFAULTS + "audit: true\nstreams: [{source: {table: a.b}}]\n", 7, KEY, ("`defaults:`",)
    ),
    "no-streams": Bad(HEAD + DEFAULTS, 1, INVALID, ('"streams"',)),
    "streams-empty": Bad(HEAD + DEFAULTS + "streams: []\n", 7, INVALID, ("list of streams",)),
    "streams-mapping": Bad(HEAD + DEFAULTS + "streams: {a: 1}\n", 7, INVALID, ("list of streams",)),
    "stream-is-text": Bad(HEAD + DEFAULTS + "streams:\n  - orders\n", 8, INVALID, ("streams[0]",)),
    "parallel": Bad(HEAD + DEFAULTS + "parallel: 0\nstreams: [{source: {table: a.b}}]\n", 7, INVALID, ("from 1 to",)),
    "stream-unknown-key": Bad(
        HEAD + DEFAULTS + "streams:\n  - source: {table: a.b}\n    strateggy: {}\n", 9, KEY, ('"strategy"',)
    ),
    "defaults-unknown-key": Bad(
        HEAD + "defaults:\n  adit: true\n" + "streams:\n  - source: {type: alpha, connection: shop, table: a}\n"
        "    sink: {type: beta, connection: dwh, table: a}\n    strategy: {mode: replace}\n",
        4,
        KEY,
        ('"audit"',),
    ),
    "defaults-name": Bad(
        HEAD + DEFAULTS + "  name: x\n" + "streams: [{source: {table: a.b}}]\n", 7, INVALID, ("its own name",)
    ),
    "stream-without-strategy": Bad(
        HEAD + DEFAULTS.replace("  strategy: {mode: full_refresh}\n", "") + "streams:\n  - source: {table: a.b}\n",
        7,
        "manifest.missing_strategy",
        ("no default",),
        MANY,
    ),
    "one-target": Bad(
        HEAD + DEFAULTS + "streams:\n  - source: {table: a.b}\n  - source: {table: c.b}\n",
        9,
        INVALID,
        ("both write",),
        MANY,
    ),
    "one-name": Bad(
        HEAD + DEFAULTS + "streams:\n  - {name: x, source: {table: a.b}}\n  - {name: x, source: {table: a.c}}\n",
        9,
        INVALID,
        ('named "x"',),
        MANY,
    ),
    "skip-without-wildcard": Bad(
        HEAD + DEFAULTS + "streams:\n  - source: {table: a.b}\n    skip: [a.c]\n", 9, INVALID, ("wildcard",), MANY
    ),
    "named-wildcard": Bad(
        HEAD + DEFAULTS + "streams:\n  - source: {table: a.*}\n    name: all\n", 9, INVALID, ("cannot share",), MANY
    ),
    "nameless-query": Bad(
        HEAD + DEFAULTS + "streams:\n  - source: {query: select 1}\n    sink: {table: raw.x}\n",
        8,
        INVALID,
        ('"name"',),
        MANY,
    ),
    "template-without-table": Bad(
        HEAD + DEFAULTS + "streams:\n  - {name: q, source: {query: select 1}}\n", 5, INVALID, ("no table for",), MANY
    ),
}

GOOD: dict[str, str] = {
    "base": text_of(),
    "modeline": modeline() + "\n" + text_of(),
    "merge": text_of(strategy=MERGE),
    "append": strategy("mode: incremental_append, cursor: {column: id, lag: 100, nulls: ignore}"),
    "append-with-key": strategy(
        "mode: incremental_append, key: [id], cursor: {column: at, late: overlap, lag: 2 days}"
    ),
    "soft": strategy("mode: snapshot_diff, key: [id], deletes: soft, guard: {max_removed_share: 1}"),
    "soft-named": strategy("mode: cdc, key: [id], deletes: {soft: gone_at}, on_truncate: stop"),
    "last": strategy("mode: full_refresh, key: [id], duplicates: last, order: [at, id]"),
    "last-by-cursor": strategy("mode: incremental_merge, key: [id], duplicates: last, cursor: {column: at}, newer: at"),
    "partition": strategy("mode: partition_replace, column: day, grain: month"),
    "partition-bounds": strategy("mode: partition_replace, column: n, bounds: {from: 0, to: 1.5}"),
    "backfill": strategy(
        "mode: backfill, column: at, bounds: {from: 2026-01-01T00:00:00Z, to: 2026-02-01T00:00:00Z}, "
        "chunk: 7 days, workers: 2"
    ),
    "backfill-numbers": strategy("mode: backfill, column: id, bounds: {from: 1, to: 1000}, chunk: 100"),
    "scd2": strategy("mode: scd2, key: [id], valid_from: vf, valid_to: vt, absent: keep, compare: [a, b]"),
    "scd2-guard": strategy("mode: scd2, key: [id], guard: {allow_empty: true}"),
    "xmin": strategy("mode: xmin, key: [id], reconcile: true, deletes: ignore"),
    "hostile-names": text_of(
        'columns: ["a b", "sel\\"ect", {name: "größe", as: "π"}, "*"]',
        source='source: {type: alpha, connection: shop, table: \'public."or.""ders"\'}',
    ),
    "everything": text_of(
        "checks:",
        "  - row_count: 10",
        "  - not_null: [id]",
        "  - unique: [id, at]",
        "  - accepted_values: {column: status, values: [new, 1, true]}",
        "  - freshness: {column: at, max_age: 2 hours}",
        "  - checksum: [amount]",
        "schema_evolution: {new_columns: ignore, widened: refuse, dropped: keep}",
        "on_type_loss: [amount]",
        "columns:",
        "  - id",
        "  - {name: email, as: mail, hash: sha256}",
        "  - {name: amount, cast: 'decimal( 18 , 2 )'}",
        "  - {name: phone, mask: '***'}",
        "  - '*'",
        "exclude: [notes]",
        "where:",
        "  - {column: country, op: in, value: [AT, 'no', 5]}",
        "  - {column: at, op: '>=', value: 2026-01-01}",
        "  - {column: gone, op: is_null}",
        "audit: true",
        "limits: {statement_timeout: 10m, run_timeout: 2h, memory: 512MiB}",
        "reconcile: counts",
    ),
    "query": text_of(source="source: {type: alpha, connection: other, query: select 1, hint: fast}"),
    "no-connection-needed": text_of(source="source: {type: gamma, table: a}"),
    "inline": text_of(
        "source:",
        "  type: alpha",
        "  table: a",
        "  connection:",
        "    host: ${env:SHOP_HOST}",
        "    port: ${env:SHOP_PORT}",
        "    password: ${file:secrets/shop}",
        "    headers: {auth: 'Bearer ${keyring:shop/app}'}",
        source="",
    ),
    "anchors": text_of(
        "checks: [{unique: &key [id, at]}, {not_null: *key}]",
    ),
    "streams": HEAD
    + DEFAULTS
    + "parallel: 2\nstreams:\n  - source: {table: a.b}\n  - source: {table: a.c}\n    audit: true\n",
    "streams-complete": HEAD
    + dedent("""\
        streams:
          - name: one
            source: {type: alpha, connection: shop, table: a}
            sink: {type: beta, connection: dwh, table: x.a}
            strategy: {mode: replace}
        """),
    "wildcard": HEAD + DEFAULTS + "streams:\n  - source: {table: 'public.*'}\n    skip: ['public.tmp_*']\n",
    "other-mode": HEAD
    + DEFAULTS
    + "streams:\n  - source: {table: a.b}\n    strategy: {mode: scd2, key: [id]}\n"
    + "    sink: {table: raw.x, engine: log}\n",
    "two-appenders": HEAD
    + DEFAULTS.replace("mode: full_refresh", "mode: incremental_append, cursor: {column: id}")
    + "streams:\n  - source: {table: a.b}\n  - source: {table: c.b}\n",
}


@pytest.fixture(scope="module")
def schema(connectors: Mapping[str, Connector[Any]]) -> Draft202012Validator:
    described = manifest_schema(connectors.values())
    Draft202012Validator.check_schema(described)
    assert described["$schema"] == DIALECT
    return Draft202012Validator(described)


def test_the_corpus_is_large_enough() -> None:
    assert len(BAD) >= 60


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in BAD.items()])
def test_a_bad_manifest_is_refused_at_its_line(bad: Bad, load_text: Load) -> None:
    with pytest.raises(UsageError) as raised:
        load_text(bad.text)
    error = raised.value
    problems = error.context["problems"]
    assert isinstance(problems, list)
    assert len(problems) == 1, error.message  # one cause is one problem
    assert (problems[0]["line"], error.code) == (bad.line, bad.code), error.message
    assert problems[0]["column"] is None or problems[0]["column"] >= 1
    said = f"{error.message}\n{error.hint}"
    assert [word for word in bad.words if word not in said] == [], said
    assert "hunter2" not in said
    if bad.code != "connection.invalid" or problems[0]["file"] == "orders.yaml":
        assert error.message.startswith(f"orders.yaml:{bad.line}: ")


@pytest.mark.parametrize("bad", [pytest.param(bad, id=n) for n, bad in BAD.items() if bad.blind != YAML])
def test_the_schema_refuses_it_too_or_cannot_see_it(bad: Bad, schema: Draft202012Validator) -> None:
    data = compose(bad.text.encode(), "orders.yaml").plain()
    assert schema.is_valid(data) is bool(bad.blind)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in GOOD.items()])
def test_a_good_manifest_is_accepted_by_both(text: str, load_text: Load, schema: Draft202012Validator) -> None:
    loaded = load_text(text)
    assert loaded.streams or loaded.wildcards
    data = compose(text.encode(), "orders.yaml").plain()
    assert [e.message for e in schema.iter_errors(data)] == []


def test_all_problems_are_said_at_once_in_the_order_of_lines(load_text: Load) -> None:
    text = text_of("audit: maybe", "checks: [{min_row: 1}]", *["#"] * 4, "limits: {memory: x}", name="name: a b")
    with pytest.raises(UsageError, match="4 problems in orders") as raised:
        load_text(text)
    problems = raised.value.context["problems"]
    assert isinstance(problems, list)
    assert [p["line"] for p in problems] == [2, 6, 7, 12]
    assert raised.value.code == "manifest.invalid"
    assert all(str(p["message"]) in raised.value.message for p in problems)


def test_the_message_is_the_one_that_was_promised(load_text: Load) -> None:
    with pytest.raises(UsageError) as raised:
        load_text(text_of("stratgy: {mode: replace}", strategy="", reconcile="reconcile: counts", audit="audit: true"))
    assert raised.value.message == 'orders.yaml:7: unknown key "stratgy"; did you mean "strategy"?'
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        b"x",
        {1, 2},
        10**5000,
        date(2026, 1, 1),
        "\ud800",
        {"\ud800": 1},
        ["\udfff"],
        object(),
    ],
    ids=["nan", "inf", "bytes", "set", "huge", "date", "surrogate", "surrogate-key", "surrogate-item", "object"],
)
def test_data_that_yaml_could_not_hold_is_refused(value: object, lookup: Callable[[str], Connector[Any]]) -> None:
    with pytest.raises(UsageError, match=r"limits\.memory.*: a manifest holds text"):
        parse({"version": 1, "name": "n", "limits": {"memory": value}}, lookup, environ={})


def test_a_problem_of_the_defaults_is_said_once(load_text: Load) -> None:
    text = (
        HEAD
        + DEFAULTS.replace("full_refresh", "refresh")
        + "streams:\n"
        + "".join(f"  - source: {{table: a.t{n}}}\n" for n in range(3))
    )
    with pytest.raises(UsageError) as raised:
        load_text(text)
    assert raised.value.message.startswith("orders.yaml:6: ")


def test_a_schema_without_connectors_leaves_the_ends_open() -> None:
    schema = Draft202012Validator(manifest_schema([]))
    assert schema.is_valid(compose(text_of().encode(), "x").plain())
    assert not schema.is_valid(compose(text_of("audt: true").encode(), "x").plain())
