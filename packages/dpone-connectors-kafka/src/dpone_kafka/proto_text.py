"""Protobuf schemas that are text, `.proto`, as the descriptors that confluent-kafka's own serializers take.

A registry compiles them itself when it is asked for the format `serialized`, which Confluent's is; what comes back as
text all the same is compiled here, by the compiler of Protobuf itself.
"""

from __future__ import annotations

import base64
import binascii
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka.schema_registry import RegisteredSchema, Schema, SchemaRegistryClient
from google.protobuf import descriptor_pb2
from google.protobuf.message import DecodeError

from dpone.errors import MissingPackage, PlanError

FORMAT = "serialized"
_KIND = "PROTOBUF"
_MAIN = "default"  # as confluent's serializers name a file that has no name
_PATIENCE = 60


class CompilingRegistry(SchemaRegistryClient):
    """The registry's client; every Protobuf schema that it gives is a descriptor."""

    def __init__(self, conf: dict[str, Any]) -> None:
        super().__init__(conf)
        self._compiled: dict[tuple[str, str], str] = {}

    def get_schema(self, *given: Any, **named: Any) -> Schema:
        return self._descriptor(super().get_schema(*given, **named))

    def get_latest_version(self, *given: Any, **named: Any) -> RegisteredSchema:
        return self._described(super().get_latest_version(*given, **named))

    def get_version(self, *given: Any, **named: Any) -> RegisteredSchema:
        return self._described(super().get_version(*given, **named))

    def _described(self, found: RegisteredSchema) -> RegisteredSchema:
        schema = self._descriptor(found.schema)
        if schema is found.schema:
            return found
        return RegisteredSchema(
            subject=found.subject, version=found.version, schema_id=found.schema_id, guid=found.guid, schema=schema
        )

    def _descriptor(self, schema: Schema) -> Schema:
        text = schema.schema_str or ""
        if schema.schema_type != _KIND or is_descriptor(text):
            return schema
        known = text, repr([(r.name, r.subject, r.version) for r in schema.references or ()])
        if known not in self._compiled:
            imports: dict[str, str] = {}
            self._gather(schema, imports)
            self._compiled[known] = encoded(compiled(text, imports))
        return Schema(self._compiled[known], _KIND, schema.references)

    def _gather(self, schema: Schema, imports: dict[str, str]) -> None:
        """The texts of all that a schema refers to, and of what they refer to."""
        for reference in schema.references or ():
            if reference.name is None or reference.subject is None or reference.name in imports:
                continue
            found = super().get_version(reference.subject, reference.version or "latest").schema
            imports[reference.name] = found.schema_str or ""
            self._gather(found, imports)


def is_descriptor(text: str) -> bool:
    """Whether a schema is a file's descriptor in base64, as Python's serializers register it."""
    try:
        descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, DecodeError):
        return False
    return True


def encoded(proto: Any) -> str:
    return base64.b64encode(proto.SerializeToString()).decode()


def compiled(text: str, imports: Mapping[str, str]) -> Any:
    """The descriptor of the text, whose imports are given by the names under which it imports them."""
    if find_spec("grpc_tools") is None:
        raise MissingPackage(
            "the registry holds the Protobuf schema as text, and there is no compiler to read it with",
            install="'dpone-connectors-kafka[protoc]'",
        )
    with TemporaryDirectory(prefix="dpone-proto-") as folder:
        root = Path(folder)
        names = {f"{_MAIN}.proto": text, **imports}
        for name, body in names.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or path.suffix != ".proto" or is_descriptor(body):
                raise _unreadable(f"{name} is imported, and is no text of a file of that name")
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(body, "utf-8")
        return _run(root)


def _run(root: Path) -> Any:
    out = root / "descriptors"
    # a process of its own: the compiler writes to the real standard error, and ends the process where it must;
    # isolated, since the folder holds files that others named
    asked = [
        sys.executable,
        "-I",
        "-m",
        "grpc_tools.protoc",
        f"-I{root}",
        f"--descriptor_set_out={out}",
        f"{_MAIN}.proto",
    ]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and files of names that we checked
            asked, cwd=root, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise _unreadable("it was not compiled in time") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise _unreadable(said[0] if said else "the compiler refuses it")
    (proto,) = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    proto.name = _MAIN
    return proto


def _unreadable(why: str) -> PlanError:
    return PlanError(
        f"a Protobuf schema of the registry cannot be compiled: {why}",
        code="source.schema_unreadable",
        hint="register it with all that it imports as references, each under the name that it is imported by",
    )
