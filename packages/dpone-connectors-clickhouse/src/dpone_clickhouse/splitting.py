"""A table read in several pieces that are of one moment: its parts as they were when the reading opened.

Parts never change; what comes later is in later parts. So pieces that name parts are of the moment of the list,
whenever each is read, as long as none of its parts was merged into another before its query began. One that is there
after its reading was there before it. Another table under the same name has parts of the same names, but not of the
same content. Only a lightweight UPDATE changes what a part gives and leaves the part: by a patch, which is a part of
its own and ends all splitting.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from collections.abc import Sequence

from dpone.errors import RemoteError
from dpone.names import print_name
from dpone_clickhouse.catalog import Name, literals
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.session import Session

_PATCH = "patch-"
Part = tuple[str, str]  # its name, and a hash of all that is in it


def groups_of_parts(session: Session, name: Name, wanted: int) -> list[list[Part]]:
    """At most so many groups of parts, of about as many rows each; none where the table has no parts of its own."""
    database, table = literals(name)
    parts = session.ask(
        "SELECT name, hash_of_all_files, rows FROM system.parts "
        f"WHERE database = {database} AND table = {table} AND active ORDER BY rows DESC, name"
    )
    if any(part.startswith(_PATCH) for part, *_ in parts):
        return []
    groups: list[list[Part]] = [[] for _ in range(min(wanted, len(parts)))]
    sizes = [0] * len(groups)
    for part, content, rows in parts:
        least = sizes.index(min(sizes))
        groups[least].append((part, content))
        sizes[least] += int(rows)
    return groups


def only(parts: Sequence[Part]) -> str:
    """The condition that a row is in one of these parts."""
    return f"t._part IN ({', '.join(CLICKHOUSE.text(part) for part, _ in parts)})"


def refuse_merged(session: Session, name: Name, parts: Sequence[Part]) -> None:
    """Raises when a part is not there any more: its rows may have been missed."""
    database, table = literals(name)
    there = session.ask(
        f"SELECT name, hash_of_all_files FROM system.parts WHERE database = {database} AND table = {table} AND active"
    )
    if any(part.startswith(_PATCH) for part, _ in there) or not set(there).issuperset(parts):
        raise RemoteError(
            f"parts of {print_name(name)} were merged or changed while they were read in several pieces",
            code="source.parts_merged",
            hint="run again, read in one piece, or stop merges of the table meanwhile",
            retryable=True,
        )
