"""Connections by name: `DPONE_CONN_<NAME>` in the environment, `connections.yml` beside the manifest, the user's own.

With DPONE_CONNECTIONS set, that file alone is read. What is found is a `ConnectionRef`: it can be printed, and its
secrets are read at connect time only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Never, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError

from dpone.connector import Config, Connector, Json
from dpone.errors import UsageError
from dpone.manifest import secrets
from dpone.manifest.configs import check_config, files_of, is_secret
from dpone.manifest.document import Entry, Node, compose, node_of
from dpone.manifest.findings import keys_of
from dpone.manifest.problems import (
    BAD_CONNECTION,
    LITERAL_SECRET,
    UNKNOWN_CONNECTION,
    Mark,
    Problem,
    as_error,
    did_you_mean,
    is_word,
    listed,
)
from dpone.manifest.urls import BadUrl, fields_of_url, looks_like_url

VARIABLE = "DPONE_CONN_"
FILE_VARIABLE = "DPONE_CONNECTIONS"
FILE_NAMES = ("connections.yml", "connections.yaml")

C = TypeVar("C", bound=Config)


class _Hidden:
    """Fields of a connection as they were written; a password may be among them, so nothing prints or pickles them."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Json]) -> None:
        self._fields = dict(fields)

    def reveal(self) -> dict[str, Json]:
        return self._fields

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hidden) and self._fields == other._fields

    def __hash__(self) -> int:
        return hash(tuple(sorted(self._fields)))

    def __copy__(self) -> _Hidden:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> _Hidden:
        return self

    def __reduce__(self) -> Never:
        message = "a connection is not pickled; find it again by its name where it is needed"
        raise TypeError(message)


@dataclass(frozen=True, slots=True)
class ConnectionRef(Generic[C]):
    """A connection that is known and not yet opened: no reference in it is resolved, nothing secret is printed."""

    name: str  # "" for one that is written inline
    connector: str
    origin: str  # where it is written: connections.yml:3, DPONE_CONN_SHOP
    config: type[C]
    base: Path  # `${file:...}` leads below this folder
    fields: _Hidden = field(repr=False)

    def __str__(self) -> str:
        named = f' "{self.name}"' if self.name else f" of {self.origin}"
        return f"{self.connector} connection{named}"

    def sent(self) -> Sent:
        """How a process elsewhere finds this connection: by its name there, or by what the manifest itself says.

        No secret leaves this process: a connection without a name that holds one is refused.
        """
        if self.name:
            return Sent(self.name, self.connector, str(self.base), None)
        fields = self.fields.reveal()
        for name, value in fields.items():
            if is_secret(self.config, name) and not _refers(value):
                raise UsageError(
                    f"{self} holds a secret ({name}), which is not sent to another process",
                    code="executor.literal_secret",
                    hint="write ${env:NAME}, or give the connection a name that the workers know too",
                )
        return Sent("", self.connector, str(self.base), fields)

    def described(self) -> dict[str, str]:
        """The fields that may be shown, as they are written; what may be secret is `***`."""
        return {name: _shown(name, value, self.config) for name, value in self.fields.reveal().items()}

    def resolve(self, environ: Mapping[str, str] | None = None) -> C:
        """The configuration with its secrets; called when a connection is opened and not before."""
        try:
            values = _resolved(self.fields.reveal(), self.base, os.environ if environ is None else environ)
        except UsageError as error:
            raise UsageError(f"{self}: {error.message}", code=error.code, hint=error.hint) from None
        problem: str | None = None
        found: C | None = None
        try:
            found = self.config.model_validate(values)
        except ValidationError as error:
            names = dict.fromkeys(str(e["loc"][0]) for e in error.errors(include_input=False) if e["loc"])
            problem = f"{listed(list(names), 'and')} cannot be used" if names else "its values do not go together"
        if found is not None:
            return self._with_files(found)
        # raised outside the except clause: the error above holds the values and must not become this one's context
        raise UsageError(
            f"{self} ({self.origin}): {problem}",
            code=BAD_CONNECTION,
            hint=f"look at what its references stand for; it has {', '.join(self.config.model_fields)}",
        )

    def _with_files(self, config: C) -> C:
        """The files that it names lie below the folder where they are named; raises where one cannot be read."""
        named = {name: getattr(config, name) for name in files_of(self.config)}
        found = {name: self.base / path for name, path in named.items() if isinstance(path, Path)}
        for name, path in found.items():
            if not path.is_file() or not os.access(path, os.R_OK):
                raise UsageError(
                    f"{self} ({self.origin}): {name}: there is no file {path}, or it cannot be read",
                    code="connection.file_missing",
                    hint="write its path, absolute or from the folder of the file that names it",
                )
        return config.model_copy(update=found)


@dataclass(frozen=True, slots=True)
class Sent:
    """A connection on its way to another process, where its references are resolved."""

    name: str
    connector: str
    base: str
    fields: Mapping[str, Json] | None = field(repr=False)

    def found(self, connector: Connector[C]) -> ConnectionRef[C]:
        """The connection, as this process finds it."""
        base = Path(self.base)
        if self.fields is None:
            return Connections(base).ref(self.name, connector)
        return ConnectionRef("", connector.name, "the manifest", connector.config, base, _Hidden(self.fields))


def _refers(value: Json) -> bool:
    """True when every text in a secret's value is a reference."""
    if isinstance(value, dict):
        return all(map(_refers, value.values()))
    return value is None or (isinstance(value, str) and bool(secrets.references(value)))


def _shown(name: str, value: Json, config: type[Config]) -> str:
    if is_secret(config, name) or not isinstance(value, str | int | float | bool):
        return "***"
    return re.sub(r"\?.*", "?***", re.sub(r"://[^/@]*@", "://***@", str(value)))


def _resolved(value: Json, base: Path, environ: Mapping[str, str]) -> Json:
    if isinstance(value, str):
        return secrets.substitute(value, base, environ).get_secret_value() if "${" in value else value
    if isinstance(value, dict):
        return {name: _resolved(item, base, environ) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, base, environ) for item in value]
    return value


def variable_of(name: str) -> str:
    """The environment variable that holds the URL of this connection."""
    return VARIABLE + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def from_url(
    url: str, connector: Connector[C], *, origin: str = "the URL", name: str = "", base: Path | None = None
) -> ConnectionRef[C]:
    """The connection that a URL says, checked as far as can be without its secrets."""
    return _from_url(url, connector, _Place(origin, None, name, base or Path.cwd()))


class _Place(Struct, frozen=True):
    """Where a connection is written, and the folder below which its files are."""

    file: str
    mark: Mark | None
    name: str
    base: Path

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.mark.line}" if self.mark else self.file


def _from_url(url: str, connector: Connector[C], place: _Place) -> ConnectionRef[C]:
    fields: dict[str, Json] = {}
    problems: list[Problem] = []
    try:
        fields = dict(fields_of_url(url, connector))
    except BadUrl as error:
        problems = [Problem(place.file, place.mark, str(error), BAD_CONNECTION, place.name)]
    where = f"{connector.name} connection"
    problems = problems or check_config(connector.config, node_of(fields), place.file, where=where, is_text=True)
    if problems:
        raise as_error(replace(p, mark=place.mark) for p in problems)
    return ConnectionRef(place.name, connector.name, place.origin, connector.config, place.base, _Hidden(fields))


def inline(
    node: Node, connector: Connector[C], file: str, base: Path, path: str = "connection"
) -> tuple[ConnectionRef[C], list[Problem]]:
    """The connection of a mapping in a manifest, which must not hold a secret itself, and what is wrong with it."""
    problems = check_config(connector.config, node, file, where=path)
    for loc, leaf in node.walk():
        if not loc or not isinstance(leaf.value, str) or secrets.references(leaf.value):
            continue
        if is_secret(connector.config, str(loc[0])) and str(loc[0]) in keys_of(connector.config):
            message = f"{path}.{loc[0]} is a secret, and a manifest holds none"
            hint = "write ${env:NAME} or ${file:path}, or keep the connection in connections.yml"
            problems.append(Problem(file, leaf.mark, message, LITERAL_SECRET, f"{path}.{loc[0]}", hint))
    origin = f"{file}:{node.mark.line}" if node.mark else file
    return ConnectionRef("", connector.name, origin, connector.config, base, _Hidden(node.plain())), problems


class _Found(Struct, frozen=True):
    file: Path
    entry: Entry


@dataclass(slots=True)
class Connections:
    """The connections that can be named here; files are read when a name is first asked for."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    _read: dict[str, _Found] | None = None

    def names(self) -> tuple[str, ...]:
        """Every name that is known, those of the environment in lower case."""
        named = set(self._entries())
        variables = {variable_of(n) for n in named}
        extra = (v for v in self.environ if v.startswith(VARIABLE) and len(v) > len(VARIABLE) and v not in variables)
        return tuple(sorted(named | {v.removeprefix(VARIABLE).lower() for v in extra}))

    def type_of(self, name: str) -> str | None:
        """The connector's name, or the scheme of the URL, that this connection is written with; None when unknown."""
        url = self._given(name)
        if url is None:
            found = self._entries().get(name)
            if found is None:
                return None
            if found.entry.node.entries:
                kind = found.entry.node.get("type")
                return str(kind.value) if kind and isinstance(kind.value, str) else None
            url = str(found.entry.node.value)
        return url.partition("://")[0].lower() if looks_like_url(url) else None

    def ref(self, name: str, connector: Connector[C]) -> ConnectionRef[C]:
        """The connection of this name for this connector."""
        url = self._given(name)
        if url is not None:
            return from_url(url, connector, origin=variable_of(name), name=name, base=self.folder)
        found = self._entries().get(name)
        if found is None:
            raise self._unknown(name)
        node, base = found.entry.node, found.file.parent
        place = _Place(found.file.name, found.entry.key, name, base)
        if isinstance(node.value, str):
            return _from_url(node.value, connector, place)
        fields = Node({key: entry for key, entry in node.entries.items() if key != "type"}, node.mark)
        problems = _wrong_type(found, name, connector)
        problems = problems or check_config(connector.config, fields, found.file.name, where=f'connection "{name}"')
        if problems:
            raise as_error(problems)
        return ConnectionRef(name, connector.name, place.origin, connector.config, base, _Hidden(fields.plain()))

    def _given(self, name: str) -> str | None:
        """The URL that the environment has for this name; None when it has none."""
        url = self.environ.get(variable_of(name))
        if url is not None and not url.strip():
            raise UsageError(
                f"{variable_of(name)} is set, and it is empty",
                code=BAD_CONNECTION,
                hint=f'set it to the URL of the connection "{name}", or unset it: then {FILE_NAMES[0]} is looked at',
            )
        return url

    def _unknown(self, name: str) -> UsageError:
        known = self.names()
        near = did_you_mean(name, known)
        hint = f"write it into {FILE_NAMES[0]} beside the manifest, or set {variable_of(name)} to its URL"
        if not near and known:
            hint += f"; known: {', '.join(known)}"
        return UsageError(f'unknown connection "{name}"{near}', code=UNKNOWN_CONNECTION, hint=hint)

    def _entries(self) -> dict[str, _Found]:
        if self._read is None:
            read: dict[str, _Found] = {}
            for file in self._files():
                for name, found in _entries_of(file):
                    read.setdefault(name, found)
            self._read = read
        return self._read

    def _files(self) -> Iterator[Path]:
        if chosen := self.environ.get(FILE_VARIABLE):
            path = Path(chosen).expanduser()
            if not path.is_file():
                raise UsageError(
                    f"{FILE_VARIABLE} names {path}, which is not there",
                    code="connection.not_found",
                    hint="correct the variable or unset it",
                )
            yield path
            return
        config = self.environ.get("XDG_CONFIG_HOME") or str(
            Path(self.environ.get("HOME", "~")).expanduser() / ".config"
        )
        for folder in (self.folder, Path(config) / "dpone"):
            yield from [path for name in FILE_NAMES if (path := folder / name).is_file()][:1]


def _entries_of(file: Path) -> list[tuple[str, _Found]]:
    raw: bytes | None = None
    with suppress(OSError):
        raw = file.read_bytes()
    if raw is None:
        raise as_error([Problem(str(file), None, "cannot be read", "connection.not_found")])
    if not raw.strip():
        return []
    root = compose(raw, file.name)
    if not isinstance(root.value, dict):
        raise as_error([_not_a_list_of_connections(file, root.mark)])
    problems = []
    for name, entry in root.entries.items():
        if not is_word(name):  # not shown: it may be a URL that lost its name
            message = "the name of a connection is made of letters, digits, `_`, `-` and `.`"
            problems.append(Problem(file.name, entry.key, message, BAD_CONNECTION))
        elif not isinstance(entry.node.value, dict) and not (
            isinstance(entry.node.value, str) and looks_like_url(entry.node.value)
        ):
            message = f'connection "{name}": expected a mapping with `type`, or a URL'
            problems.append(Problem(file.name, entry.key, message, BAD_CONNECTION, name))
        elif entry.node.entries and not isinstance(getattr(entry.node.get("type"), "value", None), str):
            message = f'connection "{name}" has no `type`, the name of its connector'
            problems.append(Problem(file.name, entry.key, message, BAD_CONNECTION, name))
    if problems:
        raise as_error(problems)
    return [(name, _Found(file, entry)) for name, entry in root.entries.items()]


def _not_a_list_of_connections(file: Path, mark: Mark | None) -> Problem:
    hint = "write `name: {type: ..., host: ...}` or `name: scheme://user:${env:PASSWORD}@host/database`"
    return Problem(file.name, mark, "expected connections by name", BAD_CONNECTION, hint=hint)


def _wrong_type(found: _Found, name: str, connector: Connector[Any]) -> list[Problem]:
    kind = found.entry.node.get("type")
    if kind is None or kind.value == connector.name:
        return []
    message = f'connection "{name}" is of type {kind.value}, and is used for {connector.name}'
    return [Problem(found.file.name, kind.mark, message, BAD_CONNECTION, f"{name}.type")]
