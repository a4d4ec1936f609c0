"""Splits on the workers of a Dask cluster: `--executor dask://host:port`, with `dpone-core[dask]`.

The workers read and stage; this process alone validates and publishes. Dask runs a split again when its worker is
lost, and a split that is written again replaces what its earlier attempt wrote.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from time import sleep
from typing import Any

from msgspec import Struct

from dpone import __version__, events
from dpone.connector import Split, StageRef
from dpone.copying import Sent, total
from dpone.errand import Errand, carry
from dpone.errors import DponeError, MissingPackage, PlanError, RemoteError, UsageError
from dpone.loopback import is_loopback
from dpone.manifest.models import Stream
from dpone.prepare import Prepared
from dpone.running import Run, refuse_overtime

_ADDRESS = re.compile(r"dask://(?P<host>\[[0-9A-Fa-f:]+\]|[^\s:/@]+):(?P<port>[0-9]{1,5})")
_PATIENCE = 30  # seconds for the scheduler to answer, and for its first worker
_GLANCE = 0.02  # seconds between two looks at a signal, at the clock and at the scheduler


class Cluster(Struct, frozen=True):
    """A connected cluster."""

    client: Any
    address: str

    def carrying(self, stream: Stream) -> Workers:
        """The workers as carriers of one stream."""
        sink = stream.sink.connector.sink
        if sink is not None and not sink.stages_travel:
            raise PlanError(
                f"{stream.name}: a load into {stream.sink.type} is staged on this machine, where workers cannot write",
                code="executor.local_stage",
                hint="run this stream without --executor",
            )
        return Workers(self, stream)

    def executor(self) -> Executor:
        """The cluster as any executor."""
        found: Executor = self.client.get_executor(pure=False)
        return found

    def lost(self, why: str) -> RemoteError:
        return RemoteError(
            f"the cluster at {self.address} {why}",
            code="executor.lost",
            hint="nothing of this load was published; look at the scheduler and its workers, and run again",
            retryable=True,
        )


class Workers(Struct, frozen=True):
    """The workers of a cluster as carriers of the splits of one stream."""

    cluster: Cluster
    stream: Stream

    def copy(self, run: Run, prepared: Prepared, splits: Sequence[Split], stage: StageRef) -> Sent:
        """Every split is in the stage; what was sent."""
        errands = [
            Errand(
                source=self.stream.source.connection.sent(),
                sink=self.stream.sink.connection.sent(),
                request=prepared.request,
                split=split,
                stage=stage,
                columns=prepared.columns,
                core_where=prepared.core_where,
                memory=run.plan.limits.memory_bytes,
            )
            for split in splits
        ]
        client = self.cluster.client
        keys = [f"dpone-{prepared.load.id}-{split.id}" for split in splits]
        futures = client.map(_carry, errands, key=keys, pure=False)
        try:
            return total(self._each(run, dict(zip(futures, splits, strict=True))))
        finally:
            if client.status == "running":  # what is still being copied ends at its next batch
                client.cancel(futures, force=True, reason="the load ended", msg="dpone: the load ended")

    def _each(self, run: Run, waiting: dict[Any, Split]) -> Iterator[Sent]:
        while waiting:
            run.stop.check()
            refuse_overtime(run)
            for future in _settled(list(waiting)):
                split = waiting.pop(future)
                rows, nbytes = sent = self._sent(future)
                run.notify(events.BatchStaged(split.id, rows, nbytes))
                yield sent

    def _sent(self, future: Any) -> Sent:
        if future.status != "finished":
            failed = future.exception(timeout=_PATIENCE) if future.status == "error" else None
            why = "lost its scheduler" if failed is None else f"gave up: {type(failed).__name__}"
            raise self.cluster.lost(why)
        found: Sent | DponeError = future.result(timeout=_PATIENCE)
        if isinstance(found, DponeError):
            raise found
        return found


def _settled(futures: list[Any]) -> list[Any]:
    """Those that are done, or that are lost; after a moment where there are none."""
    found = [future for future in futures if future.status != "pending"]
    if not found:
        sleep(_GLANCE)
    return found


def _carry(errand: Errand) -> Sent | DponeError:
    """The errand, in a worker."""
    worker = _distributed().get_worker()
    key = worker.get_current_task()

    def check() -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state not in {"executing", "long-running"}:
            raise DponeError("the load ended before this split was copied", code="executor.ended")

    return carry(errand, check)


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """The cluster at `dask://host:port`, whose workers run this version of dpone."""
    scheme, security = _secured(address)
    try:
        client = _distributed().Client(scheme, security=security, timeout=_PATIENCE, set_as_default=False)
    except (OSError, TimeoutError):
        raise RemoteError(
            f"no Dask scheduler answers at {address}",
            code="executor.unreachable",
            hint="start one with `dask scheduler`, or correct the address",
            retryable=True,
        ) from None
    cluster = Cluster(client, address)
    try:
        _refuse_unfit(cluster)
        yield cluster
    finally:
        client.close(timeout=5)


def is_local(address: str) -> bool:
    """True when the scheduler at this address is on this machine."""
    found = _ADDRESS.fullmatch(address)
    return found is not None and is_loopback(found["host"].strip("[]"))


def _secured(address: str) -> tuple[str, Any]:
    """The address as Dask writes it, and how it is secured: by TLS, or by being this machine."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise UsageError(
            f"--executor: not an address: {re.sub('//[^@]*@', '//***@', address)!r}",
            code="executor.malformed",
            hint="write dask://host:port; without --executor, threads of this process do the work",
        )
    place = f"{found['host']}:{found['port']}"
    security = _distributed().Security()
    if security.tls_ca_file:
        return f"tls://{place}", security
    if not is_local(address):
        raise UsageError(
            f"{address} is another machine, and Dask is not set up for TLS here",
            code="executor.not_secure",
            hint="set DASK_DISTRIBUTED__COMM__TLS__CA_FILE and the client's certificate, as Dask's documentation says",
        )
    return f"tcp://{place}", security


def _distributed() -> Any:
    """The library, most of which has no types."""
    try:
        return importlib.import_module("distributed")
    except ModuleNotFoundError:
        raise MissingPackage("--executor dask:// needs distributed", install="'dpone-core[dask]'") from None


def _refuse_unfit(cluster: Cluster) -> None:
    """Raises when there is no worker, or one that is not like this process."""
    try:
        cluster.client.wait_for_workers(1, timeout=_PATIENCE)
        versions = cluster.client.run(_version)
    except TimeoutError:
        raise cluster.lost("has no worker") from None
    except Exception as error:  # noqa: BLE001 -- a worker that cannot import dpone answers with an error of any kind
        raise RemoteError(
            f"a worker of {cluster.address} cannot run dpone: {type(error).__name__}",
            code="executor.unfit_worker",
            hint=f"install dpone {__version__} with the same connectors on every worker",
        ) from None
    for worker, version in sorted(versions.items()):
        if version != __version__:
            raise RemoteError(
                f"the worker {worker} runs dpone {version}; this is {__version__}",
                code="executor.unfit_worker",
                hint=f"install dpone {__version__} with the same connectors on every worker",
            )


def _version() -> str:
    return __version__
