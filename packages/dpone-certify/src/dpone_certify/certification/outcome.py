"""What was found in one case, and the result and the artifact that are made of it."""

from __future__ import annotations

import shlex
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

from msgspec import Struct, field

from dpone.errors import DponeError
from dpone.integration_matrix import Case
from dpone_certify.certification.comparing import Comparison
from dpone_certify.certification.document import (
    BehaviorArtifact,
    Check,
    CheckName,
    Difference,
    Ends,
    Profile,
    Providers,
    Result,
    State,
    Volume,
)
from dpone_certify.certification.judge import case_blocker
from dpone_certify.documents.document import Subject, now, verdict

CONTRACT = Ends(source="contract", sink="contract")
NOTHING_STARTED = Providers(source="none", sink="none")
PRODUCER = "dpone ops certification-run"
_MAIN: tuple[CheckName, ...] = ("second_load", "three_computations")  # whose counts stand for the case


class Outcome(Struct):
    """A case while it is carried out: checks are added to it one after another."""

    case: Case
    fidelity: Ends = CONTRACT
    provider: Providers = NOTHING_STARTED
    checks: list[Check] = field(default_factory=list)
    differing: list[Difference] = field(default_factory=list)
    manifest: str = ""
    program: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def check(self, name: CheckName, look: Callable[[], Comparison | str | None]) -> bool:
        """Carries out one check: a comparison passes when nothing differs, a text is what is wrong, None is well."""
        begun = perf_counter()
        state: State = "failed"
        detail = ""
        compared: Comparison | None = None
        try:
            match look():
                case Comparison() as compared:
                    self.differing += compared.differing
                    detail = "" if compared.is_same else f"{len(compared.differing)} differing rows are shown"
                    state = "passed" if compared.is_same else "failed"
                case None:
                    state = "passed"
                case str(detail):
                    pass
        except Exception as error:  # noqa: BLE001 -- a case that breaks must not take the others with it
            state, detail = "error", _told(error)
        seconds = perf_counter() - begun
        self.seconds += seconds
        self.checks.append(
            Check(
                name=name,
                state=state,
                detail=detail,
                expected_row_count=compared.expected_rows if compared else None,
                actual_row_count=compared.actual_rows if compared else None,
                expected_checksum=compared.expected_checksum if compared else None,
                actual_checksum=compared.actual_checksum if compared else None,
                duration_seconds=round(seconds, 4),
            )
        )
        return state == "passed"

    def broke(self, name: CheckName, error: Exception) -> None:
        """The check could not be carried out because of this."""
        self.checks.append(Check(name=name, state="error", detail=_told(error)))

    def not_run(self, name: CheckName, why: str) -> None:
        """A check that could not be carried out, which keeps the case from passing."""
        self.checks.append(Check(name=name, state="not_run", detail=why))

    @property
    def state(self) -> State:
        states = {check.state for check in self.checks}
        if states == {"passed"}:
            return "passed"
        return "error" if "error" in states else "failed" if "failed" in states else "not_run"


def _told(error: Exception) -> str:
    """What broke and where; of a foreign exception not what it says, which may quote what it was given."""
    if isinstance(error, DponeError):
        return f"{error.code}: {error.message}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"internal error: {type(error).__name__} in {Path(place.filename).name}:{place.lineno}"


def result_of(found: Outcome, profile: Profile, volume: Volume) -> Result:
    """The case as the report has it."""
    red = [check for check in found.checks if check.state != "passed"]
    state: State = found.state
    main = next((c for name in _MAIN for c in found.checks if c.name == name and c.expected_checksum), None)
    repro = repro_of(found.case, profile, volume)
    why = "; ".join(f"{c.name}: {c.detail or c.state}" for c in red)
    blockers = (
        ()
        if state == "passed"
        else (case_blocker(found.case.id, "case_not_passed", why or "nothing was checked", repro),)
    )
    return Result(
        case_id=found.case.id,
        source=found.case.source,
        sink=found.case.sink,
        strategy=found.case.strategy,
        state=state,
        reason="" if state in {"passed", "failed"} else why,
        passed=state == "passed",
        fidelity=found.fidelity,
        provider=found.provider,
        expected_row_count=main.expected_row_count if main else None,
        actual_row_count=main.actual_row_count if main else None,
        expected_checksum=main.expected_checksum if main else None,
        actual_checksum=main.actual_checksum if main else None,
        checks=tuple(found.checks),
        duration_seconds=round(found.seconds, 3),
        repro=repro,
        artifact_path=artifact_name(found.case.id),
        blockers=blockers,
    )


def artifact_of(
    found: Outcome, result: Result, profile: Profile, volume: Volume, registry_digest: str, subject: Subject
) -> BehaviorArtifact:
    """Everything that was found in the case."""
    return BehaviorArtifact(
        created_at=now(),
        producer=PRODUCER,
        subject=subject,
        **verdict(result.blockers),
        profile=profile,
        registry_digest=registry_digest,
        volume=volume,
        result=result,
        manifest=found.manifest,
        program=found.program,
        statements=found.statements,
        notes=tuple(found.notes),
        differing=tuple(found.differing),
    )


def artifact_name(case_id: str) -> str:
    return f"{case_id}__behavior.json"


def repro_of(case: Case, profile: Profile, volume: Volume) -> str:
    """The command that carries out this case alone, as it was carried out."""
    words: Sequence[object] = (
        *("dpone", "ops", "certification-run", "--profile", profile, "--case-id", case.id),
        *("--row-count", volume.row_count, "--change-ratio", volume.change_ratio),
        *("--delete-ratio", volume.delete_ratio, "--seed", volume.seed),
    )
    return shlex.join(map(str, words))
