"""A measurement with round numbers, so that a test can say what must follow from it."""

from __future__ import annotations

from dpone.testing.testkit import Identity
from dpone_certify.benchmark.bench import Benchmark, Measured
from dpone_certify.benchmark.costs import Cost
from dpone_certify.benchmark.targets import CONTROL, DPONE, EMPTY_RUN, FIRST_LOAD, IN_PROCESS, START_UP, copy_of
from dpone_certify.documents.document import Distribution, Subject

ENVIRONMENT = {
    "python": "CPython 3.11.7",
    "system": "Linux 6.1",
    "machine": "x86_64",
    "processor": "Some Processor <3 GHz>",
    "cores": 2,
    "memory_gb": 8.2,
    "load_average": [0.5, 0.4, 0.3],
}
SUBJECT = Subject(distributions={"dpone-core": Distribution(version="0.1.0", digest="a")}, commit="abc", dirty=False)


def costs(wall: float, cpu: float, memory: int = 50) -> list[Cost]:
    """Three rounds, the machine half as fast in the second and twice as fast in the third."""
    return [Cost(wall * slow, cpu * slow, memory * 1_000_000) for slow in (1.0, 2.0, 0.5)]


def benchmark(*, million_wall: float = 3.6, memory: int = 66) -> Benchmark:
    """One million rows at 0.9 times the control (by default), a hundred thousand at 1.2 times."""
    return Benchmark(
        "full",
        3,
        Identity("PostgreSQL", "18.6", genuine=False),
        {"provider": "embedded", "fidelity": "real"},
        (
            Measured(START_UP, "import click", None, {DPONE: costs(0.08, 0.08), CONTROL: costs(0.04, 0.04)}),
            Measured(EMPTY_RUN, "connect", None, {DPONE: costs(0.36, 0.3), CONTROL: costs(0.15, 0.15)}),
            Measured(
                copy_of(100_000),
                "psql | psql",
                100_000,
                {DPONE: costs(0.6, 0.5), CONTROL: costs(0.5, 0.1), IN_PROCESS: costs(0.2, 0.1)},
            ),
            Measured(
                copy_of(1_000_000),
                "psql | psql",
                1_000_000,
                {
                    DPONE: costs(million_wall, 1.2, memory),
                    FIRST_LOAD: costs(3.2, 1.2, memory),
                    CONTROL: costs(4.0, 0.5),
                    IN_PROCESS: costs(3.2, 0.8),
                },
            ),
        ),
    )
