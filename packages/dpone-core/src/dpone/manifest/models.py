"""The manifest: what one pipeline is (`Stream`) and what a file holds (`Manifest`), frozen and printable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    PlainValidator,
    SerializeAsAny,
    StrictBool,
    WithJsonSchema,
    computed_field,
)

from dpone.connector import Connector, SinkOptions, SourceOptions
from dpone.manifest.checks import Bounded
from dpone.manifest.columns import Projection
from dpone.manifest.connections import ConnectionRef
from dpone.manifest.filters import Filter
from dpone.manifest.modes import Strategy
from dpone.manifest.scalars import Duration, Model, Size, refused


class SchemaEvolution(Model):
    """What a change of the source's columns means for the target."""

    new_columns: Literal["add", "ignore", "refuse"] = Field(default="add", description="a column that the target lacks")
    widened: Literal["widen", "refuse"] = Field(default="widen", description="a type that holds more than the target's")
    dropped: Literal["keep", "refuse"] = Field(default="refuse", description="a column that the source no longer has")


class Limits(Model):
    """What a run may use."""

    statement_timeout: Duration | None = Field(
        default=None, description="the longest that one statement may take: `10m`"
    )
    run_timeout: Duration | None = Field(default=None, description="the longest that the run may take: `2h`")
    memory: Size | None = Field(default=None, description="the memory that rows in flight may take: `512MiB`")


def _type_loss(value: object) -> str | tuple[str, ...]:
    if value in ("refuse", "allow"):
        return str(value)
    if isinstance(value, list | tuple) and value and all(isinstance(v, str) and v for v in value):
        return tuple(value)
    raise refused("expected refuse, allow, or a list of the columns that may lose something")


TypeLoss = Annotated[
    Literal["refuse", "allow"] | tuple[str, ...],
    PlainValidator(_type_loss),
    PlainSerializer(lambda v: v if isinstance(v, str) else list(v)),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["refuse", "allow"]},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            ]
        }
    ),
]


class Settings(Projection, Bounded):
    """What a pipeline says beside its two ends and its strategy; every key has a default."""

    where: tuple[Filter, ...] = Field(default=(), description="conditions that a row must fulfil to be loaded")
    schema_evolution: SchemaEvolution = Field(
        default=SchemaEvolution(), description="what a change of the source's columns means"
    )
    on_type_loss: TypeLoss = Field(
        default="refuse", description="whether values may change on their way; columns by their names in the target"
    )
    audit: StrictBool = Field(
        default=False, description="true adds `_dpone_load_id` and `_dpone_loaded_at` to the target"
    )
    limits: Limits = Field(default=Limits(), description="timeouts and memory")
    reconcile: Literal["counts", "profile"] = Field(
        default="profile", description="how much of the target is compared with what was read, before it is published"
    )

    def loses(self, column: str) -> bool:
        """True when the manifest declares that values of this column may change on their way."""
        return self.on_type_loss == "allow" or (isinstance(self.on_type_loss, tuple) and column in self.on_type_loss)


Described = Annotated[InstanceOf[ConnectionRef[Any]], PlainSerializer(lambda c: c.name or c.described())]


class _End(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)

    connector: InstanceOf[Connector[Any]] = Field(exclude=True, repr=False)
    connection: Described

    @computed_field  # type: ignore[prop-decorator] # mypy takes no decorated property; pydantic's own documentation
    @property
    def type(self) -> str:
        return self.connector.name


class SourceEnd(_End):
    """Where rows come from: the connector, the connection, and the connector's own options."""

    options: SerializeAsAny[SourceOptions]


class SinkEnd(_End):
    """Where rows go to."""

    options: SerializeAsAny[SinkOptions]


class Stream(Settings):
    """One pipeline, whole: from one dataset to one target."""

    name: str
    source: SourceEnd
    sink: SinkEnd
    strategy: SerializeAsAny[Strategy]


class Manifest(BaseModel):
    """What a file holds: one stream, or several that may run at the same time.

    A stream whose source is a wildcard is in `wildcards` until `dpone.manifest.expand` has asked what there is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)

    name: str
    streams: tuple[Stream, ...]
    wildcards: tuple[Any, ...] = Field(default=(), exclude=True)  # of dpone.manifest.streams.Wildcard
    parallel: int = 1
    path: Path | None = None
