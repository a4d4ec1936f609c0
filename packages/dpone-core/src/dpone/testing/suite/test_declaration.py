"""What a connector says of itself: complete, consistent, without secrets, and without importing a driver."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points, packages_distributions, requires
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from dpone.batch import ARROW
from dpone.connector import API, Config, Fate, SinkOptions, SourceOptions
from dpone.integration_matrix import SPECIFIED, capabilities
from dpone.manifest.urls import fields_of_url
from dpone.ops import OPS
from dpone.schema import Type
from dpone.sql.dialect import Dialect
from dpone.strategies import STRATEGIES
from dpone.testing.services.endpoint import Fidelity
from dpone.testing.suite.rig import Rig
from dpone.testing.testkit import HOSTILE_LABELS, SinkTestkit, SourceTestkit

_HERE = Path(__file__).parent


def test_the_name_is_that_of_the_entry_point(rig: Rig) -> None:
    points = [p for group in ("dpone.connectors", "dpone.testing.connectors") for p in entry_points(group=group)]
    found = [p for p in points if p.name == rig.connector.name]
    if not found:
        pytest.skip(f"{rig.connector.name} is not registered")
    assert found[0].load() is rig.connector


def test_the_contract_is_the_current_one(rig: Rig) -> None:
    assert rig.connector.api == API
    assert re.fullmatch(r"[a-z][a-z0-9_]*", rig.connector.name)
    assert rig.connector.distribution
    assert rig.connector.profile.name
    assert rig.connector.profile.meaning
    assert rig.connector.source or rig.connector.sink


def test_capabilities_are_those_that_core_specifies(rig: Rig) -> None:
    specified = {known.name: known for known in SPECIFIED}
    if rig.connector.name not in specified:
        pytest.skip(f"{rig.connector.name} is not among the specified connectors")
    assert capabilities(rig.connector) == specified[rig.connector.name]


def test_a_source_says_how_it_is_read(rig: Rig) -> None:
    source = rig.connector.source
    if source is None:
        pytest.skip(f"{rig.connector.name} is no source")
    assert source.reads
    formats = [wire.format for wire in source.emits]
    assert ARROW in formats, "Arrow is the floor that every connector speaks"
    assert len(set(formats)) == len(formats)
    assert issubclass(source.options, SourceOptions)
    assert source.options.dataset is not SourceOptions.dataset
    assert isinstance(rig.kit, SourceTestkit)


def test_a_sink_says_what_it_carries_out(rig: Rig) -> None:
    sink = rig.connector.sink
    if sink is None:
        pytest.skip(f"{rig.connector.name} is no sink")
    assert sink.ops
    assert sink.ops <= set(OPS)
    assert any(strategy.emits <= sink.ops for strategy in STRATEGIES.values())
    formats = [wire.format for wire in sink.accepts]
    assert ARROW in formats, "Arrow is the floor that every connector speaks"
    assert len(set(formats)) == len(formats)
    assert Fate.SCRATCH in sink.fates
    assert issubclass(sink.options, SinkOptions)
    assert sink.options.target is not SinkOptions.target
    assert sink.options.of_new <= sink.options.model_fields.keys()
    assert isinstance(rig.kit, SinkTestkit)
    if sink.dialect is not None:
        assert isinstance(dialect := sink.dialect(), Dialect)
        assert dialect.name == rig.connector.name


def test_native_types_are_all_read(rig: Rig) -> None:
    types = rig.connector.types
    assert types.natives
    for native in types.natives:
        assert isinstance(types.read(native), Type), native
        assert types.widens(native, native), f"{native} does not take its own values"


# ----------------------------------------------------------------------------- config


def test_a_config_takes_no_unknown_keys_and_is_frozen(rig: Rig) -> None:
    given = dict(rig.kit.connection(rig.endpoint))
    config: Config = rig.connector.config.model_validate(given)
    with pytest.raises(ValidationError):
        rig.connector.config.model_validate({**given, "pasword": "typo"})
    field = next(iter(type(config).model_fields))
    with pytest.raises(ValidationError):
        setattr(config, field, None)


def test_a_config_shows_no_secret(rig: Rig) -> None:
    config = rig.connector.config.model_validate(dict(rig.kit.connection(rig.endpoint)))
    secrets = _secrets(dict(config))
    for text in (repr(config), str(config), config.model_dump_json()):
        for secret in secrets:
            assert secret not in text, "a secret is shown"
    password = rig.endpoint.password
    if password is not None:
        assert password.reveal() in secrets, "the password of the connection is not kept as a SecretStr"


def _secrets(value: object) -> list[str]:
    match value:
        case SecretStr():
            return [value.get_secret_value()]
        case dict():
            return [secret for inner in value.values() for secret in _secrets(inner)]
        case list() | tuple():
            return [secret for inner in value for secret in _secrets(inner)]
        case Config():
            return _secrets(dict(value))
        case _:
            return []


def test_url_schemes_are_its_own(rig: Rig) -> None:
    schemes = rig.connector.schemes
    assert schemes
    assert all(re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) for scheme in schemes)
    for scheme in schemes:
        url = rig.endpoint.url(scheme=scheme) if rig.endpoint.ports else f"{scheme}://{rig.endpoint.host}"
        assert set(fields_of_url(url, rig.connector)) <= set(rig.connector.config.model_fields)


# --------------------------------------------------------------------------- drivers


def test_the_declaration_imports_no_driver(rig: Rig) -> None:
    """Plans are made, and help is printed, without any driver: only opening a connection imports it."""
    module = type(rig.kit).__module__ if ":" not in rig.spec else rig.spec.partition(":")[0]
    package = _declared_in(rig) or module
    drivers = sorted({"pyarrow", *_modules_of_requirements(rig.connector.distribution)})
    script = f"import sys, {package}; print([m for m in {drivers!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]", f"importing {package} imports {done.stdout.strip()}"


def _declared_in(rig: Rig) -> str | None:
    for group in ("dpone.connectors", "dpone.testing.connectors"):
        for point in entry_points(group=group):
            if point.name == rig.connector.name:
                return point.module
    return None


_CORE = {"msgspec", "pydantic", "pydantic_core", "dpone", "click", "rich", "tenacity", "typing_extensions", "ruamel"}


def _modules_of_requirements(distribution: str) -> set[str]:
    """The top-level modules of what a distribution requires, extras aside."""
    try:
        required = requires(distribution) or []
    except ImportError:
        return set()
    names = {_plain(re.split(r"[ ;<>=!~\[(]", line, maxsplit=1)[0]) for line in required if "extra ==" not in line}
    owners = packages_distributions()
    return {m for m, dists in owners.items() if {_plain(d) for d in dists} & names and m.isidentifier()} - _CORE


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# ---------------------------------------------------------------------------- testkit


def test_deviations_are_of_tests_that_exist(rig: Rig) -> None:
    for deviation in rig.kit.deviations:
        file, _, test = deviation.test.partition("::")
        text = (_HERE / f"{file.removesuffix('.py')}.py").read_text("utf-8")
        assert f"def {test.partition('[')[0]}(" in text, f"there is no test {deviation.test}"
        assert deviation.reason
        assert deviation.link
        assert deviation.code
        assert isinstance(deviation.fidelity, Fidelity)


def test_an_endpoint_is_identified(rig: Rig) -> None:
    identity = rig.kit.identify(rig.endpoint)
    assert identity.product
    assert identity.version
    if rig.endpoint.fidelity is Fidelity.EMULATED:
        assert not identity.genuine, "an emulator is not the vendor's engine"


def test_refused_names_are_those_that_the_suite_tries(rig: Rig) -> None:
    for names in (rig.kit.tables, rig.kit.columns):
        assert names.refused <= set(HOSTILE_LABELS)
        assert names.longest
        assert names.too_long is None or len(names.too_long.encode()) > len(names.longest.encode())


def test_samples_cover_the_native_types(rig: Rig) -> None:
    if not isinstance(rig.kit, SourceTestkit):
        pytest.skip(f"{rig.connector.name} is no source")
    read = rig.connector.types.read
    sampled = {read(sample.native).kind for sample in rig.kit.samples}
    missing = {read(native).kind for native in rig.connector.types.natives} - sampled
    assert not missing, f"native types of these kinds have no sample: {sorted(kind.value for kind in missing)}"
