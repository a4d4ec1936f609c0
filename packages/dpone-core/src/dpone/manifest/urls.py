"""Connection URLs, `scheme://user:password@host:port/database?option=value`, as the fields of a configuration.

A configuration whose fields have other names says so: `url_parts: ClassVar[Mapping[str, str]] = {"project": "host"}`
maps its field to a part of the URL. The parts are user, password, host, port, database, and two longer ones:
`authority` (host and port as written, also several) and `url` (scheme, authority and path). No message quotes the URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from dpone.connector import Config, Connector
from dpone.manifest.problems import did_you_mean, listed, resembles
from dpone.manifest.secrets import REFERENCE

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<user>[^@/?#]*)@)?(?P<authority>[^@/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)
_PORT = "[0-9]*|\ue000[0-9]+\ue001"
_HOST = re.compile(rf"\[(?P<six>[0-9A-Fa-f:.%]+)\](?::(?P<port6>{_PORT}))?|(?P<name>[^:\[\]]*)(?::(?P<port>{_PORT}))?")
_HELD = "\ue000{}\ue001"  # private characters stand for references while the URL is taken apart
_HELD_AGAIN = re.compile("\ue000([0-9]+)\ue001")
_LARGEST_PORT = 65535
_SHAPE = "scheme://user:password@host:port/database?option=value"


class BadUrl(ValueError):
    """What is wrong with a URL, in words that do not quote it."""


def looks_like_url(text: str) -> bool:
    return "://" in text


def scheme_of(text: str) -> str:
    """The scheme of a URL, or an empty text."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    return found[1].lower() if found else ""


def fields_of_url(text: str, connector: Connector[Any]) -> dict[str, str]:
    """The fields that a URL gives to the connector's configuration; references in it stay as they are."""
    if re.search(r"[\s\x00-\x1f\ue000\ue001]", REFERENCE.sub("", text)):
        raise BadUrl("a URL holds no spaces: write %20")
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(match[0])
        return _HELD.format(len(held) - 1)

    def release(part: str) -> str:
        decoded = unquote(
            part, errors="surrogateescape"
        )  # an error would carry the bytes along, and with them a password
        if re.search("[\ud800-\udfff]", decoded):
            raise BadUrl("a percent sign must begin the code of a UTF-8 character")
        # `${` of a decoded value would look like a reference later on
        return _HELD_AGAIN.sub(lambda m: held[int(m[1])], decoded.replace("${", "$${"))

    found = _URL.fullmatch(REFERENCE.sub(hold, text))
    if found is None:
        raise BadUrl(f"expected {_SHAPE}; write @ : / ? # in a user or password as %40 %3A %2F %3F %23")
    if found["scheme"].lower() not in connector.schemes:
        raise BadUrl(f"{connector.name} reads URLs that begin with {listed([f'{s}://' for s in connector.schemes])}")
    parts = {name: release(part) for name, part in _parts(found, connector).items() if part}
    fields = _named(parts, connector)
    for name, value in _options(found["query"] or ""):
        _add_option(fields, release(name), release(value), connector)
    return fields


def _parts(found: re.Match[str], connector: Connector[Any]) -> dict[str, str]:
    user, _, password = (found["user"] or "").partition(":")
    authority, path = found["authority"] or "", found["path"] or ""
    parts = {"user": user, "password": password, "database": path.removeprefix("/")}
    wanted = set(_url_parts(connector).values())
    if "url" in wanted:
        parts["url"] = f"{found['scheme']}://{authority}{path}"
        del parts["database"]
    elif "authority" in wanted:
        parts["authority"] = authority
    else:
        host = _HOST.fullmatch(authority)
        if host is None:
            raise BadUrl(f"expected one host and port; {_SHAPE}")
        parts["host"] = host["six"] or host["name"] or ""
        parts["port"] = host["port6"] or host["port"] or ""
        if parts["port"].isdecimal() and int(parts["port"][:9]) > _LARGEST_PORT:
            raise BadUrl(f"a port is at most {_LARGEST_PORT}")
    return parts


def _url_parts(connector: Connector[Any]) -> Mapping[str, str]:
    own: Mapping[str, str] = getattr(connector.config, "url_parts", {})
    return {**{n: n for n in ("user", "password", "host", "port", "database") if n in _names(connector.config)}, **own}


def _named(parts: Mapping[str, str], connector: Connector[Any]) -> dict[str, str]:
    fields = {field: parts[part] for field, part in _url_parts(connector).items() if part in parts}
    if unused := [p for p in parts if p not in _url_parts(connector).values()]:
        raise BadUrl(f"a {connector.name} connection has no {listed(unused)}")
    return fields


def _options(query: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]


def _add_option(fields: dict[str, str], name: str, value: str, connector: Connector[Any]) -> None:
    known = _names(connector.config)
    if name not in known:
        # what resembles no option may be part of a password with a `?` in it, and is not shown
        shown = f' "{name}"' if resembles(name, known) else ""
        there_are = f"; there are {listed(sorted(known), 'and')}"
        near = did_you_mean(name, known)
        raise BadUrl(f"unknown option{shown} in the URL{near or there_are}")
    if name in fields:
        raise BadUrl(f'"{name}" is given twice')
    fields[name] = value


def _names(config: type[Config]) -> set[str]:
    return {field.alias or name for name, field in config.model_fields.items()}
