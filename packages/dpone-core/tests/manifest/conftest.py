"""Two connectors that exist in declarations alone, and a folder with connections to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import settings
from pydantic import ConfigDict, Field, SecretStr, model_validator

from dpone.connector import (
    Config,
    Connector,
    Dataset,
    Profile,
    SinkOptions,
    SinkSpec,
    SourceOptions,
    SourceSpec,
    Target,
    lazy,
)
from dpone.errors import MissingPackage, UsageError
from dpone.manifest import Manifest, load
from dpone.manifest.options import Pattern, TableSink, TableSource, Template
from dpone.ops import OPS
from dpone.schema import STRING, Landing, TypeMap
from dpone.strategies import Read

FULL = os.environ.get("DPONE_HYPOTHESIS_PROFILE") == "full"
settings.register_profile("manifest", max_examples=2000 if FULL else 100, deadline=None)
settings.load_profile("manifest")

CANARY = "c4n4ry-p@ss:w/rd?é"
CANARY_ENCODED = "c4n4ry-p%40ss%3Aw%2Frd%3F%C3%A9"


class AlphaConfig(Config):
    """A server with a password."""

    host: str = Field(description="where it is")
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    user: str | None = None
    password: SecretStr | None = None
    database: str = "main"
    sslmode: Literal["disable", "verify-full"] = "verify-full"
    headers: dict[str, SecretStr] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _talks_too_much(self) -> AlphaConfig:
        if self.user == "forbidden":  # a validator that quotes what it should not
            secret = self.password.get_secret_value() if self.password else ""
            raise ValueError(f"forbidden cannot log in with {secret}")
        return self


class AlphaSource(TableSource):
    fetch_rows: Annotated[int, Field(ge=1)] = Field(default=1000, description="rows of one fetch")
    hint: Literal["fast", "gentle"] | None = None


class BetaConfig(Config):
    """A cloud project; its fields have other names than the parts of a URL."""

    url_parts: ClassVar[Mapping[str, str]] = {"project": "host", "dataset": "database"}

    project: str
    dataset: str | None = None
    token: SecretStr | None = None


class BetaSink(TableSink):
    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Literal["log", "tree"] = "tree"
    settings: dict[str, int] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_known(self) -> BetaSink:
        if "unknown" in self.settings:  # not a ValueError, which pydantic would gather
            raise UsageError("no such setting", code="manifest.invalid_value", hint="look it up")
        return self

    def target(self) -> Target:
        found = super().target()
        if len(found.name) > 2:
            raise UsageError("beta has two levels of names", code="manifest.invalid_name", hint="write dataset.table")
        return found


class GammaConfig(Config):
    """Nothing to say."""


class TopicSource(SourceOptions):
    """Something whose names have dots of their own."""

    topic: Annotated[str, Field(pattern=r"^[a-z.*?]+$"), Pattern(is_name=False)]

    def dataset(self) -> Dataset:
        return Dataset((self.topic,))


class TopicSink(SinkOptions):
    topic: Annotated[str, Field(pattern=r"^[a-z.{}]+$"), Template(is_name=False)]

    def target(self) -> Target:
        return Target((self.topic,))


def _types() -> TypeMap:
    return TypeMap((), lambda _: STRING, lambda _: Landing("text"), lambda _old, _new: False)


def _connector(name: str, config: type[Config], source: Any, sink: Any, schemes: tuple[str, ...]) -> Connector[Any]:
    never = lazy("nowhere:nothing")
    return Connector(
        name=name,
        distribution=f"dpone-connectors-{name}",
        config=config,
        types=_types(),
        profile=Profile(f"{name}_live", "a server"),
        schemes=schemes,
        source=SourceSpec(frozenset(Read), (), source, never) if source else None,
        sink=SinkSpec(frozenset(OPS), (), sink, never, "transaction") if sink else None,
    )


ALPHA = _connector("alpha", AlphaConfig, AlphaSource, TableSink, ("alpha", "alphasql"))
BETA = _connector("beta", BetaConfig, None, BetaSink, ("beta",))
GAMMA = _connector("gamma", GammaConfig, TableSource, None, ("gamma",))
DELTA = _connector("delta", GammaConfig, TopicSource, TopicSink, ("delta",))
CONNECTORS = {c.name: c for c in (ALPHA, BETA, GAMMA, DELTA)}


def look_up(name: str) -> Connector[Any]:
    if name == "kafka":
        raise MissingPackage("the connector 'kafka' is not installed", install="dpone-connectors-kafka")
    if name in CONNECTORS:
        return CONNECTORS[name]
    raise UsageError(f"unknown connector {name!r}; did you mean 'alpha'?", code="manifest.unknown_connector")


CONNECTIONS = f"""\
# the project's own
shop: {{type: alpha, host: shop.example, user: app, password: "{CANARY}", database: shop}}
dwh: beta://analytics/raw?token=${{env:BETA_TOKEN}}
other: alpha://app:{CANARY_ENCODED}@other.example:1234/db?sslmode=disable
"""
Load = Callable[[str], Manifest]
ENVIRON = {"BETA_TOKEN": CANARY, "HOME": "/nowhere"}


@pytest.fixture(scope="session")
def connectors() -> dict[str, Connector[Any]]:
    return CONNECTORS


@pytest.fixture
def environ() -> dict[str, str]:
    return dict(ENVIRON)


@pytest.fixture
def canary() -> str:
    return CANARY


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a connections.yml."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "connections.yml").write_text(CONNECTIONS, encoding="utf-8")
    return folder


@pytest.fixture
def load_text(project: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a manifest of this text as orders.yaml."""
    monkeypatch.chdir(project)

    def load_it(text: str) -> Manifest:
        Path("orders.yaml").write_text(text, encoding="utf-8")
        return load("orders.yaml", look_up, environ=ENVIRON)

    return load_it


@pytest.fixture(scope="session")
def lookup() -> Callable[[str], Connector[Any]]:
    return look_up
