"""Fixtures of the conformance suite, its parameters, and the rule of deviations."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dpone.errors import DponeError
from dpone.testing.memory.testkit import testkit as memory_testkit
from dpone.testing.services.endpoint import Provider
from dpone.testing.suite.rig import Rig, SinkRig, SourceRig, load_testkit, rigged
from dpone.testing.testkit import Deviation, Lacking, Sample, SinkTestkit, SourceTestkit, Testkit


def _asked(config: pytest.Config) -> list[str]:
    return [*config.getoption("connector"), *config.getoption("testkit")]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # found by a walk over the sources and not asked for: then these are no tests
    return True if collection_path.suffix == ".py" and not _asked(config) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test once for each connector, and one of a native type once for each of its samples."""
    if "rig" not in metafunc.fixturenames:
        return
    kits = {name: load_testkit(name) for name in _asked(metafunc.config)}
    wanted = {"sample", "readable"} & set(metafunc.fixturenames)
    if not wanted:
        names = [kit.connector.name for kit in kits.values()]
        metafunc.parametrize("rig", list(kits), indirect=True, scope="session", ids=names)
        return
    (name,) = wanted
    pairs = [(spec, s) for spec, kit in kits.items() for s in _samples(kit) if name == "sample" or s.refused is None]
    ids: list[str] = []
    for spec, sample in pairs:
        stem = f"{kits[spec].connector.name}-{sample.native}"
        nth = sum(known.partition("#")[0] == stem for known in ids) + 1
        ids.append(stem if nth == 1 else f"{stem}#{nth}")
    metafunc.parametrize(["rig", name], pairs, indirect=["rig"], scope="session", ids=ids)


def _samples(kit: Testkit) -> Sequence[Sample]:
    return kit.samples if isinstance(kit, SourceTestkit) else ()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of an end that a connector does not have are not its tests. Other folders' tests are none of ours."""
    ours = (i for i in items if isinstance(i, pytest.Function) and i.path.is_relative_to(Path(__file__).parent))
    foreign = [item for item in ours if _is_foreign(item)]
    if foreign:
        config.hook.pytest_deselected(items=foreign)
        items[:] = [item for item in items if item not in foreign]


def _is_foreign(item: pytest.Function) -> bool:
    spec = item.callspec.params.get("rig") if hasattr(item, "callspec") else None
    if not isinstance(spec, str):
        return False
    connector = load_testkit(spec).connector
    return ("sink" in item.fixturenames and connector.sink is None) or (
        "source" in item.fixturenames and connector.source is None
    )


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rigged(request.param, request.config.getoption("provider")) as found:
        yield found


@pytest.fixture
def source(rig: Rig) -> SourceRig:
    """The connector as a source; a test that asks for it is no test of a connector that has none."""
    assert isinstance(rig.kit, SourceTestkit), "a connector with a source ships a SourceTestkit"
    return SourceRig(rig.spec, rig.kit, rig.endpoint)


@pytest.fixture
def sink(rig: Rig) -> SinkRig:
    """The connector as a sink; a test that asks for it is no test of a connector that has none."""
    assert isinstance(rig.kit, SinkTestkit), "a connector with a sink ships a SinkTestkit"
    return SinkRig(rig.spec, rig.kit, rig.endpoint)


@pytest.fixture(scope="session")
def memory() -> Iterator[Rig]:
    """A store in memory, the other end of every trip."""
    with memory_testkit.service(memory_testkit.providers()[0]) as endpoint:
        yield Rig("dpone.testing.memory.testkit:testkit", memory_testkit, endpoint)


@pytest.fixture
def memory_source(memory: Rig) -> SourceRig:
    return SourceRig(memory.spec, memory.kit, memory.endpoint)


@pytest.fixture
def memory_sink(memory: Rig) -> SinkRig:
    return SinkRig(memory.spec, memory.kit, memory.endpoint)


# ------------------------------------------------------------------------ deviations


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """A declared deviation must fail with its own error code; anything else is red, but for what a server lacks."""
    found = pyfuncitem.funcargs.get("rig")
    deviation = deviation_of(pyfuncitem, found) if isinstance(found, Rig) else None
    if deviation is None:
        try:
            return (yield)
        except Lacking as lacking:
            if isinstance(found, Rig) and found.endpoint.provider is Provider.GIVEN:
                pytest.skip(f"the server that was given: {lacking}")
            raise
    try:
        yield
    except DponeError as error:
        if error.code == deviation.code:
            pytest.xfail(f"{deviation.reason} ({deviation.link})")
        raise
    pytest.fail(f"{deviation.test} passes, so it is no deviation: remove it from the testkit")


def deviation_of(item: pytest.Function, rig: Rig) -> Deviation | None:
    """The deviation that names this test at this fidelity."""
    file = item.path.stem
    names = {f"{file}::{item.originalname}", f"{file}::{item.originalname}[{_parameters(item)}]"}
    for deviation in rig.kit.deviations:
        if deviation.test.replace(".py::", "::") in names and deviation.fidelity is rig.endpoint.fidelity:
            return deviation
    return None


def _parameters(item: pytest.Function) -> str:
    """The ids of the test's parameters, the connector's own not among them."""
    ids = item.name.partition("[")[2].removesuffix("]")
    rig = item.callspec.params.get("rig")
    name = load_testkit(rig).connector.name if isinstance(rig, str) else ""
    return "-".join(part for part in ids.split("-") if part != name)
