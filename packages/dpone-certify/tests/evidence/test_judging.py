"""Whether evidence counts: its age, its subject, its signature, its own verdict, and all that it rests on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dpone_certify.documents.document import Blocker, Distribution, Subject
from dpone_certify.evidence.judging import Policy, flaws_of, passes
from dpone_certify.evidence.tree import Evidence, Flaw
from evidence import made

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
POLICY = Policy(NOW)
KEYED = Policy(NOW, is_keyed=True)
OURS = Subject(distributions={"dpone-core": Distribution(version="1", digest=None)}, commit="a", seed=1)
SIGN = "let its producer sign it in the process that measures (--signing-key), and give that key's public half"
AGAIN = "produce it again"
BY_HAND = "produce it again; do not change it by hand"
CASE = made.results()[0]


def artifact(name: str = "case.json", *parts: Evidence, refusal: str | None = None, **more: Any) -> Evidence:
    """Evidence of a kind that nothing is recomputed of."""
    document = made.behavior(CASE).model_copy(update={"created_at": NOW, "subject": OURS, **more})
    return Evidence(name, Path(name), "a" * 64, {}, document, refusal=refusal, parts=parts)


def raw(name: str = "mutation.json", *parts: Evidence, refusal: str | None = None) -> Evidence:
    """Evidence that only its own signature vouches for."""
    document = made.mutation().model_copy(update={"created_at": NOW, "subject": OURS})
    return Evidence(name, Path(name), "a" * 64, {}, document, refusal=refusal, parts=parts)


OPAQUE = Evidence("log", Path("log.txt"), "a" * 64)


def test_evidence_that_counts() -> None:
    assert flaws_of(artifact(), Policy(NOW, OURS, timedelta(0), is_keyed=True)) == ()
    assert passes(artifact(), POLICY)
    assert not passes(OPAQUE, POLICY)


def test_what_was_wrong_while_reading_is_all_there_is_to_say() -> None:
    flaw = Flaw("invalid", "it is no JSON", "write JSON")
    assert flaws_of(replace(artifact(created_at=NOW + timedelta(days=1)), flaws=(flaw,)), POLICY) == (flaw,)


def test_a_file_that_is_no_document() -> None:
    assert flaws_of(OPAQUE, POLICY) == (
        Flaw("not_passed", "log.txt is no document that can be judged", "name a document"),
    )


class TestAge:
    @pytest.mark.parametrize("created", [NOW, NOW + timedelta(minutes=5), NOW - timedelta(hours=1)])
    def test_in_time(self, created: datetime) -> None:
        assert flaws_of(artifact(created_at=created), replace(POLICY, max_age=timedelta(hours=1))) == ()
        assert flaws_of(artifact(created_at=created - timedelta(days=999)), POLICY) == ()

    def test_from_the_future(self) -> None:
        evidence = artifact(created_at=NOW + timedelta(minutes=5, seconds=1))
        assert flaws_of(evidence, replace(POLICY, max_age=timedelta(hours=1))) == (
            Flaw(
                "invalid",
                "case.json was made at 2024-05-01T12:05:01+00:00, which is not yet",
                "set the clock of the machine that produced it, and produce it again",
            ),
        )

    def test_too_old(self) -> None:
        evidence = artifact(created_at=NOW - timedelta(hours=1, seconds=1))
        assert flaws_of(evidence, replace(POLICY, max_age=timedelta(hours=1))) == (
            Flaw("stale", "case.json is of 2024-05-01T10:59:59+00:00, older than 1:00:00", AGAIN),
        )


class TestSubject:
    def test_another_one(self) -> None:
        assert flaws_of(artifact(), Policy(NOW, OURS.model_copy(update={"commit": "b", "seed": 2}))) == (
            Flaw(
                "subject_mismatch",
                "case.json is about something else than what is judged: seed, commit",
                "produce the evidence with the code that is judged",
            ),
        )

    def test_none_is_asked_for_or_the_document_has_none(self) -> None:
        assert flaws_of(artifact(), Policy(NOW, None)) == ()
        record = Evidence("run", Path("run.json"), "a" * 64, {}, made.run())
        assert flaws_of(record, Policy(NOW, OURS)) == ()


class TestVerdict:
    @pytest.mark.parametrize(
        "codes, said",
        [
            ((), "it does not say why"),
            (("a.b",), "a.b"),
            (("a", "b", "c"), "a, b, c"),
            (("a", "b", "c", "d"), "a, b, c and 1 more"),
            (("a", "b", "c", "d", "e"), "a, b, c and 2 more"),
        ],
    )
    def test_a_document_that_does_not_pass(self, codes: tuple[str, ...], said: str) -> None:
        blockers = tuple(Blocker(code=code, message="m", action="a") for code in codes)
        assert flaws_of(artifact(passed=False, blockers=blockers), POLICY) == (
            Flaw("not_passed", f"case.json does not pass: {said}", "look at the blockers of case.json"),
        )

    def test_it_is_recomputed(self) -> None:
        wrong = made.mutation().model_copy(update={"created_at": NOW, "bug_count": 7})
        (found,) = flaws_of(Evidence("m", Path("m.json"), "a" * 64, {}, wrong), POLICY)
        assert found.message == "certification_mutation.count_differs:bug_count: bug_count says 7, there are 30"

    def test_what_is_wrong_twice_is_told_once(self) -> None:
        red = artifact("red.json", passed=False)
        found = flaws_of(artifact("case.json", red, red), POLICY)
        assert [f.message for f in found] == ["its red.json: red.json does not pass: it does not say why"]


class TestParts:
    def test_what_it_rests_on_counts_too(self) -> None:
        old = artifact("old.json", created_at=NOW - timedelta(days=2))
        other = artifact("other.json", subject=OURS.model_copy(update={"commit": "b"}))
        found = flaws_of(artifact("case.json", old, other), Policy(NOW, OURS, timedelta(days=1)))
        assert [(f.fault, f.message, f.action) for f in found] == [
            ("stale", "its old.json: old.json is of 2024-04-29T12:00:00+00:00, older than 1 day, 0:00:00", AGAIN),
            (
                "subject_mismatch",
                "its other.json: other.json is about something else than what is judged: commit",
                "produce the evidence with the code that is judged",
            ),
        ]

    def test_what_is_missing_below_is_no_pass_above(self) -> None:
        gone = Evidence("gone", None, flaws=(Flaw("missing", "it is not there", "make it"),))
        bad = Evidence("bad", None, flaws=(Flaw("invalid", "it is no JSON", "write it"),))
        assert flaws_of(artifact("case.json", OPAQUE, gone, bad), POLICY) == (
            Flaw("not_passed", "its gone: it is not there", "make it"),
            Flaw("invalid", "its bad: it is no JSON", "write it"),
        )


class TestSignature:
    def unsigned(self, evidence: Evidence) -> tuple[Flaw, ...]:
        assert flaws_of(evidence, POLICY) == (), "nobody asks for a signature without a key"
        return flaws_of(evidence, KEYED)

    def test_raw_evidence_is_signed_itself(self) -> None:
        assert self.unsigned(raw()) == ()
        assert self.unsigned(raw("m.json", artifact(), refusal="no signature")) == (
            Flaw("unsigned", "m.json: no signature", SIGN),
        )

    def test_derived_evidence_is_vouched_for_by_all_that_it_rests_on(self) -> None:
        assert self.unsigned(artifact("d.json", raw(), OPAQUE, raw(), refusal="no signature")) == ()
        one = raw("one.json", refusal="made by another key")
        assert self.unsigned(artifact("d.json", raw(), one, refusal="no signature")) == (
            Flaw("unsigned", "one.json: made by another key", SIGN),
        )
        assert self.unsigned(artifact("d.json", one)) == (), "it is signed itself"

    def test_derived_evidence_that_rests_on_nothing_is_signed_itself(self) -> None:
        for parts in ((), (OPAQUE,)):
            found = flaws_of(artifact("d.json", *parts, refusal="no signature"), KEYED)
            assert found == (Flaw("unsigned", "d.json: no signature", SIGN),)


def test_everything_that_is_wrong_is_told_in_this_order() -> None:
    """Its age, its subject, its signature, its own verdict, what is recomputed, and then what it rests on."""
    changes = {"created_at": NOW - timedelta(days=9), "subject": OURS.model_copy(update={"seed": 7})}
    wrong = made.mutation().model_copy(update={**changes, "passed": False, "bug_count": 7})
    red = artifact("red.json", passed=False)
    evidence = Evidence("m", Path("m.json"), "a" * 64, {}, wrong, refusal="nobody", parts=(red,))
    found = flaws_of(evidence, Policy(NOW, OURS, timedelta(1), is_keyed=True))
    assert [f.fault for f in found] == [
        *("stale", "subject_mismatch", "unsigned", "not_passed", "not_passed", "not_passed")
    ]
    assert [f.message.partition(":")[0] for f in found[3:]] == [
        *("m.json does not pass", "certification_mutation.count_differs", "its red.json")
    ]
