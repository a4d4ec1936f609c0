"""The emulator as a service: an embedded PostgreSQL, and the process in front of it that speaks TDS."""

from __future__ import annotations

import os
import sys
from types import TracebackType

from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.launched import Launch, LaunchedService
from dpone.testing.services.launcher import Command, announces
from dpone.testing.services.ports import LOOPBACK, free_port
from dpone.testing.services.postgres import EmbeddedPostgres
from dpone.testing.services.scratch import Scratch
from dpone.testing.services.secret import Secret
from dpone_mssql.emulator.database import prepare
from dpone_mssql.emulator.server import READY

DATABASE = "dpone"
_SETTINGS = {"max_connections": "120", "max_locks_per_transaction": "256"}


class EmulatedMssql(LaunchedService):
    """`with EmulatedMssql() as endpoint:` its port is `tds`, and `extra` says how to get behind it."""

    kind = "mssql"

    def __init__(self, *, user: str = "sa") -> None:
        super().__init__()
        self._user = user
        self._password = Secret.generate()
        self._behind = EmbeddedPostgres(settings=_SETTINGS)

    def prepare(self, scratch: Scratch) -> Launch:
        behind = self._behind.start()
        prepare(behind.url(), DATABASE)
        home = scratch.path / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        port = free_port()
        command = Command(
            (sys.executable, "-m", "dpone_mssql.emulator.server"),
            directory=home,
            log=scratch.path / "server.log",
            environment={
                "PATH": os.defpath,
                "LC_ALL": "C.UTF-8",
                "TZ": "UTC",
                "PYTHONPATH": os.pathsep.join(sys.path),
                "DPONE_POSTGRES_URL": behind.url(),
                "DPONE_MSSQL_USER": self._user,
                "DPONE_MSSQL_PASSWORD": self._password.reveal(),
                "DPONE_MSSQL_PORT": str(port),
            },
            keep=(scratch.lock,),
        )
        endpoint = Endpoint(
            connector="mssql",
            host=LOOPBACK,
            ports={"tds": port},
            user=self._user,
            password=self._password,
            database=DATABASE,
            scheme="mssql",
            provider=Provider.EMULATED,
            fidelity=Fidelity.EMULATED,
            extra={"certificate": str(home / "server.pem")},
        )
        return Launch(command, announces(READY), endpoint)

    @property
    def behind(self) -> Endpoint:
        """The PostgreSQL behind the emulator, for readers that do not trust it."""
        return self._behind.endpoint

    def start(self) -> Endpoint:
        self._behind.start()
        return super().start()

    def kill(self) -> None:
        super().kill()
        self._behind.kill()

    def close(self) -> None:
        super().close()
        self._behind.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
