"""What is wrong with the fields of a connection, as far as can be told without resolving its references."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, get_args

from msgspec.structs import replace
from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from dpone.connector import Config, File
from dpone.manifest.document import Node
from dpone.manifest.findings import Place, findings, keys_of
from dpone.manifest.problems import BAD_CONNECTION, Problem
from dpone.manifest.secrets import malformed, references

_TELLING = 4  # characters below which a secret is none, and hiding it would garble a message


def is_secret(config: type[BaseModel], name: str) -> bool:
    """True when the field of this name, or anything in it, is secret; a name that is not known may be one."""
    for field_name, field in config.model_fields.items():
        if name in {field_name, field.alias}:
            return _holds_secret(field.annotation)
    return True


def _holds_secret(of: Any) -> bool:
    if isinstance(of, type) and issubclass(of, BaseModel):
        return any(_holds_secret(field.annotation) for field in of.model_fields.values())
    return of in {SecretStr, SecretBytes} or any(_holds_secret(arg) for arg in get_args(of) if arg is not of)


def files_of(config: type[BaseModel]) -> list[str]:
    """The fields that name a file of this machine, whether or not they may be left out."""
    mark = get_args(File)[1]
    fields = config.model_fields.items()
    return [name for name, field in fields if File in get_args(field.annotation) or mark in field.metadata]


def check_config(config: type[Config], node: Node, file: str, *, where: str, is_text: bool = False) -> list[Problem]:
    """What is wrong with a connection, as far as can be told without resolving its references.

    `is_text`: the values come from a URL, so that numbers are text.
    """
    place = Place(file, node, where=where, shows=False, shows_keys=False, code=BAD_CONNECTION)
    if not isinstance(node.value, dict):
        return [Problem(file, node.mark, f"{where}: expected a mapping", BAD_CONNECTION, where)]
    problems = [
        Problem(file, leaf.mark, f"{place.path(loc)}: {why}", BAD_CONNECTION, place.path(loc))
        for loc, leaf in node.walk()
        if isinstance(leaf.value, str) and "${" in leaf.value and (why := malformed(leaf.value))
    ]
    if problems:
        return problems
    try:
        if is_text:
            config.model_validate(node.plain())
        else:
            config.model_validate_json(json.dumps(node.plain(), default=str), strict=True)
    except ValidationError as error:
        waiting = [e["loc"] for e in error.errors() if e["type"] not in {"missing", "extra_forbidden", "json_invalid"}]
        unknown = {place.path(loc) for loc in waiting if _has_reference(node.at(loc))}
        problems = [p for p in findings(error, config, place) if p.path not in unknown]
    return [_redacted(p, config, node) for p in problems]


def _has_reference(node: Node) -> bool:
    return any(isinstance(leaf.value, str) and references(leaf.value) for _, leaf in node.walk())


def _redacted(problem: Problem, config: type[Config], node: Node) -> Problem:
    """The problem without any literal secret: a connector's own validator may have quoted one."""
    message = problem.message
    for secret in sorted(_literals(config, node), key=len, reverse=True):
        message = message.replace(secret, "***")
    return replace(problem, message=message)


def _literals(config: type[Config], node: Node) -> Iterable[str]:
    for name, entry in node.entries.items():
        if is_secret(config, name) and name in keys_of(config):
            texts = (leaf.value for _, leaf in entry.node.walk() if isinstance(leaf.value, str))
            yield from (text for text in texts if len(text) >= _TELLING)
