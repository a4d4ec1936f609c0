"""Every check, build and certification of this repository, as sessions that make and the workflows call by name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "none"  # sessions share the workspace's .venv; only unit and build make their own
nox.options.error_on_external_run = False
nox.options.sessions = ["lint", "types", "test", "contract"]

# The machine's own certificates, as pip uses them and make says: without make, uv's own list would know no proxy.
os.environ.setdefault("UV_SYSTEM_CERTS", "true")

ROOT = Path(__file__).parent
VERSION = (ROOT / "VERSION").read_text().strip()
BIN = ROOT / ".venv" / "bin"
PREFIX = "dpone-connectors-"
PACKAGES = sorted(folder.parent.name for folder in (ROOT / "packages").glob("*/pyproject.toml"))
CONNECTORS = [name.removeprefix(PREFIX) for name in PACKAGES if name.startswith(PREFIX)]
TESTING_CONNECTORS = ["memory", "memory_publish"]  # registered under dpone.testing.connectors, by core itself
WITH_TESTKIT = [name for name in CONNECTORS if (ROOT / f"packages/{PREFIX}{name}/src/dpone_{name}/testkit.py").exists()]
WORKERS = str(min(os.cpu_count() or 1, 4))  # beyond four, starting engines costs more than it saves

NEEDS_NO_VENDOR = "not integration_live and not integration_matrix"

EVIDENCE = Path("test_artifacts")
RELEASE = os.environ.get("DPONE_RELEASE_ID") or f"v{VERSION}"  # one id runs through all evidence of a release
RUN = os.environ.get("GITHUB_RUN_ID") or "local"
SIGNING_KEY = os.environ.get("DPONE_SIGNING_KEY")  # a file; producers of raw results sign with it
PUBLIC_KEY = os.environ.get("DPONE_PUBLIC_KEY")  # a file; judges believe nothing that it did not sign

# What `integration(<service>)` selects, and the variables that let it run.
ON = {"DPONE_RUN_INTEGRATION": "1"}
SERVICES: dict[str, tuple[list[str], dict[str, str]]] = {
    "postgres": (["tests/integration", "-m", "integration_postgres"], ON),
    "mssql": (["tests/integration", "-m", "integration_mssql"], ON),
    "clickhouse": (["tests/integration", "-m", "integration_clickhouse"], ON),
    "kafka": (["tests/integration", "-m", "integration_kafka"], ON),
    "rest": (["tests/integration/rest"], ON),
    "bigquery": (["tests/integration/bigquery"], ON),
    "replay": (["tests/integration/replay", "-m", "integration_replay"], {"DPONE_RUN_INTEGRATION_REPLAY": "1"}),
    "matrix": (
        ["tests/integration/matrix", "-m", "integration_matrix"],
        {**ON, "DPONE_RUN_INTEGRATION_MATRIX": "1"},
    ),
    "live": (["tests/integration", "-m", "integration_live"], {**ON, "DPONE_RUN_INTEGRATION_LIVE": "1"}),
}


def short(package: str) -> str:
    """What a person types for a package: `postgres` for dpone-connectors-postgres, `core` for dpone-core."""
    return package.removeprefix(PREFIX).removeprefix("dpone-")


def tool(session: nox.Session, name: str, *arguments: str, env: dict[str, str] | None = None) -> None:
    """The workspace's own `name` ran and succeeded. The workspace is synced first, so that any nox will do."""
    session.run("make", "--silent", "-C", str(ROOT), ".venv/.synced", log=False, external=True)
    session.run(str(BIN / name), *arguments, env=env, external=True)


def pytest(session: nox.Session, *arguments: str, env: dict[str, str] | None = None) -> None:
    tool(session, "python", "-m", "pytest", *arguments, *session.posargs, env=env)


# ---------------------------------------------------------------------------------------------------------- checks


@nox.session
def lint(session: nox.Session) -> None:
    """Run ruff, shellcheck, and the checks of the lock, the workflows and the compose file."""
    tool(session, "ruff", "check", *session.posargs)
    tool(session, "ruff", "format", "--check")
    tool(session, "uv", "lock", "--check", "--quiet")
    tool(session, "shellcheck", ".ci/run")
    workflows = sorted(str(path.relative_to(ROOT)) for path in (ROOT / ".github/workflows").glob("*.yml"))
    for schema, files in {
        "github-workflows": workflows,
        "github-actions": [".github/actions/setup/action.yml"],
        "dependabot": [".github/dependabot.yml"],
        "compose-spec": ["compose.yaml"],
    }.items():
        tool(session, "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)
    tool(session, "zizmor", "--offline", "--quiet", "--persona", "pedantic", ".github")
    if actionlint := shutil.which("actionlint"):
        session.run(actionlint, "-shellcheck", str(BIN / "shellcheck"), external=True)
    else:  # no package index carries it; ci.yml installs it
        session.warn("actionlint is not on PATH: the workflows were checked by schema, shellcheck and zizmor alone")


@nox.session
def fix(session: nox.Session) -> None:
    """Let ruff mend and format what it can."""
    tool(session, "ruff", "check", "--fix-only", *session.posargs)
    tool(session, "ruff", "format")


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy --strict over every package, the examples, the tests and this file."""
    sources = [f"packages/{package}/src" for package in PACKAGES]
    sources += sorted(str(folder) for folder in Path("examples").glob("*/src"))
    tool(session, "mypy", *sources, "tests", "noxfile.py", *(str(f) for f in sorted(Path(".ci").glob("*.py"))))
    folders = {path.parent for path in (ROOT / "packages").glob("*/tests/**/*.py")}
    for folder in sorted(folders):  # one by one: each may have a conftest.py of its own
        files = sorted(folder.glob("*.py"))
        tool(session, "mypy", *(str(file.relative_to(ROOT)) for file in files))


@nox.session
def test(session: nox.Session) -> None:
    """Run every test that needs no vendor: unit, repository, and what a service on this machine can answer."""
    pytest(session, "-n", WORKERS, "-m", NEEDS_NO_VENDOR)


@nox.session(venv_backend="uv")
@nox.parametrize("package", [nox.param(package, id=short(package)) for package in PACKAGES])
def unit(session: nox.Session, package: str) -> None:
    """Run one package's tests against its built wheel, with core's wheel and nothing else of ours."""
    temporary = Path(session.create_tmp()).resolve()
    extras = {"dpone-core": "[testing]", package: "[testing]" if package == "dpone-core" else ""}
    wheels = [wheel(session, name, temporary, extra) for name, extra in extras.items()]
    session.install("--constraint", str(locked(session, temporary)), *wheels, *test_requirements())
    session.run("pytest", "-p", "no:cacheprovider", f"packages/{package}/tests", *session.posargs)


def locked(session: nox.Session, folder: Path) -> Path:
    """A file of every version that uv.lock names."""
    file = folder / "locked.txt"
    export = ("export", "--quiet", "--frozen", "--all-extras", "--all-groups", "--no-emit-workspace", "--no-hashes")
    tool(session, "uv", *export, "--output-file", str(file))
    return file


def test_requirements() -> tuple[str, ...]:
    return nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), "test")


def wheel(session: nox.Session, package: str, folder: Path, extra: str) -> str:
    """A requirement that names the package's freshly built wheel, with an extra."""
    destination = folder / package
    shutil.rmtree(destination, ignore_errors=True)
    with session.chdir(ROOT / "packages" / package):
        tool(session, "hatchling", "build", "-t", "wheel", "-d", str(destination))
    (built,) = destination.glob("*.whl")
    return f"{package}{extra} @ {built.as_uri()}"


@nox.session
@nox.parametrize("connector", [nox.param(name, id=name) for name in (*TESTING_CONNECTORS, *WITH_TESTKIT)])
def contract(session: nox.Session, connector: str) -> None:
    """Run the conformance suite for one connector."""
    pytest(session, "-n", WORKERS, "--pyargs", "dpone.testing.suite", "--connector", connector)


@nox.session
@nox.parametrize("service", [nox.param(name, id=name) for name in SERVICES])
def integration(session: nox.Session, service: str) -> None:
    """Run the tests of one service, on the best one this machine has."""
    selection, variables = SERVICES[service]
    pytest(session, *selection, env=variables)


@nox.session(name="kafka-real")
def kafka_real(session: nox.Session) -> None:
    """Run all of Kafka's tests on Apache's own broker, and compare the answers of ours; needs Java and Maven."""
    tool(session, "python", "-m", "dpone_kafka.apache")  # before a test's time begins; red where it cannot be had
    apache = ("--provider", "embedded")
    pytest(session, "packages/dpone-connectors-kafka/tests", *apache)
    pytest(session, "tests/integration/kafka", *apache, env=ON)
    pytest(session, "-n", WORKERS, "--pyargs", "dpone.testing.suite", "--connector", "kafka", *apache)


GOCCY = "v0.8.1"  # of github.com/goccy/bigquery-emulator


@nox.session(name="bigquery-goccy")
def bigquery_goccy(session: nox.Session) -> None:
    """Ask goccy's emulator of BigQuery what ours is asked, and compare. Go builds it once, which takes its time."""
    binary = session.cache_dir.resolve() / f"bigquery-emulator-{GOCCY}"
    if not binary.exists():
        if shutil.which("go") is None:
            session.skip("NO GO: goccy's emulator was NOT built, and nothing was compared; install Go 1.25 or newer")
        _build_goccy(session, binary)
    pytest(session, "tests/integration/bigquery/test_referee.py", env={**ON, "DPONE_BIGQUERY_REFEREE": str(binary)})


def _build_goccy(session: nox.Session, binary: Path) -> None:
    """As a module of its own: `go install` asks the proxy for a list of versions, which not every proxy gives."""
    folder = Path(session.create_tmp()).resolve() / "goccy"
    folder.mkdir(exist_ok=True)
    module = "github.com/goccy/bigquery-emulator"
    (folder / "go.mod").write_text(f"module dpone/referee\n\ngo 1.25.0\n\nrequire {module} {GOCCY}\n")
    build = ("go", "build", "-mod=mod", "-o", str(binary), f"{module}/cmd/bigquery-emulator")
    try:
        with session.chdir(folder):
            session.run(*build, external=True)
    except CommandFailed:
        session.error(
            f"goccy's emulator {GOCCY} was NOT built, and nothing was compared: it takes the Go module proxy, "
            "4 GB of memory and, on two cores, more than half an hour; what Go said is above"
        )


@nox.session(venv_backend="uv")
@nox.parametrize("version", [nox.param(version, id=version) for version in ("1.11", "1.7")])
def dbt(session: nox.Session, version: str) -> None:
    """Run a real dbt project over tables that dpone loads; dbt has a venv of its own."""
    # 1.7 still imports pkg_resources; it wrote the previous version of dbt's artifacts
    session.install(f"dbt-core=={version}.*", "dbt-postgres", "setuptools<81")
    pytest(session, "tests/integration/dbt", env={"DPONE_DBT": str(Path(session.bin) / "dbt")})


@nox.session(venv_backend="uv")
def specification(session: nox.Session) -> None:
    """Produce all evidence from an empty folder, by the documented commands over real runs, and each failure."""
    session.install("dbt-core==1.11.*", "dbt-postgres")
    patient = ("-o", "faulthandler_timeout=7200")  # one test runs the conformance suite of every connector
    pytest(session, "tests/integration/certification", *patient, env={"DPONE_DBT": str(Path(session.bin) / "dbt")})


@nox.session(venv_backend="uv")
def mutants(session: nox.Session) -> None:
    """Plant small changes in what decides what is right; red when tests notice too few, or one lives that is new."""
    compose(session)
    session.install("--constraint", str(Path(session.create_tmp()) / "locked.txt"), "mutmut>=3.8")
    session.run("python", ".ci/mutants.py", str(Path(session.create_tmp()).resolve() / "mutants"), *session.posargs)


@nox.session(venv_backend="uv")
def example(session: nox.Session) -> None:
    """Install the example connector as a third party would, beside core's wheel, and run the conformance suite."""
    temporary = Path(session.create_tmp()).resolve()
    session.install(
        wheel(session, "dpone-core", temporary, "[testing]"), "./examples/dpone-connectors-sqlite", "pytest-xdist"
    )
    session.run("dpone", "connectors")
    suite = ("--pyargs", "dpone.testing.suite", "--connector", "sqlite")
    session.run("pytest", "-n", WORKERS, "-p", "no:cacheprovider", *suite, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a broken link is an error."""
    tool(session, "mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


# ---------------------------------------------------------------------------------------------------------- release


@nox.session
def browser(session: nox.Session) -> None:
    """Look at the HTML reports in headless Chromium: $CHROMIUM, or Debian's."""
    names = ("chromium", "chromium-browser", "google-chrome")
    if not (os.environ.get("CHROMIUM") or any(map(shutil.which, names))):
        session.skip("NO CHROMIUM: the reports were NOT looked at in a browser; apt install chromium, or set CHROMIUM")
    pytest(session, "packages/dpone-certify/tests/evidence/test_in_chromium.py")


@nox.session
def build(session: nox.Session) -> None:
    """Build every package's sdist and wheel into dist/, and show that each sdist builds the same wheel."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for package in PACKAGES:
        with session.chdir(ROOT / "packages" / package):
            tool(session, "hatch", "--quiet", "build", str(dist))
    again = Path(session.create_tmp()) / "from-sdist"
    shutil.rmtree(again, ignore_errors=True)
    for sdist in sorted(dist.glob("*.tar.gz")):
        tool(session, "uv", "build", "--quiet", "--wheel", "--out-dir", str(again), str(sdist))
    first, second = ({path.name: path.read_bytes() for path in folder.glob("*.whl")} for folder in (dist, again))
    if first != second:
        session.error("an sdist builds another wheel than the tree does")
    session.log(f"dist/ holds {len(first)} wheels and as many sdists of version {VERSION}")


@nox.session(name="release-check")
def release_check(session: nox.Session) -> None:
    """Build every package reproducibly, install each wheel alone, weigh it, and run its own tests against it."""
    build(session)
    temporary = Path(session.create_tmp()).resolve()
    report = EVIDENCE / "release" / "packages"
    tool(session, "python", ".ci/packages.py", "dist", str(BIN / "uv"), str(locked(session, temporary)), str(report))
    for package in PACKAGES:
        session.notify(f"unit({short(package)})")


@nox.session
def publish(session: nox.Session) -> None:
    """Upload dist/ to the package index as the workflow's own identity (trusted publishing)."""
    tool(session, "uv", "publish", "--trusted-publishing", "always", "dist/*")


@nox.session
def sbom(session: nox.Session) -> None:
    """Write what the locked environment consists of, as CycloneDX."""
    (ROOT / EVIDENCE / "release").mkdir(parents=True, exist_ok=True)
    output = str(EVIDENCE / "release" / "sbom.cdx.json")
    tool(session, "uv", "export", "--quiet", "--frozen", "--all-extras", "--format", "cyclonedx1.5", "-o", output)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure throughput, start-up and an empty run, in turns with a control; red when a target is missed."""
    command = options("ops benchmark-run", output_dir=EVIDENCE / "benchmarks/current", profile="full")
    command.append("--require-targets")
    tool(session, "dpone", *command, *session.posargs)


# ---------------------------------------------------------------------------------------------------- certification


def options(command: str, **given: str | Path | list[str] | None) -> list[str]:
    """The command followed by an option for each value that is given, once per item of a list."""
    words = command.split()
    for name, value in given.items():
        for item in value if isinstance(value, list) else [value]:
            words += [] if item is None else [f"--{name.replace('_', '-')}", str(item)]
    return words


@dataclass(frozen=True, slots=True)
class Keys:
    """Files: what measures signs with the one, what judges believes nothing that the other does not verify."""

    signing: str | None = SIGNING_KEY
    public: str | None = PUBLIC_KEY


def own_keys(session: nox.Session) -> Keys:
    """The keys that the environment names; a clone that is given none signs with a pair of its own."""
    if SIGNING_KEY and PUBLIC_KEY:
        return Keys()
    folder = Path(".dpone/keys")
    tool(session, "python", ".ci/keys.py", str(folder))
    session.warn(f"no key was given: this clone signs with {folder}/signing.pem, for which nobody else vouches")
    return Keys(str(folder / "signing.pem"), str(folder / "public.pem"))


def compose(session: nox.Session) -> None:
    """The session's own environment holds the wheels of core, of every connector and of certify, and what their tests
    need; nothing of ours is read from the tree.
    """
    temporary = Path(session.create_tmp()).resolve()
    wheels = [wheel(session, name, temporary, extras_of(name)) for name in PACKAGES]
    session.install("--constraint", str(locked(session, temporary)), *wheels, *test_requirements())


def extras_of(package: str) -> str:
    """What a package needs so that its services run on this machine."""
    has = nox.project.load_toml(ROOT / "packages" / package / "pyproject.toml")["project"]
    names = [name for name in ("testing", "local") if name in has.get("optional-dependencies", {})]
    return f"[{','.join(names)}]" if names else ""


class Gates:
    """Commands that are all run, because a red one leaves evidence too; then red if any of them was."""

    def __init__(self, session: nox.Session, keys: Keys | None = None) -> None:
        self.session = session
        self.keys = keys or Keys()
        self.red: list[str] = []

    def run(self, command: list[str], *, name: str = "dpone", env: dict[str, str] | None = None) -> None:
        try:
            self.session.run(name, *command, env=env)
        except CommandFailed:
            self.red.append(" ".join([name, *command[:2]]))

    def answer(self) -> None:
        """The session fails when anything was red."""
        if self.red:
            self.session.error(f"red: {'; '.join(self.red)}")

    def conclude(
        self, kind: str, folder: Path, *, report: Path | None, policy: Sequence[str] = (), **evidence: list[str]
    ) -> None:
        """Bundle what was produced, judge the report if there is one, chain all of it."""
        bundle, suite, chain = (
            EVIDENCE / part / kind for part in ("strategy_certification", "suite", "evidence_chain")
        )
        bundled = options("strategy certification-bundle", bundle_id=f"{kind}_{RUN}", output_dir=bundle, **evidence)
        self.run([*bundled, *options("", signing_key=self.keys.signing)])
        for left in (suite, chain):  # by an earlier run of this session: a release is judged and chained once
            shutil.rmtree(ROOT / left, ignore_errors=True)
        roots = [str(folder), str(bundle)]
        if report is not None:
            judged = options(
                "ops certification-suite --require-strategy-certification",
                suite_id=f"{kind}_{RUN}",
                release_id=RELEASE,
                output_dir=suite,
                certification_report=report,
                strategy_certification_bundle=bundle / "strategy_certification_bundle.json",
                public_key=self.keys.public,
            )
            self.run([*judged, *policy])
            roots.append(str(suite))
        index = chain / "artifact_index.json"
        self.run(options("ops artifact-index", root=roots, output_dir=chain, release_id=RELEASE))
        self.run(
            options(
                "ops evidence-chain",
                release_id=RELEASE,
                artifact_index=index,
                chain_dir=chain,
                signing_key=self.keys.signing,
            )
        )

    def matrix(self, profile: str, *more: str) -> None:
        """The matrix, on what the profile runs it."""
        folder = EVIDENCE / "certification/current"
        report = folder / "certification_report.json"
        command = options("ops certification-run", profile=profile, artifact_dir=folder, signing_key=self.keys.signing)
        self.run([*command, *matrix_filters(), *more])
        policy = ["--minimum-fidelity", "vendor"] if profile == "vendor_live" else []
        self.conclude("matrix", folder, report=report, policy=policy, matrix_artifact=[str(report)])

    def connectors(self, *more: str) -> None:
        """Every connector, by the conformance suite."""
        folder = EVIDENCE / "connectors"
        report = folder / "connector_certification.json"
        command = options("ops connector-certification", artifact_dir=folder, signing_key=self.keys.signing)
        self.run([*command, "--workers", WORKERS, *more])
        self.conclude("connectors", folder, report=report, connector_artifact=[str(report)])

    def replay(self, *more: str) -> None:
        """Resync and resume, by the evidence that the replay tests write."""
        folder = EVIDENCE / "replay_integration"
        selection, variables = SERVICES["replay"]
        self.run(["-m", "pytest", "-p", "no:cacheprovider", *selection, *more], name="python", env=variables)
        written = sorted(str(path.relative_to(ROOT)) for path in (ROOT / folder).glob("*_evidence.json"))
        # With none written, the bundle names the missing file and is red.
        expected = written or [str(folder / "resync_evidence.json")]
        self.conclude("replay", folder, report=None, replay_evidence=expected)

    def summary(self, *more: str, root: Path = EVIDENCE) -> None:
        """One release, by the chains and suites of its three certifications."""
        command = options(
            "ops release-summary",
            release_id=RELEASE,
            replay_chain_dir=root / "evidence_chain/replay",
            matrix_suite=root / "suite/matrix/certification_suite.json",
            matrix_chain_dir=root / "evidence_chain/matrix",
            connector_suite=root / "suite/connectors/certification_suite.json",
            connector_chain_dir=root / "evidence_chain/connectors",
            public_key=self.keys.public,
            output_dir=root / "release",
        )
        self.run([*command, *more])

    def moved(self) -> None:
        """All evidence, copied to where nothing else of it is, holds there by the public key alone."""
        copy = Path(self.session.create_tmp()).resolve() / "moved"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(ROOT / EVIDENCE, copy / EVIDENCE)
        self.summary(root=copy / EVIDENCE)


def matrix_filters() -> list[str]:
    """The options of certification-run that the DPONE_MATRIX_* variables ask for; `*` asks for everything."""
    names = ("SOURCE", "SINK", "STRATEGY", "CASE_ID", "ROW_COUNT", "CHANGE_RATIO", "DELETE_RATIO")
    asked = {name: os.environ.get(f"DPONE_MATRIX_{name}", "*") for name in names}
    return options("", **{name.lower(): value for name, value in asked.items() if value not in {"", "*"}})


def certify(session: nox.Session, profile: str) -> None:
    """The whole chain, from wheels to a signed release summary that also holds where it was moved to."""
    gates = Gates(session, own_keys(session))
    compose(session)
    shutil.rmtree(ROOT / EVIDENCE / "release", ignore_errors=True)
    gates.matrix(profile, *session.posargs)
    gates.replay()
    gates.connectors()
    gates.summary(*options("--format md", signing_key=gates.keys.signing))
    gates.moved()
    gates.answer()


@nox.session(name="certify-mock_contract", venv_backend="uv")
def certify_mock_contract(session: nox.Session) -> None:
    """Certify a release, its matrix without any service."""
    certify(session, "mock_contract")


@nox.session(name="certify-mock_local", venv_backend="uv")
def certify_mock_local(session: nox.Session) -> None:
    """Certify a release, its matrix on the services of this machine."""
    certify(session, "mock_local")


@nox.session(name="certify-vendor_live", venv_backend="uv")
def certify_vendor_live(session: nox.Session) -> None:
    """Certify a release, its matrix on the vendors' own services."""
    certify(session, "vendor_live")


@nox.session(name="certify-matrix", venv_backend="uv")
@nox.parametrize("profile", [nox.param(name, id=name) for name in ("mock_contract", "mock_local", "vendor_live")])
def certify_matrix(session: nox.Session, profile: str) -> None:
    """Certify the matrix alone; certify-replay and certify-connectors make the rest of a release elsewhere."""
    compose(session)
    gates = Gates(session)
    gates.matrix(profile, *session.posargs)
    gates.answer()


@nox.session(name="certify-connectors", venv_backend="uv")
def certify_connectors(session: nox.Session) -> None:
    """Certify every connector by the conformance suite."""
    compose(session)
    gates = Gates(session)
    gates.connectors(*session.posargs)
    gates.answer()


@nox.session(name="certify-replay", venv_backend="uv")
def certify_replay(session: nox.Session) -> None:
    """Certify resync and resume by the evidence that the replay tests write."""
    compose(session)
    gates = Gates(session)
    gates.replay(*session.posargs)
    gates.answer()


@nox.session(name="certify-full", venv_backend="uv")
def certify_full(session: nox.Session) -> None:
    """Carry out the whole plan of evidence: matrix, planted bugs, benchmark, lineage, bundles, suite and chain."""
    compose(session)
    command = options(
        "ops certification-automation-plan --execute",
        output_dir=EVIDENCE / "certification/plan",
        release_id=os.environ.get("DPONE_RELEASE_ID"),
        signing_key=SIGNING_KEY,
        public_key=PUBLIC_KEY,
    )
    session.run("dpone", *command, *session.posargs)


@nox.session(name="release-summary", venv_backend="uv")
def release_summary(session: nox.Session) -> None:
    """Judge one release from the chains and suites of its three certifications."""
    compose(session)
    gates = Gates(session)
    gates.summary(*session.posargs)
    gates.answer()
