"""A canary in every place where a secret may stand: nothing that is printed, dumped or raised holds it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from dpone.errors import DponeError
from dpone.manifest import Connections, Manifest, load, parse
from dpone.manifest.ends import Lookup

TEXT = """\
version: 1
name: orders
source: {{type: alpha, connection: {source}, table: public.orders}}
sink: {{type: beta, connection: {sink}, table: raw.orders}}
strategy: {{mode: full_refresh}}
"""


MARK = "c4n" + "4ry"  # in two, since tracebacks quote these lines


def said(value: object) -> str:
    return f"{value!r} {value}"


def dumped(manifest: Manifest) -> str:
    (stream,) = manifest.streams
    parts: list[object] = [manifest, stream, stream.source, stream.sink, stream.source.connection, vars(stream)]
    parts += [
        manifest.model_dump_json(),
        stream.model_dump_json(),
        stream.model_dump(),
        json.dumps(manifest.model_dump(mode="json")),
    ]
    parts += [stream.source.connection.described(), stream.sink.connection.described(), stream.source.connection.fields]
    return "\n".join(map(said, parts))


def raised_by(call: Callable[[], object]) -> str:
    """Everything that an error says, its traceback and what travels with it included."""
    with pytest.raises(DponeError) as caught:
        call()
    error: BaseException | None = caught.value
    texts = ["".join(traceback.format_exception(caught.value))]
    while error is not None:
        texts.append(f"{error!r} {error} {getattr(error, 'context', '')} {getattr(error, 'hint', '')}")
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("shop", id="literal-in-connections"),
        pytest.param("other", id="url-in-connections"),
        pytest.param("{host: '${env:SECRET}', password: '${env:SECRET}', headers: {a: '${env:SECRET}'}}", id="inline"),
    ],
)
def test_a_loaded_manifest_says_nothing(
    source: str, project: Path, environ: dict[str, str], lookup: Lookup, canary: str
) -> None:
    (project / "m.yaml").write_text(TEXT.format(source=source, sink="dwh"), encoding="utf-8")
    manifest = load(project / "m.yaml", lookup, environ={**environ, "SECRET": canary})
    assert canary not in dumped(manifest)
    config = manifest.streams[0].source.connection.resolve({**environ, "SECRET": canary})
    assert config.password.get_secret_value() == canary
    assert canary not in said(config.password) + config.model_dump_json(exclude={"host"})
    assert canary not in dumped(manifest)  # nothing was kept


def test_a_url_in_the_environment_says_nothing(project: Path, lookup: Lookup, canary: str) -> None:
    from urllib.parse import quote

    variables = {"DPONE_CONN_SHOP": f"alpha://app:{quote(canary, safe='')}@h", "DPONE_CONN_DWH": "beta://p"}
    (project / "m.yaml").write_text(TEXT.format(source="shop", sink="dwh"), encoding="utf-8")
    manifest = load(project / "m.yaml", lookup, environ=variables)
    assert quote(canary, safe="") not in dumped(manifest)
    assert canary not in dumped(manifest) + said(Connections(project, variables))
    assert manifest.streams[0].source.connection.resolve({}).password.get_secret_value() == canary


@pytest.mark.parametrize(
    "source",
    [
        "[CANARY]",
        "{password: CANARY}",
        "{host: h, password: CANARY}",
        "{host: h, passwrd: CANARY}",
        "{host: h, port: CANARY}",
        "{host: h, sslmode: CANARY}",
        "{host: h, user: forbidden, password: CANARY}",
        "{host: h, password: [CANARY]}",
        "{host: h, password: {a: CANARY}}",
        "{host: h, headers: CANARY}",
        "{host: h, headers: {a: CANARY}}",
        "{host: h, headers: {a: [CANARY]}}",
        "{host: [CANARY]}",
        "{host: h, password: 'a ${env:X CANARY'}",
        "{host: h, password: '${CANARY}'}",
        "alpha://u:CANARY@h",
        "alpha://u:CANARY",
        "h, password: CANARY",
        "{host: h, password: 'CANARY",
        '{host: h, password: "\\CANARY"}',
    ],
)
def test_a_bad_connection_in_a_manifest_says_nothing(
    source: str, project: Path, environ: dict[str, str], lookup: Lookup
) -> None:
    (project / "m.yaml").write_text(TEXT.format(source=source.replace("CANARY", MARK), sink="dwh"), encoding="utf-8")
    assert MARK not in raised_by(lambda: load(project / "m.yaml", lookup, environ=environ))


@pytest.mark.parametrize(
    "connections",
    [
        "shop: {type: alpha, password: c4n4ry}",
        "shop: {type: alpha, host: h, port: c4n4ry}",
        "shop: {type: alpha, host: h, user: forbidden, password: c4n4ry}",
        "shop: {type: alpha, host: h, pasword: c4n4ry}",
        "shop: {type: alpha, host: h, password: [c4n4ry]}",
        "shop: {type: alpha, host: h, headers: {a: 5, b: c4n4ry}}",
        "shop: {type: beta, project: p, token: c4n4ry}",
        "shop: {host: h, password: c4n4ry}",
        "shop: [c4n4ry]",
        "shop: c4n4ry",
        "shop: {type: alpha, host: h, password c4n4ry}",
        "shop: {type: alpha, host: h, password:c4n4ry}",
        "shop: {type: alpha, host: h, passwordc4n4ry: 1}",
        "shop: {type: alpha, host: h, password: *c4n4ry}",
        "shop: {type: alpha, host: h, password: &c4n4ry}",
        "shop: {type: alpha, host: h, password: !c4n4ry!x y}",
        "%TAG !a! c4n4ry\n%TAG !a! c4n4ry\n--- {}",
        "shop: {type: alpha, host: h, password: !c4n4ry}",
        "shop: {type: alpha, host: h, password: %c4n4ry}",
        "shop: {type: alpha, host: h, password: @c4n4ry}",
        "shop: {type: alpha, host: h, password: c4n4ry, password: c4n4ry}",
        "shop: {? {password: c4n4ry} : c4n4ry}",
        "alpha://u:c4n4ry@h: shop",
        "? alpha://u:c4n4ry@h\n: shop",
        "shop: alpha://u:c4n4ry@h:x",
        "shop: alpha://u:c4n4ry@",
        "shop: alpha://forbidden:c4n4ry@h",
        "shop: alpha://u:c4n4ry@h?c4n4ry=1&c4n4ry",
        "shop: alpha://u:%ffc4n4ry@h",
        "shop: beta://u:c4n4ry@h",
        "shop: alpha://u:c4n4ry@h\nshop: alpha://u:c4n4ry@h",
        "shop: {type: alpha, host: h, password: 'c4n4ry'",
        "shop: {type: alpha, host: h, password: !x c4n4ry}",
        "shop: {type: alpha, host: h, password: '${env:C4 c4n4ry}'}",
    ],
)
def test_a_bad_connections_file_says_nothing(connections: str, tmp_path: Path, lookup: Lookup) -> None:
    (tmp_path / "connections.yml").write_text(connections + "\ndwh: beta://p\n", encoding="utf-8")
    (tmp_path / "m.yaml").write_text(TEXT.format(source="shop", sink="dwh"), encoding="utf-8")
    assert MARK not in raised_by(lambda: load(tmp_path / "m.yaml", lookup, environ={}))


def test_what_a_reference_stands_for_is_not_said(tmp_path: Path, lookup: Lookup) -> None:
    inline = {"host": "h", "port": "${env:P}", "user": "${env:U}", "password": "${env:S}"}
    manifest = parse(
        {
            "version": 1,
            "name": "n",
            "source": {"type": "alpha", "connection": inline, "table": "a"},
            "sink": {"type": "beta", "connection": {"project": "p"}, "table": "a"},
            "strategy": {"mode": "replace"},
        },
        lookup,
        folder=tmp_path,
        environ={},
    )
    connection = manifest.streams[0].source.connection
    for environ in ({"P": MARK, "U": MARK, "S": MARK}, {"P": "1", "U": "forbidden", "S": MARK}, {"P": "1", "S": MARK}):
        assert MARK not in raised_by(lambda environ=environ: connection.resolve(environ))  # type: ignore[misc] # bound now
