"""Reading evidence from the disk: each file once, nothing outside what was named, nothing without end."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dpone_certify.documents.canonical import parse, sha256
from dpone_certify.documents.document import Blocker
from dpone_certify.documents.reading import MOST_BYTES, read_bytes
from dpone_certify.evidence.kinds import KINDS
from dpone_certify.evidence.tree import Evidence, Fault, Flaw, Reference
from dpone_certify.signing.envelope import refusal

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

_DEEPEST = 6  # a summary, a suite, a bundle, a baseline, its metrics
_PRODUCE = "produce it again; do not change it by hand"


def gather(
    name: str, path: Path | None, key: SSlibKey | None = None, *, expected: frozenset[str] | None = None
) -> Evidence:
    """The evidence in a file with all that it rests on; `expected` are the schemas that may stand there."""
    return _gather(Reference(name, "", expected=expected), path, key, ())


def _gather(
    reference: Reference,
    path: Path | None,
    key: SSlibKey | None,
    above: tuple[Path, ...],
) -> Evidence:
    name, expected = reference.name, reference.expected
    content, blockers = read_bytes(name, path, reference.most_bytes or MOST_BYTES)
    if content is None or path is None:
        return Evidence(name, path, flaws=tuple(_flaw(b) for b in blockers))
    digest = sha256(content)
    if reference.sha256 is not None and reference.sha256 != digest:
        changed = Flaw("invalid", f"{path} was changed since it was named here", _PRODUCE)
        return Evidence(name, path, digest, flaws=(changed,))
    if path.resolve() in above or len(above) > _DEEPEST:
        return Evidence(name, path, digest, flaws=(Flaw("invalid", f"{path} rests on itself", _PRODUCE),))
    try:
        value = parse(content)
    except (ValueError, RecursionError) as error:
        return _not_json(name, path, content, error, is_expected=expected is not None or reference.is_data)
    if reference.is_data:
        return Evidence(name, path, digest, value)
    schema = value.get("schema_version") if isinstance(value, dict) else None
    kind = KINDS.get(schema) if isinstance(schema, str) else None
    if expected is not None and schema not in expected:
        wanted = " or ".join(sorted(expected))
        found = Flaw("invalid", f"{path} says that it is {str(schema)[:60]!r}, expected {wanted}", _PRODUCE)
        return Evidence(name, path, digest, value, flaws=(found,))
    if kind is None:
        return Evidence(name, path, digest, value)  # opaque
    try:
        document = kind.model.model_validate(value)
    except ValidationError as error:
        return Evidence(name, path, digest, value, flaws=(Flaw("invalid", f"{path}: {_said(error)}", _PRODUCE),))
    return Evidence(
        name,
        path,
        digest,
        value,
        document,
        refusal=refusal(path, content, key) if key is not None else None,
        parts=tuple(_part(r, path, key, (*above, path.resolve())) for r in kind.parts(document)),
    )


def _part(reference: Reference, path: Path, key: SSlibKey | None, above: tuple[Path, ...]) -> Evidence:
    """A file that a document names. An absolute path would be another file on another machine."""
    said = PurePosixPath(reference.path)
    if said.is_absolute() or "\\" in reference.path or "\0" in reference.path:
        escapes = Flaw("invalid", f"{path} names {reference.path[:100]!r}, which is not relative to it", _PRODUCE)
        return Evidence(reference.name, None, flaws=(escapes,))
    if reference.path == "":
        missing = Flaw("missing", f"{path} names no file for {reference.name}", _PRODUCE)
        return Evidence(reference.name, None, flaws=(missing,))
    return _gather(reference, path.parent / said, key, above)


def _not_json(name: str, path: Path, content: bytes, error: Exception, *, is_expected: bool) -> Evidence:
    """A log or a picture is opaque; what ought to be JSON and is not, is damaged."""
    digest = sha256(content)
    if not is_expected and path.suffix != ".json":
        return Evidence(name, path, digest)
    flaw = Flaw("invalid", f"{path} is not JSON that is read in one way: {error}", _PRODUCE)
    return Evidence(name, path, digest, flaws=(flaw,))


def _flaw(blocker: Blocker) -> Flaw:
    fault: Fault = "missing" if blocker.code.endswith(".missing") else "invalid"
    return Flaw(fault, blocker.message, blocker.action)


def _said(error: ValidationError) -> str:
    found = error.errors(include_input=False, include_url=False)[:3]
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in found)
