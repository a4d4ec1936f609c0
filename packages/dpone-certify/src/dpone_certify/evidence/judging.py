"""Whether evidence counts: what it says of itself, held against what it rests on. Pure; the policy has the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from dpone_certify.documents.document import Document, Subject
from dpone_certify.documents.subject import differences
from dpone_certify.evidence.kinds import kind_of
from dpone_certify.evidence.tree import Evidence, Flaw

SKEW = timedelta(minutes=5)  # between the clocks of two machines
_AGAIN = "produce it again"


class Policy(Struct, frozen=True):
    """What is asked of every piece of evidence."""

    now: datetime
    subject: Subject | None = None  # what is judged; evidence about anything else does not count
    max_age: timedelta | None = None
    is_keyed: bool = False  # a public key was given

    @property
    def within(self) -> Policy:
        """What is asked of parts: whether a signature vouches for them is asked of the whole, or elsewhere."""
        return Policy(self.now, self.subject, self.max_age)


def flaws_of(evidence: Evidence, policy: Policy) -> tuple[Flaw, ...]:
    """Everything that keeps this evidence from counting; empty when it counts."""
    if evidence.flaws:
        return evidence.flaws
    if evidence.document is None:
        return (Flaw("not_passed", f"{evidence.path} is no document that can be judged", "name a document"),)
    found = [*_of_time(evidence, policy), *_of_subject(evidence, policy)]
    if policy.is_keyed and (why := _unsigned(evidence)) is not None:
        action = (
            "let its producer sign it in the process that measures (--signing-key), and give that key's public half"
        )
        found.append(Flaw("unsigned", why, action))
    found += [*_of_verdict(evidence), *_of_parts(evidence, policy)]
    return tuple(dict.fromkeys(found))


def passes(evidence: Evidence, policy: Policy) -> bool:
    return not flaws_of(evidence, policy)


def _of_time(evidence: Evidence, policy: Policy) -> Iterator[Flaw]:
    created = evidence.created_at
    if created is None:
        return
    if created > policy.now + SKEW:
        said = f"{evidence.path} was made at {created.isoformat()}, which is not yet"
        yield Flaw("invalid", said, "set the clock of the machine that produced it, and produce it again")
    elif policy.max_age is not None and policy.now - created > policy.max_age:
        yield Flaw("stale", f"{evidence.path} is of {created.isoformat()}, older than {policy.max_age}", _AGAIN)


def _of_subject(evidence: Evidence, policy: Policy) -> Iterator[Flaw]:
    if policy.subject is None or not isinstance(evidence.document, Document):
        return
    differ = differences(evidence.document.subject, policy.subject)
    if differ:
        said = f"{evidence.path} is about something else than what is judged: {', '.join(differ)}"
        yield Flaw("subject_mismatch", said, "produce the evidence with the code that is judged")


def _of_verdict(evidence: Evidence) -> Iterator[Flaw]:
    document = evidence.document
    assert document is not None  # the caller looked
    if isinstance(document, Document) and not document.passed:
        codes = ", ".join(b.code for b in document.blockers[:3]) or "it does not say why"
        more = f" and {len(document.blockers) - 3} more" if len(document.blockers) > 3 else ""  # noqa: PLR2004 - as above
        yield Flaw(
            "not_passed", f"{evidence.path} does not pass: {codes}{more}", f"look at the blockers of {evidence.path}"
        )
    yield from kind_of(document).judge(evidence)


def _of_parts(evidence: Evidence, policy: Policy) -> Iterator[Flaw]:
    """A document counts when all that it rests on counts."""
    for part in evidence.parts:
        if part.is_opaque:
            continue  # bytes, which the document's own judge looked at
        for flaw in flaws_of(part, policy.within):
            fault = "not_passed" if flaw.fault == "missing" else flaw.fault
            yield Flaw(fault, f"its {part.name}: {flaw.message}", flaw.action)


def _unsigned(evidence: Evidence) -> str | None:
    """Why nobody vouches for it. Derived evidence is vouched for when all that it was derived from is."""
    if evidence.refusal is None:
        return None
    assert evidence.document is not None  # only documents are asked
    if kind_of(evidence.document).is_raw or not any(part.document is not None for part in evidence.parts):
        return f"{evidence.path}: {evidence.refusal}"
    for part in evidence.parts:
        if part.document is not None and (why := _unsigned(part)) is not None:
            return why
    return None
