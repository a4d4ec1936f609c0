"""What a wrong manifest or command is answered: one clear message with its code, and nothing is touched."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dpone.testing.shop import MANIFEST, Dpone, Shop

CANARY = "c4n4ry-Pa55word"


@pytest.mark.parametrize(
    "old, new, code, words",
    [
        (
            "strategy:",
            "stratgy:",
            "manifest.unknown_key",
            'orders.yaml:5: unknown key "stratgy"; did you mean "strategy"?',
        ),
        (MANIFEST[MANIFEST.index("strategy:") :], "", "manifest.missing_strategy", "incremental_merge"),
        ("key: [id]", "key: [idd]", "manifest.unknown_column", 'did you mean "id"?'),
        ("mode: incremental_merge", "mode: incremental_merg", "manifest.unknown_strategy", "incremental_merge"),
        ("type: memory, connection: shop", "type: memry, connection: shop", "manifest.unknown_connector", "memory"),
        ("connection: shop", "connection: shopp", "manifest.unknown_connection", "shop"),
        ("column: updated_at", "column: v", "plan.unordered_column", "string"),
        ("version: 1", "version: 2", "manifest.invalid", "version"),
        ("table: public.orders", "table: public.absent", "source.table_missing", "absent"),
    ],
)
def test_a_wrong_manifest_is_refused_in_one_message(
    shop: Shop, dpone: Dpone, old: str, new: str, code: str, words: str
) -> None:
    assert old in MANIFEST
    shop.write(MANIFEST.replace(old, new))
    answer = dpone("run", "orders.yaml", "--quiet")
    assert answer.code == 2, answer.err
    assert f"[{code}" in answer.err
    assert words in answer.err
    assert "Traceback" not in answer.err
    with pytest.raises(LookupError):
        shop.landed()


def test_a_manifest_that_is_not_there_and_a_mistyped_command(dpone: Dpone, shop: Shop) -> None:
    answer = dpone("run", "order.yaml")
    assert answer.code == 2
    assert 'did you mean "orders.yaml"?' in answer.err
    answer = dpone("rnu")
    assert answer.code == 2
    assert "Did you mean 'run'?" in answer.err


def test_an_unreachable_end_is_the_answer_no(dpone: Dpone, shop: Shop) -> None:
    connections = Path("connections.yml")
    connections.write_text(connections.read_text().replace("/store", "/nowhere"))
    answer = dpone("run", "orders.yaml", "--quiet")
    assert answer.code == 1
    assert "unreachable" in answer.err


def test_a_foreign_exception_is_told_by_its_kind_alone(
    shop: Shop, dpone: Dpone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise ValueError(CANARY)

    monkeypatch.setattr("dpone.api.compile_plan", explode)
    answer = dpone("run", "orders.yaml", "--quiet", "--run-id", "broken")
    assert answer.code == 1
    assert "internal error: ValueError" in answer.err
    assert CANARY not in answer.err + Path(".dpone/runs/broken.json").read_text()
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("file", [".dpone", ".dpone/runs"])
def test_what_this_machine_refuses_is_no_fault_of_dpone(shop: Shop, dpone: Dpone, file: str) -> None:
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).touch()  # where the folder of records belongs
    answer = dpone("run", "orders.yaml", "--quiet")
    assert answer.code == 1
    assert answer.err.startswith("error [machine.refused] this machine refuses: Not a directory: .dpone")
    assert "internal error" not in answer.err


def test_a_full_disk_is_said(shop: Shop, dpone: Dpone, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("dpone.api.compile_plan", full)
    answer = dpone("run", "orders.yaml", "--quiet")
    assert (answer.code, "error [machine.refused] this machine refuses: No space left" in answer.err) == (1, True)


def test_errors_are_json_where_the_command_speaks_json(shop: Shop, dpone: Dpone) -> None:
    shop.write(MANIFEST.replace("strategy:", "stratgy:"))
    answer = dpone("check", "orders.yaml", "--format", "json")
    assert json.loads(answer.err)["error"]["code"] == "manifest.unknown_key"


def test_check_names_each_end_once(shop: Shop, dpone: Dpone) -> None:
    answer = dpone("check", "orders.yaml")
    assert answer.out == 'orders: incremental_merge, memory connection "shop" -> memory connection "dwh": ok\n'


def test_groups_of_packages_that_are_not_installed_say_how_to_get_them(
    dpone: Dpone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpone.cli.root._entry_points", list)
    for group in ("ops", "strategy"):
        answer = dpone(group, "certification-run", "--profile", "mock_contract")
        assert answer.code == 2
        assert "pip install dpone-certify" in answer.err


def test_a_connector_of_ours_that_is_not_installed_says_how_to_get_it(
    shop: Shop, dpone: Dpone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpone.registry._installed", lambda *, testing: {})  # noqa: ARG005 -- the real one's signature
    monkeypatch.setattr("dpone.registry._ours", lambda _: None)
    answer = dpone("types", "postgres", "mssql")
    assert answer.code == 2
    assert "pip install dpone-connectors-postgres" in answer.err


def test_help_and_version_load_nothing_heavy() -> None:
    program = (
        "import sys\nfrom dpone.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'pyarrow', 'pydantic', 'rich', 'psycopg', 'pyodbc', 'clickhouse_driver', 'google', 'confluent_kafka',"
        " 'requests', 'ruamel', 'numpy'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_testing_connectors_show_only_when_asked_for() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "DPONE_TESTING"}
    for flags, shows in (([], False), (["--testing"], True)):
        command = [sys.executable, "-c", "from dpone.cli import main; main()", *flags, "connectors", "--format", "json"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert ("memory" in {row["name"] for row in json.loads(ended.stdout)}) is shows


@pytest.mark.parametrize(
    "ends, code, told",
    [
        ("", 0, ""),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        (">/dev/full", 1, "machine.refused"),
        ("| true; exit ${PIPESTATUS[0]}", 1, ""),  # a run whose reader left may not have ended
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_the_console_ends_as_its_command_does_whoever_listens(ends: str, code: int, told: str, unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    program = f"{sys.executable} -c 'from dpone.cli import console; console()' connectors {ends}"
    ended = subprocess.run(["bash", "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_what_is_registered_for_the_end_is_done_and_the_code_is_the_commands() -> None:
    program = (
        "import atexit, sys\nfrom dpone.cli import console\n"
        "atexit.register(lambda: print('cleaned up'))\nsys.argv = ['dpone', 'nonsense']\nconsole()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout == "cleaned up\n"


def test_shell_completion_offers_the_commands() -> None:
    environment = {**os.environ, "_DPONE_COMPLETE": "bash_complete", "COMP_WORDS": "dpone ma", "COMP_CWORD": "1"}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'dpone'; from dpone.cli import main; main()"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "manifest" in ended.stdout


def test_types_and_the_manifests_schema_are_shown(dpone: Dpone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPONE_TESTING", "1")
    rows = json.loads(dpone("types", "memory", "memory", "--format", "json").out)
    assert {row["verdict"] for row in rows} == {"exact"}
    assert "verdict" in dpone("types", "memory", "memory").out
    assert json.loads(dpone("manifest", "schema").out)["$schema"]


def test_doctor_finds_what_is_wrong(shop: Shop, dpone: Dpone) -> None:
    healthy = dpone("doctor", "--format", "json")
    assert {f["name"] for f in json.loads(healthy.out)["findings"]} >= {
        "python",
        "dpone-core",
        "disk",
        "import name dpone",
    }
    answer = dpone("doctor", "--profile", "memory_local")
    assert answer.code == 1  # no connection of that name
    assert "DPONE_CONN_MEMORY_LOCAL" in answer.out
    assert dpone("doctor", "--profile", "nonsense").code == 2
