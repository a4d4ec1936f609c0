"""The verdict over a release: each of the five with one thing wrong, and the blocker with its words."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from dpone_certify.certification.document import Ends, Providers
from dpone_certify.chain.documents import ChainEntry, ChainIndex, IndexedFile, Link, Root
from dpone_certify.chain.verify import Chain
from dpone_certify.documents.document import Artifact, Blocker, now
from dpone_certify.evidence.judging import Policy
from dpone_certify.evidence.tree import Evidence, Flaw
from dpone_certify.release.document import End, ItemName, Proof
from dpone_certify.release.evaluate import Item, Release, ends_of, evaluate_release, proven, recomputed, report_of
from dpone_certify.suite.document import CertificationSuite, SuiteItem, SuiteKind, SuitePolicy
from evidence import made

if TYPE_CHECKING:
    from pydantic import BaseModel

    from dpone.replay.evidence import ReplayEvidence

REPORT, SUITE, HEAD = "1" * 64, "2" * 64, "3" * 64
POLICY = Policy(now() + timedelta(days=1))  # after all of it was made
CHAIN_ACTION = "produce the chain with `dpone ops evidence-chain`, and name its folder"
AGAIN = "produce the suite again with `dpone ops certification-suite`"
MATRIX: ItemName = "matrix_certification_suite"
CONNECTORS: ItemName = "connector_certification_suite"
OF_MATRIX: ItemName = "matrix_evidence_chain"
OF_CONNECTORS: ItemName = "connector_evidence_chain"
OF_REPLAYS: ItemName = "replay_evidence_chain"
UNREAD = Flaw("invalid", "it is no JSON", "write JSON")


def suite(kind: SuiteKind, **more: Any) -> CertificationSuite:
    passing = SuiteItem(
        name="certification_report",
        path="r.json",
        sha256=REPORT,
        required=True,
        missing=False,
        passed=True,
        summary="",
    )
    values: dict[str, Any] = {
        "created_at": now(),
        "producer": "a test",
        "subject": made.here(),
        "passed": True,
        "blockers": (),
        "suite_id": "s",
        "release_id": "v1",
        "suite_kind": kind,
        "executed_count": 200 if kind == "matrix" else 0,
        "contract_count": 0,
        "policy": policy(),
        "items": (passing,),
    }
    return CertificationSuite.model_validate({**values, **more})


def policy(**more: Any) -> SuitePolicy:
    values: dict[str, Any] = {
        "scope": "*",
        "required": ("certification_report",),
        "require_measured": False,
        "minimum_fidelity": None,
        "minimum_mutation_score": None,
        "max_age_seconds": None,
        "public_key": None,
    }
    return SuitePolicy(**{**values, **more})


def reported(document: BaseModel, refusal: str | None = None) -> Evidence:
    return Evidence("certification_report", Path("r.json"), REPORT, {}, document, refusal=refusal)


def suited(name: ItemName, document: BaseModel, *parts: Evidence) -> Evidence:
    return Evidence(name, Path(f"{name}.json"), SUITE, {}, document, refusal="nobody signed it", parts=parts)


def chain(*hashes: str, release: str = "v1", blockers: tuple[Blocker, ...] = ()) -> Chain:
    """A chain of two releases; the second one holds files with these hashes, below two roots."""
    entries = tuple(
        ChainEntry(
            created_at=now(),
            producer="a test",
            subject=made.here(),
            passed=True,
            blockers=(),
            number=number,
            release_id=name,
            previous=None,
            artifact_index=Artifact(name="artifact_index", path="i.json", sha256=None),
            roots=tuple(Root(root="r", files=(IndexedFile(path="f", sha256=h, size=1),)) for h in found),
        )
        for number, (name, found) in enumerate((("v0", ()), (release, hashes)), 1)
    )
    index = ChainIndex(
        created_at=now(),
        producer="a test",
        subject=made.here(),
        passed=True,
        blockers=(),
        entries=tuple(Link(number=e.number, release_id=e.release_id, path="p", digest=HEAD) for e in entries),
        head=HEAD,
    )
    return Chain(Path("chain"), index, entries, blockers)


def replayed(document: ReplayEvidence) -> Evidence:
    return Evidence("replay", Path("replay.json"), "4" * 64, {}, document, refusal="nobody signed it")


GREEN = Release(
    "v1",
    {OF_REPLAYS: chain("4" * 64), OF_MATRIX: chain(REPORT, SUITE), OF_CONNECTORS: chain(REPORT, SUITE, "5" * 64)},
    {
        MATRIX: suited(MATRIX, suite("matrix"), reported(made.report())),
        CONNECTORS: suited(CONNECTORS, suite("connectors"), reported(made.connectors())),
    },
    (replayed(made.replay()),),
)


def release(
    chains: dict[ItemName, Chain | None] | None = None,
    suites: dict[ItemName, Evidence | None] | None = None,
    **more: Any,
) -> Release:
    """The green one with these in their places."""
    return replace(GREEN, chains={**GREEN.chains, **(chains or {})}, suites={**GREEN.suites, **(suites or {})}, **more)


def judged(found: Release, *, is_keyed: bool = False) -> list[tuple[str, str, str]]:
    """Code, message and action of each blocker, which stand in the item that its code names."""
    items, blockers = evaluate_release(found, replace(POLICY, is_keyed=is_keyed), allow_unsigned=not is_keyed)
    assert [b for item in items for b in item.blockers] == list(blockers)
    assert all(b.code.startswith(f"{item.name}.") for item in items for b in item.blockers)
    return [(b.code, b.message, b.action) for b in blockers]


def test_a_release_of_which_everything_holds() -> None:
    items, blockers = evaluate_release(GREEN, POLICY, allow_unsigned=True)
    assert blockers == ()
    passed = "suite s: 1 of 1 passed"
    assert items == (
        Item(OF_REPLAYS, Path("chain"), HEAD, "entry 2 of 2, 1 artifacts", ()),
        Item(MATRIX, Path(f"{MATRIX}.json"), SUITE, passed, ()),
        Item(OF_MATRIX, Path("chain"), HEAD, "entry 2 of 2, 2 artifacts", ()),
        Item(CONNECTORS, Path(f"{CONNECTORS}.json"), SUITE, passed, ()),
        Item(OF_CONNECTORS, Path("chain"), HEAD, "entry 2 of 2, 3 artifacts", ()),
    )


def test_nothing_passes_without_a_key_unless_that_is_allowed() -> None:
    _, blockers = evaluate_release(GREEN, POLICY, allow_unsigned=False)
    assert blockers == (
        Blocker(
            code="release_summary.unsigned",
            message="no key was given, so that a forger who was careful is not caught",
            action="give --public-key; or say --allow-unsigned, and the summary says so on its first line",
        ),
    )
    for allowed in (True, False):
        assert evaluate_release(GREEN, replace(POLICY, is_keyed=True), allow_unsigned=allowed)[1] == ()


def test_the_signature_of_a_suite_is_that_of_its_chain_and_of_what_it_judged() -> None:
    unsigned = reported(made.connectors(), refusal="there is no signature beside it")
    found = release(suites={CONNECTORS: suited(CONNECTORS, suite("connectors"), unsigned)})
    assert judged(found) == []
    assert judged(found, is_keyed=True) == [
        (
            "connector_certification_suite.unsigned",
            "certification_report.unsigned: r.json: there is no signature beside it",
            "let its producer sign it in the process that measures (--signing-key), and give that key's public half",
        )
    ]


class TestChain:
    @pytest.mark.parametrize("name", [OF_REPLAYS, OF_MATRIX, OF_CONNECTORS])
    def test_not_given(self, name: ItemName) -> None:
        found = release({name: None})
        items, _ = evaluate_release(found, POLICY, allow_unsigned=True)
        (item,) = [i for i in items if i.blockers]
        wrong = Blocker(code=f"{name}.not_verified", message="it was not given", action=CHAIN_ACTION)
        assert item == Item(name, None, None, "not given", (wrong,))

    def test_that_does_not_verify(self) -> None:
        blockers = tuple(Blocker(code=f"evidence_chain.{c}", message="m", action=f"find {c}") for c in ("a", "b"))
        assert judged(release({OF_CONNECTORS: chain(REPORT, SUITE, blockers=blockers)})) == [
            (f"{OF_CONNECTORS}.not_verified", "evidence_chain.a: m; evidence_chain.b: m", "find a")
        ]

    def test_that_could_not_be_read(self) -> None:
        gone = Blocker(code="evidence_chain.missing", message="it is not there", action="make it")
        items, _ = evaluate_release(
            release({OF_REPLAYS: Chain(Path("x"), None, (), (gone,))}), POLICY, allow_unsigned=True
        )
        wrong = replace_code(gone, f"{OF_REPLAYS}.not_verified")
        assert items[0] == Item(OF_REPLAYS, Path("x"), None, "no entry", (wrong,))

    def test_without_an_entry_of_the_release(self) -> None:
        items, _ = evaluate_release(
            release({OF_REPLAYS: chain("4" * 64, release="v9")}, replays=()), POLICY, allow_unsigned=True
        )
        wrong = Blocker(code=f"{OF_REPLAYS}.not_verified", message="it has no entry for v1", action=CHAIN_ACTION)
        assert items[0] == Item(OF_REPLAYS, Path("chain"), HEAD, "no entry", (wrong,))


def replace_code(blocker: Blocker, code: str) -> Blocker:
    """As the summary says what a chain says."""
    return Blocker(code=code, message=f"{blocker.code}: {blocker.message}", action=blocker.action)


class TestReplays:
    EMPTY = (
        f"{OF_REPLAYS}.empty",
        "its entry holds no evidence of a replay",
        "nox -s certify-replay runs the replays and chains their evidence",
    )

    def test_none(self) -> None:
        assert judged(release(replays=())) == [self.EMPTY]

    def test_none_in_a_chain_that_does_not_verify(self) -> None:
        broken = Blocker(code="evidence_chain.a", message="m", action="find it")
        assert judged(release({OF_REPLAYS: chain("4" * 64, blockers=(broken,))}, replays=())) == [
            (f"{OF_REPLAYS}.not_verified", "evidence_chain.a: m", "find it"),
            self.EMPTY,
        ]

    def test_one_that_cannot_be_read(self) -> None:
        unread = Evidence("replay", Path("r.json"), flaws=(UNREAD,))
        assert judged(release(replays=(unread,))) == [
            self.EMPTY,
            (f"{OF_REPLAYS}.invalid", "it is no JSON", "write JSON"),
        ]

    def test_each_of_them_passes(self) -> None:
        assert judged(release(replays=(replayed(made.replay()), replayed(made.planned_replay())))) == [
            (
                f"{OF_REPLAYS}.not_passed",
                "replay.json does not pass: replay.planned; replay.json: it was planned and not carried out",
                "look at the blockers of replay.json",
            )
        ]

    def test_the_signed_head_of_the_chain_vouches_for_them(self) -> None:
        assert judged(GREEN, is_keyed=True) == []


class TestSuite:
    def test_not_given(self) -> None:
        items, _ = evaluate_release(release(suites={MATRIX: None}), POLICY, allow_unsigned=True)
        wrong = Blocker(
            code=f"{MATRIX}.missing",
            message="it was not given",
            action="produce it with `dpone ops certification-suite`, and name it",
        )
        assert items[1] == Item(MATRIX, None, None, "not given", (wrong,))

    def test_that_could_not_be_read(self) -> None:
        unread = Evidence(MATRIX, Path("s.json"), SUITE, flaws=(UNREAD,))
        items, _ = evaluate_release(release(suites={MATRIX: unread}), POLICY, allow_unsigned=True)
        wrong = Blocker(code=f"{MATRIX}.invalid", message="it is no JSON", action="write JSON")
        assert items[1] == Item(MATRIX, Path("s.json"), SUITE, "it is no JSON", (wrong,))

    @pytest.mark.parametrize(
        "changes, code, message, action",
        [
            (
                {"suite_kind": "connectors"},
                "wrong_kind",
                "it judges matrix, where matrix is expected",
                "name the other suite",
            ),
            (
                {"policy": policy(scope="postgres_to_*")},
                "narrow_scope",
                "its scope is 'postgres_to_*', a release needs the whole matrix",
                f"{AGAIN} --scope '*'",
            ),
            (
                {"release_id": "v0"},
                "wrong_release",
                "it is of release v0, not of v1",
                f"{AGAIN} --release-id v1",
            ),
            (
                {"executed_count": 199},
                "invalid",
                "it does not say truthfully how many cases were executed",
                AGAIN,
            ),
            (
                {"contract_count": 1},
                "invalid",
                "it does not say truthfully how many cases were executed",
                AGAIN,
            ),
        ],
    )
    def test_that_says_something_else(self, changes: dict[str, Any], code: str, message: str, action: str) -> None:
        found = suited(MATRIX, suite("matrix", **changes), reported(made.report()))
        assert judged(release(suites={MATRIX: found})) == [(f"{MATRIX}.{code}", message, action)]

    def test_of_the_other_kind(self) -> None:
        found = suited(MATRIX, suite("matrix", executed_count=0), reported(made.connectors()))
        assert judged(release(suites={MATRIX: found})) == [
            (f"{MATRIX}.wrong_kind", "it judges connectors, where matrix is expected", "name the other suite")
        ]

    def test_that_does_not_pass_itself(self) -> None:
        red = suite("matrix", passed=False, blockers=(Blocker(code="a.b", message="m", action="c"),))
        found = suited(MATRIX, red, reported(made.report()))
        assert judged(release(suites={MATRIX: found})) == [
            (
                f"{MATRIX}.not_passed",
                f"{MATRIX}.json does not pass: a.b",
                f"look at the blockers of {MATRIX}.json",
            )
        ]

    def test_its_demands_are_made_again_of_what_it_judged(self) -> None:
        demands = policy(
            required=("evidence_bundle",), minimum_fidelity="vendor", minimum_mutation_score=1.0, require_measured=True
        )
        document = suite("matrix", policy=demands)
        found = suited(MATRIX, document, reported(made.report(made.results()[:1], selection={"case_id": FIRST})))
        codes = {b.code.partition(":")[0] for b in recomputed(found, document, POLICY).blockers}
        assert codes == {
            "benchmark_baseline.missing",
            "certification_report.connector_missing",
            "certification_report.coverage_missing",
            "certification_report.fidelity_below",
            "evidence_bundle.missing",
            "mutation_report.missing",
        }
        (blocker,) = [b for b in judged(release(suites={MATRIX: found})) if b[0] == f"{MATRIX}.not_passed"]
        assert blocker[1].startswith("certification_report.connector_missing:")

    def test_that_its_chain_does_not_hold(self) -> None:
        action = "make the artifact index over the suite and all that it judged, and chain that"
        for held, absent in (((REPORT,), f"{MATRIX}.json"), ((SUITE,), "r.json"), ((), f"{MATRIX}.json, r.json")):
            assert judged(release({OF_MATRIX: chain(*held)})) == [
                (f"{MATRIX}.not_chained", f"its chain does not hold {absent}", action)
            ]
        elsewhere = judged(release({OF_MATRIX: chain(REPORT, SUITE, release="v9")}))
        assert elsewhere[0] == (f"{MATRIX}.not_chained", f"its chain does not hold {MATRIX}.json, r.json", action)

    def test_only_documents_have_to_be_in_its_chain_and_three_are_named(self) -> None:
        others = [replace(reported(made.report()), name=n, path=Path(f"{n}.json"), sha256="9" * 64) for n in "abc"]
        log = Evidence("log", Path("log.txt"), "8" * 64)
        report = GREEN.suites[MATRIX]
        assert report is not None
        found = replace(report, parts=(*report.parts, log))
        assert judged(release(suites={MATRIX: found})) == []
        found = replace(report, sha256="9" * 64, parts=(*report.parts, *others))
        (blocker,) = judged(release(suites={MATRIX: found}))
        assert blocker[1] == f"its chain does not hold {MATRIX}.json, a.json, b.json"


FIRST = made.results()[0].case_id


class TestWhatWasProven:
    def test_nothing_without_a_report(self) -> None:
        for found in (
            None,
            suited(MATRIX, suite("matrix")),
            suited(MATRIX, suite("matrix"), reported(made.connectors())),
        ):
            nothing = release(suites={MATRIX: found})
            assert report_of(nothing) is None
            assert ends_of(nothing) == ()
            assert proven(nothing) == tuple(
                Proof(fidelity=name, cases=0) for name in ("contract", "emulated", "real", "vendor")
            )
        assert report_of(replace(GREEN, suites={})) is None

    def test_cases_that_passed_by_the_lower_fidelity_and_each_end_as_it_was_had(self) -> None:
        cases = {result.case_id: result for result in made.results()}
        home = cases["postgres_to_postgres__full_refresh"]
        emulated = cases["postgres_to_bigquery__full_refresh"].model_copy(
            update={
                "fidelity": Ends(source="real", sink="emulated"),
                "provider": Providers(source="embedded", sink="emulated"),
            }
        )
        contract = cases["postgres_to_clickhouse__full_refresh"].model_copy(
            update={
                "fidelity": Ends(source="real", sink="contract"),
                "provider": Providers(source="docker", sink="none"),
            }
        )
        red = cases["kafka_to_postgres__full_refresh"].model_copy(update={"passed": False})
        services = {"postgres": "PostgreSQL 18", "bigquery": "an emulator", "clickhouse": "ClickHouse 25"}
        subject = made.here().model_copy(update={"services": services})
        report = made.report((home, emulated, contract, red), subject=subject)
        found = release(suites={MATRIX: suited(MATRIX, suite("matrix"), reported(report))})
        assert report_of(found) == report
        assert {p.fidelity: p.cases for p in proven(found)} == {"contract": 1, "emulated": 1, "real": 1, "vendor": 0}
        assert ends_of(found) == (
            End(connector="bigquery", fidelity="emulated", provider="emulated", service="an emulator", cases=1),
            End(connector="clickhouse", fidelity="contract", provider="none", service="", cases=1),
            End(connector="postgres", fidelity="real", provider="docker", service="PostgreSQL 18", cases=1),
            End(connector="postgres", fidelity="real", provider="embedded", service="PostgreSQL 18", cases=2),
        )

    def test_a_service_that_nobody_named_is_empty(self) -> None:
        assert {end.service for end in ends_of(GREEN)} == {""}
