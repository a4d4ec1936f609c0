"""Connections: where a name is looked up, what a URL means, and what can be told before a secret is known."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import SecretStr

from dpone.connector import Config, Connector, File
from dpone.errors import UsageError
from dpone.manifest import ConnectionRef, Connections, from_url
from dpone.manifest.connections import variable_of
from dpone.manifest.urls import BadUrl, fields_of_url

Declared = Mapping[str, Connector[Any]]


def refused(connections: Connections, name: str, connector: Connector[Any]) -> UsageError:
    with pytest.raises(UsageError) as raised:
        connections.ref(name, connector)
    return raised.value


def written(folder: Path, text: str, **environ: str) -> Connections:
    (folder / "connections.yml").write_text(text, encoding="utf-8")
    return Connections(folder, environ)


# ------------------------------------------------------------------- by name


def test_a_name_is_found_beside_the_manifest(project: Path, environ: dict[str, str], connectors: Declared) -> None:
    ref = Connections(project, environ).ref("shop", connectors["alpha"])
    assert (ref.name, ref.connector, ref.origin) == ("shop", "alpha", "connections.yml:2")
    assert str(ref) == 'alpha connection "shop"'
    assert ref.described() == {"host": "shop.example", "user": "app", "password": "***", "database": "shop"}


def test_the_environment_wins(project: Path, connectors: Declared) -> None:
    ref = Connections(project, {"DPONE_CONN_SHOP": "alpha://elsewhere"}).ref("shop", connectors["alpha"])
    assert ref.origin == "DPONE_CONN_SHOP"
    assert ref.described() == {"host": "elsewhere"}


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_said_to_be_empty(project: Path, connectors: Declared, value: str) -> None:
    connections = Connections(project, {"DPONE_CONN_SHOP": value})
    for asked in (lambda: connections.ref("shop", connectors["alpha"]), lambda: connections.type_of("shop")):
        with pytest.raises(UsageError, match="DPONE_CONN_SHOP is set, and it is empty") as refused:
            asked()
        assert "unset it" in str(refused.value.hint)


def test_the_environment_alone_is_enough(tmp_path: Path, connectors: Declared) -> None:
    connections = Connections(tmp_path, {"DPONE_CONN_POSTGRES_LIVE": "alpha://h", "HOME": str(tmp_path)})
    assert connections.names() == ("postgres_live",)
    assert connections.ref("postgres-live", connectors["alpha"]).origin == variable_of("postgres_live")
    assert connections.type_of("postgres_live") == "alpha"


def test_the_file_of_the_user_comes_after_that_of_the_project(tmp_path: Path, connectors: Declared) -> None:
    own = tmp_path / ".config/dpone"
    own.mkdir(parents=True)
    (own / "connections.yml").write_text("a: {type: alpha, host: own}\nb: alpha://own\n")
    project = tmp_path / "project"
    project.mkdir()
    connections = written(project, "a: {type: alpha, host: project}\n", HOME=str(tmp_path))
    assert connections.ref("a", connectors["alpha"]).described()["host"] == "project"
    assert connections.ref("b", connectors["alpha"]).described()["host"] == "own"
    assert connections.names() == ("a", "b")
    assert connections.ref("b", connectors["alpha"]).base == own


def test_a_chosen_file_is_the_only_one(project: Path, tmp_path: Path, connectors: Declared) -> None:
    (tmp_path / "mine.yml").write_text("a: alpha://mine\n")
    connections = Connections(project, {"DPONE_CONNECTIONS": str(tmp_path / "mine.yml")})
    assert connections.names() == ("a",)
    gone = Connections(project, {"DPONE_CONNECTIONS": str(tmp_path / "gone.yml")})
    assert refused(gone, "a", connectors["alpha"]).code == "connection.not_found"


def test_an_unknown_name_is_a_suggestion(project: Path, environ: dict[str, str], connectors: Declared) -> None:
    error = refused(Connections(project, environ), "shp", connectors["alpha"])
    assert error.message == 'unknown connection "shp"; did you mean "shop"?'
    assert "DPONE_CONN_SHP" in str(error.hint)


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("- a\n", 1, "connections by name"),
        ("\nshop: 5\n", 2, "a mapping with `type`"),
        ("a: alpha://h\nshop: {host: h}\n", 2, "no `type`"),
        ("shop:\n  type: beta\n  project: p\n", 2, "is of type beta"),
        ("shop:\n  type: alpha\n  hots: h\n", 3, 'did you mean "host"'),
        ("shop: {type: alpha}\n", 1, 'missing key "host"'),
        ("shop:\n  type: alpha\n  host: h\n  port: '5432'\n", 4, "a whole number"),
        ("shop:\n  type: alpha\n  host: h\n  sslmode: off\n", 4, "disable or verify-full"),
        ("shop:\n  type: alpha\n  host: h\n  password: ${evn:X}\n", 4, "evn"),
        ("shop: {type: alpha, host: h\n", 2, "not YAML"),
        ("shop: alpha://h\nshop: alpha://i\n", 2, "twice"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_with_its_line(
    text: str, line: int, words: str, tmp_path: Path, connectors: Declared
) -> None:
    error = refused(written(tmp_path, text), "shop", connectors["alpha"])
    assert error.message.startswith(f"connections.yml:{line}: ")
    assert words in error.message


def test_an_empty_file_names_nothing(tmp_path: Path) -> None:
    assert written(tmp_path, "").names() == ()


def test_a_broken_file_stays_broken(tmp_path: Path, connectors: Declared) -> None:
    connections = written(tmp_path, "- a\n")
    first, second = (refused(connections, "shop", connectors["alpha"]).message for _ in range(2))
    assert first == second


# ----------------------------------------------------------- before and after


def test_a_reference_waits(tmp_path: Path, connectors: Declared) -> None:
    connections = written(tmp_path, "a: {type: alpha, host: '${env:H}', port: '${env:P}', password: '${env:PW}'}\n")
    ref = connections.ref("a", connectors["alpha"])
    assert ref.described() == {"host": "${env:H}", "port": "${env:P}", "password": "***"}
    config = ref.resolve({"H": "here", "P": "1234", "PW": "secret"})
    assert (config.host, config.port, config.password) == ("here", 1234, SecretStr("secret"))


def test_a_missing_secret_says_whose_it_is(tmp_path: Path, connectors: Declared) -> None:
    ref = written(tmp_path, "a: alpha://u:${env:PW}@h\n").ref("a", connectors["alpha"])
    with pytest.raises(UsageError) as raised:
        ref.resolve({})
    assert raised.value.message == 'alpha connection "a": the environment variable PW is not set'
    assert raised.value.code == "secret.missing"


def test_a_resolved_value_that_does_not_fit_is_not_quoted(tmp_path: Path, connectors: Declared, canary: str) -> None:
    ref = written(tmp_path, "a: {type: alpha, host: h, port: '${env:P}'}\n").ref("a", connectors["alpha"])
    with pytest.raises(UsageError, match="port cannot be used") as raised:
        ref.resolve({"P": canary})
    assert raised.value.code == "connection.invalid"
    assert canary not in f"{raised.value.message}{raised.value.hint}{raised.value.context}"
    assert raised.value.__context__ is None


def test_an_address_is_shown_without_what_may_be_secret_in_it(tmp_path: Path, connectors: Declared) -> None:
    text = "a: {type: alpha, host: 'https://u:hunter2@h/x?key=hunter2'}\n"
    ref = written(tmp_path, text).ref("a", connectors["alpha"])
    assert ref.described() == {"host": "https://***@h/x?***"}


def test_files_lead_below_the_folder_of_the_connections(tmp_path: Path, connectors: Declared) -> None:
    (tmp_path / "pw").write_text("secret\n")
    ref = written(tmp_path, "a: {type: alpha, host: h, password: '${file:pw}'}\n").ref("a", connectors["alpha"])
    assert ref.resolve({}).password == SecretStr("secret")


def test_a_reference_is_hashed_compared_and_copied_but_not_pickled(tmp_path: Path, connectors: Declared) -> None:
    one, two = (from_url("alpha://u:hunter2@h", connectors["alpha"], base=tmp_path) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert copy.deepcopy(one) == one
    assert one != from_url("alpha://u:other@h", connectors["alpha"], base=tmp_path)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(one)


# ------------------------------------------------------------------------ URLs


@pytest.mark.parametrize(
    "url, fields",
    [
        ("alpha://h", {"host": "h"}),
        ("ALPHA://h:1/d", {"host": "h", "port": "1", "database": "d"}),
        ("alphasql://u@h/", {"user": "u", "host": "h"}),
        ("alpha://u:p%40ss%3A@h", {"user": "u", "password": "p@ss:", "host": "h"}),
        ("alpha://u:a:b@h", {"user": "u", "password": "a:b", "host": "h"}),
        ("alpha://[::1]:5", {"host": "::1", "port": "5"}),
        ("alpha://h/d%2Fe?sslmode=disable", {"host": "h", "database": "d/e", "sslmode": "disable"}),
        ("alpha://h?user=u&password=%26", {"host": "h", "user": "u", "password": "&"}),
        ("alpha://${env:U}:${file:/run/a:b@c}@${env:H}:${env:P}/${env:D}", {
            "user": "${env:U}", "password": "${file:/run/a:b@c}",
            "host": "${env:H}", "port": "${env:P}", "database": "${env:D}",
        }),
        ("alpha://u:%24%7Benv:X%7D@h", {"user": "u", "password": "$${env:X}", "host": "h"}),
        ("alpha://größe/δ", {"host": "größe", "database": "δ"}),
    ],
)  # fmt: skip
def test_a_url_gives_fields(url: str, fields: dict[str, str], connectors: Declared) -> None:
    assert fields_of_url(url, connectors["alpha"]) == fields


@pytest.mark.parametrize(
    "url, words",
    [
        ("beta://u:hunter2@h", "alpha:// or alphasql://"),
        ("alpha:u:hunter2@h", "expected scheme://"),
        ("alpha://u:hunter2@h:port", "one host and port"),
        ("alpha://u:hunter2@h:99999", "at most 65535"),
        ("alpha://u:hunter2@a:1,b:2", "one host"),
        ("alpha://u:hunter2@h?sslmod=disable", 'did you mean "sslmode"'),
        ("alpha://u:hunter2@h?x=1", "there are"),
        ("alpha://u:hunter2@h?user=v", "given twice"),
        ("alpha://u:hunter2@h/d e", "no spaces"),
        ("alpha://u:hunter2%ff@h", "percent"),
        ("alpha://u:12?hunter2@h", "unknown option"),
        ("alpha://u:hunter2@h#fragment", "expected scheme://"),
    ],
)
def test_a_bad_url_is_explained_and_never_quoted(url: str, words: str, connectors: Declared) -> None:
    with pytest.raises(UsageError) as raised:
        from_url(url, connectors["alpha"])
    said = f"{raised.value.message}{raised.value.hint}{raised.value.context}"
    assert words in said
    assert "hunter2" not in said
    assert raised.value.code == "connection.invalid"
    assert raised.value.__context__ is None


def test_a_part_that_the_connector_does_not_have_is_refused(connectors: Declared) -> None:
    with pytest.raises(UsageError, match="no user or password"):
        from_url("beta://u:p@project", connectors["beta"])


class Brokers(Config):
    url_parts: ClassVar[Mapping[str, str]] = {"brokers": "authority"}
    brokers: str
    user: str | None = None


class Api(Config):
    url_parts: ClassVar[Mapping[str, str]] = {"base_url": "url"}
    base_url: str
    password: SecretStr | None = None


def test_fields_may_take_longer_parts(connectors: Declared) -> None:
    from msgspec.structs import replace

    many = replace(connectors["alpha"], config=Brokers)
    assert fields_of_url("alpha://u@a:1,b:2", many) == {"brokers": "a:1,b:2", "user": "u"}
    api = replace(connectors["alpha"], config=Api, schemes=("https",))
    assert fields_of_url("https://:p@h:8/v1/x", api) == {"base_url": "https://h:8/v1/x", "password": "p"}


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_any_user_and_password_come_back_from_their_encoding(user: str, password: str) -> None:
    from urllib.parse import quote

    from dpone.manifest.secrets import substitute

    class Pair(Config):
        host: str
        user: str
        password: SecretStr

    connector: Connector[Any] = Connector("pair", "d", Pair, None, None, ("pair",))  # type: ignore[arg-type] # no types
    fields = fields_of_url(f"pair://{quote(user, safe='')}:{quote(password, safe='')}@h", connector)
    assert {k: substitute(v, Path(), {}).get_secret_value() for k, v in fields.items()} == {
        "host": "h", "user": user, "password": password,
    }  # fmt: skip


@given(st.text(max_size=60))
def test_any_text_is_fields_or_a_bad_url(text: str) -> None:
    class Host(Config):
        host: str = ""

    connector: Connector[Any] = Connector("h", "d", Host, None, None, ("h",))  # type: ignore[arg-type] # no types
    for url in (text, f"h://{text}"):
        try:
            fields = fields_of_url(url, connector)
        except BadUrl:
            continue
        assert set(fields) <= {"host"}


def test_the_label_of_a_url_is_its_variable(connectors: Declared, tmp_path: Path) -> None:
    connections = Connections(tmp_path, {"DPONE_CONN_A": "alpha://u:hunter2@"})
    error = refused(connections, "a", connectors["alpha"])
    assert error.message == 'DPONE_CONN_A: missing key "host" under alpha connection'
    assert isinstance(from_url("alpha://h", connectors["alpha"]), ConnectionRef)


# --------------------------------------------------------------------------- files


class WithFiles(Config):
    certificate: File
    authorities: File | Literal["system"] | None = None
    data: Path | None = None  # of no interest here


def with_files(connectors: Declared, folder: Path, **fields: str) -> WithFiles:
    connector = replace(connectors["alpha"], config=WithFiles)
    given = "".join(f", {name}: {value}" for name, value in fields.items())
    found: WithFiles = written(folder, f"shop: {{type: alpha{given}}}\n").ref("shop", connector).resolve()
    return found


def test_a_file_lies_below_the_folder_in_which_it_is_named(
    tmp_path: Path, connectors: Declared, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours.pem").touch()
    monkeypatch.chdir("/")
    found = with_files(connectors, tmp_path, certificate="ours.pem", authorities="system", data="absent")
    assert (found.certificate, found.authorities, found.data) == (tmp_path / "ours.pem", "system", Path("absent"))
    absolute = str(tmp_path / "ours.pem")
    assert with_files(connectors, tmp_path, certificate=absolute, authorities=absolute).authorities == Path(absolute)


@pytest.mark.parametrize("fields", [{"certificate": "gone.pem"}, {"certificate": "ours.pem", "authorities": "."}])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, connectors: Declared, fields: dict[str, str]) -> None:
    (tmp_path / "ours.pem").touch()
    with pytest.raises(UsageError) as refused:
        with_files(connectors, tmp_path, **fields)
    wrong = "authorities" if "authorities" in fields else "certificate"
    assert refused.value.code == "connection.file_missing"
    assert f'alpha connection "shop" (connections.yml:1): {wrong}: there is no file {tmp_path}' in refused.value.message
