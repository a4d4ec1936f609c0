"""A document has one spelling, says nothing it cannot stand by, and is refused when it is not what it says it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from dpone.errors import EvidenceError
from dpone_certify.documents.canonical import canonical, parse, relative, write
from dpone_certify.documents.document import Blocker, Distribution, Document, Subject, verdict
from dpone_certify.documents.index import Index, enter
from dpone_certify.documents.markdown import head
from dpone_certify.documents.reading import read_document
from dpone_certify.documents.subject import differences, subject

AT = datetime(2026, 6, 1, tzinfo=UTC)
BLOCKER = Blocker(code="thing.missing", message="it is | not <there>", action="make it")
CORE = {"dpone-core": Distribution(version="1", digest="a")}


class Thing(Document):
    schema_version: Literal["dpone.thing.v1"] = "dpone.thing.v1"
    size: float


def thing(size: float = 1.0, *, at: datetime = AT, **more: Any) -> Thing:
    facts = {"passed": True, "blockers": (), **more}
    return Thing(created_at=at, producer="test", subject=Subject(distributions=CORE), size=size, **facts)


def test_a_document_has_one_spelling() -> None:
    text = thing().to_json()
    assert text == canonical(json.loads(text))
    assert text.endswith("}\n")
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert Thing.model_validate_json(text) == thing()


def test_text_is_utf_8_as_it_is() -> None:
    assert canonical({"ü": "→"}) == '{\n  "ü": "→"\n}\n'


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    with pytest.raises(ValidationError):
        thing(number)
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"size": number})


def test_nothing_passes_while_something_blocks_it() -> None:
    with pytest.raises(ValidationError, match="with blockers does not pass"):
        thing(passed=True, blockers=(BLOCKER,))
    assert verdict([]) == {"passed": True, "blockers": ()}
    assert verdict([BLOCKER, BLOCKER]) == {"passed": False, "blockers": (BLOCKER,)}


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2}', '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', '"\\ud800"x', "\xff"]
)
def test_what_two_readers_could_read_differently_is_not_read(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of json or of ours; that it is refused is the point
        parse(text.encode("latin-1"))


@pytest.mark.parametrize(
    "change, code",
    [
        ({"schema_version": "dpone.thing.v2"}, "thing.invalid"),
        ({"extra": 1}, "thing.invalid"),
        ({"passed": "yes indeed"}, "thing.invalid"),
        ({"created_at": "2026-06-01T00:00:00"}, "thing.invalid"),
        ({"size": None}, "thing.invalid"),
        ({}, None),
    ],
)
def test_a_document_that_is_not_what_it_says_is_a_blocker(
    tmp_path: Path, change: dict[str, Any], code: str | None
) -> None:
    path = tmp_path / "thing.json"
    path.write_text(json.dumps({**json.loads(thing().to_json()), **change}), encoding="utf-8")
    read = read_document("thing", path, Thing)
    assert [b.code for b in read.blockers] == ([code] if code else [])
    assert (read.found is None) is (code is not None)
    assert read.sha256 is not None


def test_a_document_that_is_absent_or_not_given_is_a_blocker(tmp_path: Path) -> None:
    for path in (None, tmp_path / "absent.json", tmp_path):
        assert [b.code for b in read_document("thing", path, Thing).blockers] == ["thing.missing"]


def test_what_is_written_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "a.json", "one\n")
    write(tmp_path / "deep" / "a.json", "two\n")
    assert [(p.name, p.read_text()) for p in (tmp_path / "deep").iterdir()] == [("a.json", "two\n")]
    assert relative(tmp_path / "deep" / "a.json", tmp_path / "other") == "../deep/a.json"


def test_an_id_never_means_two_things(tmp_path: Path) -> None:
    index, path = tmp_path / "index.json", tmp_path / "one.json"
    enter(index, "thing", "one", thing(), path)
    later = datetime(2027, 1, 1, tzinfo=UTC)
    again = enter(index, "thing", "one", thing(at=later), path)  # the same, written later
    assert [e.id for e in again.entries] == ["one"]
    kept = path.read_bytes()
    with pytest.raises(EvidenceError) as refused:
        enter(index, "thing", "one", thing(2.0), path)
    assert refused.value.code == "evidence.id_used"
    assert path.read_bytes() == kept
    both = enter(index, "thing", "two", thing(passed=False, blockers=(BLOCKER,)), tmp_path / "two.json")
    assert [b.code for b in both.blockers] == ["thing.not_passed:two"]
    assert Index.model_validate_json(index.read_text()) == both


def test_a_damaged_index_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(EvidenceError) as refused:
        enter(tmp_path / "index.json", "thing", "one", thing(), tmp_path / "one.json")
    assert refused.value.code == "evidence.invalid"


def test_the_subject_names_every_installed_distribution() -> None:
    found = subject(seed=7)
    assert {"dpone-core", "dpone-certify"} <= found.distributions.keys()
    assert all(d.digest for d in found.distributions.values())
    assert differences(found, found) == []


def test_subjects_differ_in_what_both_have() -> None:
    one = Subject(distributions=CORE, seed=1, commit="c", services={"postgres": "17"})
    assert differences(one, one.model_copy(update={"seed": 2, "commit": None})) == ["seed"]
    changed = {"dpone-core": Distribution(version="1", digest="b")}
    assert differences(one, one.model_copy(update={"distributions": changed})) == ["dpone-core"]
    assert differences(one, one.model_copy(update={"services": {"postgres": "18"}})) == ["services.postgres"]
    assert differences(one, Subject(distributions={})) == ["nothing shared"]


def test_what_is_found_cannot_break_out_of_a_table() -> None:
    lines = head("a\nb", thing(passed=False, blockers=(BLOCKER,)))
    assert lines[0] == "# a b: not passed"
    assert "| thing.missing | it is \\| not &lt;there> | make it |" in lines
