"""A real ClickHouse server of our own, out of the wheel chdb-core. Imported by the testkit alone."""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen
from xml.sax.saxutils import escape

from dpone.errors import MissingPackage
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.launched import Launch, LaunchedService
from dpone.testing.services.launcher import Command, Probe
from dpone.testing.services.ports import LOOPBACK, connects, free_port
from dpone.testing.services.scratch import Scratch
from dpone.testing.services.secret import Secret

_CHILD = Path(__file__).with_name("server_child.py")
# Its `default` would be that of clickhouse-local, which takes names of tables for names of files as well.
_DATABASE = "dpone"
_PASSWORD_FILE = "dpone.password"  # noqa: S105 - a file's name

_CONFIG = """<clickhouse>
  <tcp_port>{tcp}</tcp_port><http_port>{http}</http_port><listen_host>127.0.0.1</listen_host>
  <users_config>{users}</users_config>
  <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
  <mark_cache_size>134217728</mark_cache_size><uncompressed_cache_size>0</uncompressed_cache_size>
  <background_pool_size>2</background_pool_size>
  <timezone>UTC</timezone>
</clickhouse>
"""
# The session inside the process is always `default` without a password, and clients on this machine can be it too:
# so it may open the ports and nothing else.
_USERS = """<clickhouse>
  <profiles><default/></profiles><quotas><default/></quotas>
  <users>
    <default><password/><networks><ip>::1</ip></networks><profile>default</profile><quota>default</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query></grants></default>
    <{user}><password_sha256_hex>{digest}</password_sha256_hex><networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile><quota>default</quota>
      <access_management>1</access_management><named_collection_control>1</named_collection_control></{user}>
  </users>
</clickhouse>
"""


class EmbeddedClickHouse(LaunchedService):
    """`with EmbeddedClickHouse() as endpoint:` a server whose ports are `native` and `http`.

    Without `data` everything is temporary. With it the directory is made or reopened, stays, and holds its password
    (0600).
    """

    kind = "clickhouse"

    def __init__(self, *, data: Path | None = None, user: str = "dpone") -> None:
        super().__init__()
        self._data = data.absolute() if data is not None else None
        self._user = user

    def prepare(self, scratch: Scratch) -> Launch:
        home = self._data or scratch.path / "home"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = _known_password(home)
        tcp, http = free_port(), free_port()
        users = home / "users.xml"
        digest = hashlib.sha256(password.reveal().encode()).hexdigest()
        _write_private(users, _USERS.format(user=escape(self._user), digest=digest))
        _write_private(home / "config.xml", _CONFIG.format(tcp=tcp, http=http, users=escape(str(users))))
        command = Command(
            (sys.executable, "-I", "-S", str(_CHILD), str(library()), str(home / "data")),
            directory=home,
            log=scratch.path / "server.log",
            environment={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            keep=(scratch.lock,),
        )
        endpoint = Endpoint(
            connector="clickhouse",
            host=LOOPBACK,
            ports={"native": tcp, "http": http},
            user=self._user,
            password=password,
            database=_DATABASE,
            provider=Provider.EMBEDDED,
            fidelity=Fidelity.REAL,
        )
        return Launch(command, _ready(endpoint), endpoint)


def library() -> Path:
    """Where the extension module of the wheel is."""
    found = find_spec("chdb")
    if found is None or found.origin is None:
        raise MissingPackage("the embedded server needs chdb-core", install="'dpone-connectors-clickhouse[local]'")
    return Path(found.origin).parent


def _known_password(home: Path) -> Secret:
    file = home / _PASSWORD_FILE
    if file.exists():
        return Secret(file.read_text(encoding="utf-8"))
    password = Secret.generate()
    _write_private(file, password.reveal())
    return password


def _write_private(file: Path, text: str) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(text)


def _ready(endpoint: Endpoint) -> Probe:
    """Our server answers, and has its database. By its password, lest somebody else's server answers for it."""
    assert endpoint.password is not None
    login = {"X-ClickHouse-User": endpoint.user or "", "X-ClickHouse-Key": endpoint.password.reveal()}
    made = f"CREATE DATABASE IF NOT EXISTS {_DATABASE} ENGINE = Atomic".encode()
    request = Request(f"http://{LOOPBACK}:{endpoint.ports['http']}/", data=made, headers=login)

    def ready(_: object) -> bool:
        if not connects(LOOPBACK, endpoint.ports["native"]):
            return False
        try:
            with urlopen(request, timeout=1.0) as answer:  # noqa: S310 - loopback
                return bool(answer.read() == b"")
        except (URLError, OSError):
            return False

    return ready
