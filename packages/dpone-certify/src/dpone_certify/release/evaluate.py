"""The verdict over a release: chains verified again, suites recomputed from the reports that they index. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from dpone.replay.evidence import ReplayEvidence
from dpone_certify.certification.document import FIDELITIES, CertificationReport
from dpone_certify.chain.verify import Chain
from dpone_certify.documents.document import Blocker
from dpone_certify.evidence.judging import Policy, flaws_of
from dpone_certify.evidence.kinds import summary_of
from dpone_certify.evidence.tree import Evidence, blockers_of, merged
from dpone_certify.release.document import End, ItemName, Proof
from dpone_certify.suite.document import CertificationSuite, SuiteKind
from dpone_certify.suite.evaluate import Asked, Verdict, evaluate

KINDS: dict[ItemName, SuiteKind] = {
    "matrix_certification_suite": "matrix",
    "connector_certification_suite": "connectors",
}
CHAIN_OF: dict[ItemName, ItemName] = {
    "matrix_certification_suite": "matrix_evidence_chain",
    "connector_certification_suite": "connector_evidence_chain",
}
REPLAY: ItemName = "replay_evidence_chain"
_SIDES = ("source", "sink")


class Release(Struct, frozen=True):
    """What was gathered of a release. A chain or a suite that was not given is None."""

    release_id: str
    chains: Mapping[ItemName, Chain | None]
    suites: Mapping[ItemName, Evidence | None]
    replays: tuple[Evidence, ...]  # every file of the replay chain's entry that says that it is one


class Item(Struct, frozen=True):
    name: ItemName
    path: Path | None
    sha256: str | None
    summary: str
    blockers: tuple[Blocker, ...]


def evaluate_release(
    release: Release, policy: Policy, *, allow_unsigned: bool
) -> tuple[tuple[Item, ...], tuple[Blocker, ...]]:
    """Each of the five judged, and everything that blocks the release."""
    items = [_chain(REPLAY, release, _replays(release.replays, policy))]
    for name in KINDS:
        items += [_suite(name, release, policy), _chain(CHAIN_OF[name], release)]
    blockers = [b for item in items for b in item.blockers]
    if not policy.is_keyed and not allow_unsigned:
        action = "give --public-key; or say --allow-unsigned, and the summary says so on its first line"
        message = "no key was given, so that a forger who was careful is not caught"
        blockers.append(Blocker(code="release_summary.unsigned", message=message, action=action))
    return tuple(items), tuple(dict.fromkeys(blockers))


def report_of(release: Release) -> CertificationReport | None:
    """The report of the matrix that its suite judges."""
    suite = release.suites.get("matrix_certification_suite")
    documents = (evidence.document for evidence in suite.walk()) if suite is not None else ()
    return next((d for d in documents if isinstance(d, CertificationReport)), None)


def ends_of(release: Release) -> tuple[End, ...]:
    """Each connector as it was in the cases that passed; the same one as often as it was had in different ways."""
    report = report_of(release)
    if report is None:
        return ()
    counts: Counter[tuple[str, str, str]] = Counter()
    for result in report.results:
        if result.passed:
            ends = {(getattr(result, s), getattr(result.fidelity, s), getattr(result.provider, s)) for s in _SIDES}
            counts.update(ends)  # a connector that is both ends of a case counts once
    return tuple(
        End(
            connector=connector,
            fidelity=fidelity,
            provider=provider,
            service=report.subject.services.get(connector, "") if fidelity != "contract" else "",
            cases=cases,
        )
        for (connector, fidelity, provider), cases in sorted(counts.items())
    )


def proven(release: Release) -> tuple[Proof, ...]:
    """How many cases of the matrix passed, by the lower fidelity of their ends."""
    report = report_of(release)
    counts = Counter(r.lower_fidelity for r in report.results if r.passed) if report is not None else Counter()
    return tuple(Proof(fidelity=name, cases=counts[name]) for name in FIDELITIES)


def _chain(name: ItemName, release: Release, of_entry: Iterable[Blocker] = ()) -> Item:
    """The chain, and where it has an entry, what is wrong with what this holds."""
    chain = release.chains.get(name)
    if chain is None:
        return Item(name, None, None, "not given", (_not_verified(name, "it was not given"),))
    wrong = [_not_verified(name, f"{b.code}: {b.message}", b.action) for b in chain.blockers]
    entry = chain.entry(release.release_id)
    if chain.index is not None and entry is None:
        wrong.append(_not_verified(name, f"it has no entry for {release.release_id}"))
    summary = "no entry"
    if entry is not None:
        wrong += of_entry
        files = sum(len(root.files) for root in entry.roots)
        summary = f"entry {entry.number} of {len(chain.entries)}, {files} artifacts"
    return Item(name, chain.folder, chain.index.head if chain.index else None, summary, merged(wrong))


def _replays(replays: tuple[Evidence, ...], policy: Policy) -> Iterator[Blocker]:
    """The chain holds evidence of replays, all of which were carried out and passed. Its signed head vouches for it."""
    if not any(isinstance(r.document, ReplayEvidence) for r in replays):
        message = "its entry holds no evidence of a replay"
        action = "nox -s certify-replay runs the replays and chains their evidence"
        yield Blocker(code=f"{REPLAY}.empty", message=message, action=action)
    for replay in replays:
        yield from blockers_of(REPLAY, flaws_of(replay, policy.within))


def _suite(name: ItemName, release: Release, policy: Policy) -> Item:
    evidence = release.suites.get(name)
    if evidence is None:
        action = "produce it with `dpone ops certification-suite`, and name it"
        missing = Blocker(code=f"{name}.missing", message="it was not given", action=action)
        return Item(name, None, None, "not given", (missing,))
    suite = evidence.document
    if not isinstance(suite, CertificationSuite):
        return Item(name, evidence.path, evidence.sha256, summary_of(evidence), blockers_of(name, evidence.flaws))
    wrong = [*blockers_of(name, flaws_of(evidence, policy.within))]
    verdict = recomputed(evidence, suite, policy)
    wrong += [_of_suite(name, blocker) for blocker in verdict.blockers]
    wrong += _of_policy(name, suite, verdict, release.release_id)
    chain = release.chains.get(CHAIN_OF[name])
    if chain is not None and (absent := _not_chained(evidence, chain, release.release_id)):
        action = "make the artifact index over the suite and all that it judged, and chain that"
        message = f"its chain does not hold {', '.join(absent[:3])}"
        wrong.append(Blocker(code=f"{name}.not_chained", message=message, action=action))
    return Item(name, evidence.path, evidence.sha256, summary_of(evidence), merged(wrong))


def recomputed(evidence: Evidence, suite: CertificationSuite, policy: Policy) -> Verdict:
    """The suite judged once more, by its own demands over the whole matrix."""
    said = suite.policy
    asked = Asked(
        required=frozenset(said.required),
        minimum_fidelity=said.minimum_fidelity,
        minimum_mutation_score=said.minimum_mutation_score,
        require_measured=said.require_measured,
    )
    return evaluate({part.name: part for part in evidence.parts}, asked, policy)


def _of_policy(name: ItemName, suite: CertificationSuite, verdict: Verdict, release_id: str) -> Iterator[Blocker]:
    again = "produce the suite again with `dpone ops certification-suite`"
    if verdict.suite_kind != KINDS[name] or suite.suite_kind != KINDS[name]:
        message = f"it judges {verdict.suite_kind}, where {KINDS[name]} is expected"
        yield Blocker(code=f"{name}.wrong_kind", message=message, action="name the other suite")
    if suite.policy.scope != "*":
        message = f"its scope is {suite.policy.scope!r}, a release needs the whole matrix"
        yield Blocker(code=f"{name}.narrow_scope", message=message, action=f"{again} --scope '*'")
    if suite.release_id != release_id:
        message = f"it is of release {suite.release_id}, not of {release_id}"
        yield Blocker(code=f"{name}.wrong_release", message=message, action=f"{again} --release-id {release_id}")
    if (suite.executed_count, suite.contract_count) != (verdict.executed_count, verdict.contract_count):
        message = "it does not say truthfully how many cases were executed"
        yield Blocker(code=f"{name}.invalid", message=message, action=again)


def _of_suite(name: ItemName, blocker: Blocker) -> Blocker:
    """A reason of the suite as a reason of the summary; that nobody signed keeps its own name."""
    fault = "unsigned" if blocker.code.endswith(".unsigned") else "not_passed"
    return Blocker(code=f"{name}.{fault}", message=f"{blocker.code}: {blocker.message}", action=blocker.action)


def _not_chained(evidence: Evidence, chain: Chain, release_id: str) -> list[str]:
    """What the suite rests on that its chain does not hold, by its hash."""
    entry = chain.entry(release_id)
    held = {file.sha256 for root in entry.roots for file in root.files} if entry is not None else set()
    documents = [evidence, *(part for part in evidence.parts if part.document is not None)]
    return [str(e.path) for e in documents if e.sha256 not in held]


def _not_verified(name: ItemName, message: str, action: str = "") -> Blocker:
    action = action or "produce the chain with `dpone ops evidence-chain`, and name its folder"
    return Blocker(code=f"{name}.not_verified", message=message, action=action)
