"""The files that say which services are up: one for each, readable by their owner alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

from msgspec import Struct

from dpone.errors import StateError
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.process_identity import ProcessIdentity
from dpone.testing.services.secret import Secret


class Entry(Struct, frozen=True):
    name: str
    keeper: ProcessIdentity
    endpoint: Endpoint


def write(state_dir: Path, entry: Entry) -> None:
    """The file is there as a whole or not at all."""
    file = _file(state_dir, entry.name)
    unfinished = file.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as text:
        json.dump(_document(entry), text, indent=2)
    unfinished.replace(file)


def read(state_dir: Path, name: str) -> Entry | None:
    file = _file(state_dir, name)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        document = json.loads(text)
        endpoint = document["endpoint"]
        password = endpoint["password"]
        return Entry(
            name,
            ProcessIdentity(**document["keeper"]),
            Endpoint(
                **{
                    **endpoint,
                    "provider": Provider(endpoint["provider"]),
                    "fidelity": Fidelity(endpoint["fidelity"]),
                    "password": None if password is None else Secret(password),
                }
            ),
        )
    except (KeyError, TypeError, ValueError):
        # raised without the cause, whose text would show the file's content, the password included
        raise StateError(
            f"{file} is not a service's state as this version writes it",
            code="service.state_unreadable",
            hint="end the process that it names, then remove the file",
        ) from None


def read_all(state_dir: Path) -> list[Entry]:
    names = sorted(file.stem for file in state_dir.glob("*.json"))
    return [entry for name in names if (entry := read(state_dir, name)) is not None]


def remove(state_dir: Path, name: str) -> None:
    _file(state_dir, name).unlink(missing_ok=True)


def _file(state_dir: Path, name: str) -> Path:
    return state_dir / f"{name}.json"


def _document(entry: Entry) -> dict[str, object]:
    endpoint = entry.endpoint
    return {
        "keeper": {"pid": entry.keeper.pid, "started": entry.keeper.started},
        "endpoint": {
            "connector": endpoint.connector,
            "host": endpoint.host,
            "ports": dict(endpoint.ports),
            "provider": endpoint.provider.value,
            "fidelity": endpoint.fidelity.value,
            "user": endpoint.user,
            "password": endpoint.password.reveal() if endpoint.password is not None else None,
            "database": endpoint.database,
            "scheme": endpoint.scheme,
            "extra": dict(endpoint.extra),
        },
    }
