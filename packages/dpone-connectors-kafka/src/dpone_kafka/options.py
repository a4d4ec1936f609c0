"""What a manifest may say of Kafka under `source:` and `sink:`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StrictBool, StringConstraints, model_validator

from dpone.connector import Dataset, SinkOptions, SourceOptions, Target
from dpone.manifest.options import Pattern, Template
from dpone.manifest.scalars import Name, Names, PositiveInt, TypeText, refused

Encoding = Literal["json", "json_schema", "avro", "protobuf"]
# what brokers take as a topic; a source's may hold wildcards, a sink's the placeholders of a list of streams
Topic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
_SourceTopic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._*?-]{1,249}$"), Pattern(is_name=False)]
_SinkTopic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._{}-]{1,249}$"), Template(is_name=False)]
Subjects = Literal["topic", "record", "topic_record"]


class KafkaSource(SourceOptions):
    """A topic, what its messages are, and which of them one load takes."""

    topic: _SourceTopic = Field(description="the topic")
    view: Literal["log", "table"] = Field(
        default="log",
        description="log: every message is a row; table: the last value of each key, tombstones removed",
    )
    format: Encoding | Literal["raw"] = Field(default="json", description="what the value of a message is")
    key_format: Encoding | Literal["text", "raw"] = Field(default="text", description="what the key of a message is")
    columns: dict[Name, TypeText] | None = Field(
        default=None, description="the fields of a value and their types, where no registry knows them"
    )
    key_columns: Names | None = Field(
        default=None, description="the columns that the key of a message becomes, where it is not part of the value"
    )
    metadata: StrictBool = Field(
        default=False, description="true adds _topic, _partition, _offset, _timestamp and _headers"
    )
    tombstones: Literal["delete", "ignore", "refuse"] = Field(
        default="delete",
        description="what a message without a value means: its key is deleted, or nothing, or an error",
    )
    on_bad_message: Literal["stop", "dead_letter"] = Field(
        default="stop", description="what happens to a message that cannot be decoded"
    )
    dead_letter_topic: Topic | None = Field(default=None, description="where such messages go, with the reason")
    on_lost_offsets: Literal["stop", "earliest"] = Field(
        default="stop", description="what happens when the broker no longer has the messages that come next"
    )
    max_messages: PositiveInt | None = Field(default=None, description="at most so many messages in one load")
    begin_at: AwareDatetime | None = Field(
        default=None, description="a first incremental load begins with the messages of this time"
    )
    end_before: AwareDatetime | None = Field(
        default=None, description="no incremental load takes messages of this time or later"
    )
    commit_group: Name | None = Field(
        default=None, description="a consumer group whose offsets follow what was loaded, for others to see"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.dead_letter_topic is not None) is not (self.on_bad_message == "dead_letter"):
            raise refused("`dead_letter_topic` and `on_bad_message: dead_letter` belong together")
        if self.format == "raw" and self.columns is not None:
            raise refused("a raw value has no fields: leave out `columns`")
        return self

    def dataset(self) -> Dataset:
        return Dataset((self.topic,), None, self.model_dump(mode="json", exclude={"topic"}, exclude_none=True))


class KafkaSink(SinkOptions):
    """A topic, what its messages are, and how it is made where it is not there."""

    of_new = frozenset({"partitions", "replication", "cleanup"})

    topic: _SinkTopic = Field(description="the topic")
    format: Encoding = Field(default="json", description="what the value of a message is")
    key_format: Encoding | Literal["text"] = Field(
        default="json", description="what the key of a message is; text is for keys of one column"
    )
    subjects: Subjects = Field(default="topic", description="by what the registry names schemas")
    register_schemas: StrictBool = Field(
        default=True, description="false takes the registry's latest schema and never adds one"
    )
    partitions: PositiveInt | None = Field(
        default=None, description="of a new topic; the broker's default unless given"
    )
    replication: PositiveInt | None = Field(
        default=None, description="of a new topic; the broker's default unless given"
    )
    cleanup: Literal["compact", "delete", "compact_delete"] = Field(
        default="compact", description="what the broker removes from a new topic"
    )
    index: StrictBool = Field(
        default=True,
        description="keep a compacted topic of keys and hashes beside the target, by which changes and deletions are "
        "found; false allows appending alone",
    )

    def target(self) -> Target:
        return Target((self.topic,), self.model_dump(mode="json", exclude={"topic"}, exclude_none=True))
