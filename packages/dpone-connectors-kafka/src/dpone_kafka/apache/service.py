"""The Apache Kafka as a service, with our own registry beside it, since Confluent's is no part of Apache Kafka."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from msgspec.structs import replace

from dpone.errors import RemoteError
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.launched import Launch, LaunchedService
from dpone.testing.services.launcher import Command, announces
from dpone.testing.services.ports import LOOPBACK, free_port
from dpone.testing.services.scratch import Scratch
from dpone_kafka.apache import jars, settings
from dpone_kafka.doors import MECHANISMS, Doors
from dpone_kafka.faults import translated

_STARTED = "INFO kafka.server.KafkaRaftServer - [KafkaRaftServer nodeId=1] Kafka Server started"
_CLUSTER = "ZHBvbmUtYXBhY2hlLTAwMQ"  # any 16 bytes in base64
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_TAIL = 2_000
_PATIENCE = 20
_ROUNDS = 4096  # of hashing, the fewest that are allowed
# one compiler and one collector thread: it starts in 3 s instead of 6, and leaves the other core to the tests
_JVM = ("-Xms64m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOGS = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
)


class _Broker(LaunchedService):
    """The server alone."""

    kind = "kafka-apache"

    def __init__(self, doors: Doors) -> None:
        super().__init__()
        self._doors = doors

    def prepare(self, scratch: Scratch) -> Launch:
        run = (jars.java(), *_JVM, *_LOGS, "-cp", str(jars.jars() / "*"))
        data, properties = scratch.path / "data", scratch.path / "server.properties"
        ports = {name: free_port() for name in ("broker", *self._doors.names)}
        settings.write(properties, data, ports, free_port(), self._doors)
        if not data.exists():
            _format(run, properties)
        command = Command(
            (*run, "kafka.Kafka", str(properties)),
            directory=scratch.path,
            log=scratch.path / "server.log",
            environment=_ENVIRONMENT,
            keep=(scratch.lock,),
        )
        endpoint = Endpoint(
            connector="kafka",
            host=LOOPBACK,
            ports=ports,
            provider=Provider.EMBEDDED,
            fidelity=Fidelity.REAL,
            extra={"version": jars.VERSION},
        )
        return Launch(command, announces(_STARTED), endpoint)


class _Registry(LaunchedService):
    """Our own schema registry alone."""

    kind = "kafka-registry"

    def prepare(self, scratch: Scratch) -> Launch:
        port = free_port()
        command = Command(
            (sys.executable, "-I", "-m", "dpone_kafka.emulator.http", str(scratch.path / "registry.json"), str(port)),
            directory=scratch.path,
            log=scratch.path / "server.log",
            environment=_ENVIRONMENT,
            keep=(scratch.lock,),
        )
        endpoint = Endpoint("kafka", LOOPBACK, {"registry": port}, Provider.EMULATED, Fidelity.EMULATED)
        return Launch(command, announces("serving "), endpoint)


class ApacheKafka:
    """`with ApacheKafka() as endpoint:` the broker at the port `broker`, our registry at `registry`.

    With `doors` it also answers at `sasl`, `tls` (which asks clients for a certificate) and `sasl_tls`.
    """

    def __init__(self, doors: Doors | None = None) -> None:
        self._doors = doors or Doors()
        self._broker = _Broker(self._doors)
        self._registry = _Registry()

    @property
    def endpoint(self) -> Endpoint:
        broker = self._broker.endpoint
        return replace(broker, ports={**broker.ports, **self._registry.endpoint.ports})

    @property
    def log(self) -> Path | None:
        return self._broker.log

    def start(self) -> Endpoint:
        try:
            self._registry.start()
            self._broker.start()
            self._tell_users()
        except BaseException:
            self.close()
            raise
        return self.endpoint

    def stop(self) -> None:
        self._broker.stop()
        self._registry.stop()

    def kill(self) -> None:
        """The broker alone: its registry is another program."""
        self._broker.kill()

    def close(self) -> None:
        self._broker.kill()  # what it kept goes, so that an orderly end of some seconds would be for nothing
        self._broker.close()
        self._registry.close()

    def __enter__(self) -> Endpoint:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _tell_users(self) -> None:
        """Users for SCRAM are kept by the brokers themselves, and told to them rather than shown on a command line."""
        if not self._doors.users:
            return
        from confluent_kafka import admin

        client = admin.AdminClient({"bootstrap.servers": f"{LOOPBACK}:{self._broker.endpoint.port}", "log_level": 2})
        for name, secret in self._doors.users.items():
            for mechanism in MECHANISMS[1:]:  # a request takes each user once
                kind = getattr(admin.ScramMechanism, mechanism.replace("-", "_"))
                credential = admin.ScramCredentialInfo(kind, _ROUNDS)
                told = admin.UserScramCredentialUpsertion(name, credential, secret.reveal().encode())
                with translated("sink", self._broker.kind):
                    client.alter_user_scram_credentials([told])[name].result(_PATIENCE)


def _format(run: tuple[str, ...], properties: Path) -> None:
    """The data directory is made, which the server itself refuses to do."""
    tool = ("kafka.tools.StorageTool", "format", "--cluster-id", _CLUSTER, "--config", str(properties))
    done = subprocess.run((*run, *tool), env=_ENVIRONMENT, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        said = (done.stdout + done.stderr)[-_TAIL:].strip()
        raise RemoteError(f"Apache Kafka cannot make its data directory:\n{said}", code="service.cannot_run")
