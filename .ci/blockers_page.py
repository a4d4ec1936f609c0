"""Writes docs/reference/blockers.md: every blocker that keeps a document from passing, with what to do.

`python .ci/blockers_page.py` writes the page; tests/repo/test_blockers_page.py compares it with the code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "blockers.md"
CODE = re.compile(r"[a-z]+(?:_[a-z]+)*\.[a-z]+(?:_[a-z]+)*")
HEAD = """\
# Blockers

A document of evidence that does not pass says why: each blocker has a code, what was found, and what to do. What
follows a colon in a code is the case, file or metric that it is about. A blocker ends the command with exit 1; the
document is written all the same, so that it can be looked at. This page is made from the code
(`python .ci/blockers_page.py`); `{...}` stands for a name or number of the case.
"""

# What a piece of evidence can lack, whatever it is: `<evidence>.<fault>`.
FAULTS = {
    "missing": (
        "it was not given, or is not there; an optional file that is named and absent is missing, too",
        "produce it, and name its file",
    ),
    "invalid": (
        "it is not the document it has to be: damaged, a link, too large, of the future, or changed after it was named",
        "produce it again; do not change it by hand",
    ),
    "not_passed": (
        "it does not pass, or what it rests on does not give the verdict that it claims",
        "look at the blockers of the document itself",
    ),
    "stale": ("it is older than `--max-age` allows", "produce it again"),
    "unsigned": (
        "the owner of `--public-key` did not sign it, or not what it rests on",
        "let its producer sign it in the process that measures (`--signing-key`), and give that key's public half",
    ),
    "subject_mismatch": (
        "it is about other code, another checkout or other services than what is judged, or about nothing",
        "produce the evidence with the code that is judged",
    ),
}
# What is put together from parts, in one sentence.
SAID = {
    "diff.columns_absent.message": "columns that the target does not have",
    "doctor.failed.message": "what was found instead of what is needed",
    "doctor.failed.action": "the finding says it",
    "replay.not_executed.action": "the command that it names carries it out",
    "replay.failed.message": "the run ended with the error that follows the colon",
    "replay.failed.action": "look the code up in errors.md",
    "certification_report.case_not_passed.message": "a case failed, was not run, or compared nothing",
    "connector_certification.connector_not_passed.message": "a test of the conformance suite failed, or none passed",
    "connector_certification.connector_not_passed.action": "run the suite for this connector, and mend what it names",
}
CERTIFY = "find out who changed it; restore what was certified, or certify again"
CHAIN = "find out who changed it; a chain is only ever continued by `dpone ops evidence-chain`"
JUDGE = "produce the suite again with `dpone ops certification-suite`"
BUILD = "correct the model or its data, and run `dbt build` again"
COMPOSED = {
    **FAULTS,
    "not_verified": ("the chain of evidence does not verify", "look at what `dpone ops evidence-chain-verify` says"),
    "unsupported_version": ("the schema of the file is not one that is known", "use a dbt that writes a known one"),
    "wrong_kind": ("it judges connectors where the matrix is expected, or the other way round", "name the other suite"),
    "narrow_scope": ("its scope is a part of the matrix; a release needs all of it", f"{JUDGE} --scope '*'"),
    "wrong_release": ("it is of another release", f"{JUDGE} --release-id <release>"),
    "not_chained": (
        "its chain does not hold the suite, or a document that the suite judged",
        "make the artifact index over the suite and all that it judged, and chain that",
    ),
    "artifact_changed": ("a file is not what it was when it was indexed", CERTIFY),
    "artifact_missing": ("a file is not there any more", CERTIFY),
    "path_escapes": ("a file does not lie below its root as a plain file", CERTIFY),
    "entry_missing": ("an entry of the chain is not there any more", CHAIN),
    "entry_invalid": ("an entry of the chain is no document that can be read", CHAIN),
    "dbt.failed": ("a test of dbt failed", BUILD),
    "dbt.error": ("a node of dbt ended with an error", BUILD),
    "dbt.skipped": ("a node of dbt was skipped, because one before it failed", BUILD),
    "dbt.not_passed": ("a node of dbt has a state that is no success", BUILD),
}
SUITE = (
    "certification_report",
    "benchmark_baseline",
    "lineage_report",
    "dbt_lineage_report",
    "strategy_certification_bundle",
    "evidence_bundle",
    "mutation_report",
)
BUNDLED = ("replay", "matrix", "connector", "benchmark", "artifact")
READ = ("benchmark_metrics", "run_result", "run_registry_entry", "dbt_manifest", "dbt_run_results")
SUITES = ("matrix_certification_suite", "connector_certification_suite")
CHAINS = ("replay_evidence_chain", "matrix_evidence_chain", "connector_evidence_chain")
IN_CHAIN = ("evidence_chain", "artifact_index")


@dataclass
class Entry:
    """What the code says of one blocker."""

    messages: dict[str, None] = field(default_factory=dict)
    actions: dict[str, None] = field(default_factory=dict)


def sources() -> Iterator[Path]:
    yield from sorted((ROOT / "packages").glob("*/src/**/*.py"))


def entries() -> dict[str, Entry]:
    """Every code that a blocker is given, with the sentences beside it, and those that are put together."""
    found: dict[str, Entry] = {}
    trees = {_module(path): ast.parse(path.read_text(encoding="utf-8")) for path in sources()}
    constants = {module: _constants(tree) for module, tree in trees.items()}
    for module, tree in trees.items():
        _walk(tree, _known(module, tree, constants), found)
    families = [
        *((name, tuple(FAULTS)) for name in (*SUITE, *BUNDLED)),
        *((name, ("missing", "invalid")) for name in (*READ, *IN_CHAIN)),
        *((name, ("missing", "invalid", "not_passed", "unsigned", "subject_mismatch")) for name in SUITES),
        *((name, ("not_verified",)) for name in CHAINS),
        *((name, ("wrong_kind", "narrow_scope", "wrong_release", "not_chained")) for name in SUITES),
        *((name, ("artifact_changed", "artifact_missing", "path_escapes")) for name in IN_CHAIN),
        ("evidence_chain", ("entry_missing", "entry_invalid")),
        ("dbt", ("failed", "error", "skipped", "not_passed")),
        *((name, ("not_passed",)) for name in ("benchmark_metrics", "run_registry_entry")),
        ("replay_evidence_chain", ("invalid", "not_passed", "subject_mismatch")),
        *((name, ("not_passed",)) for name in ("run_registry", "certification_suite")),
        *((name, ("unsupported_version",)) for name in ("dbt_manifest", "dbt_run_results")),
    ]
    for name, faults in families:
        for fault in faults:
            entry = found.setdefault(f"{name}.{fault}", Entry())
            message, action = COMPOSED.get(f"{name}.{fault}") or COMPOSED[fault]
            entry.messages = entry.messages or {message: None}
            entry.actions = entry.actions or {action: None}
    return found


def _module(path: Path) -> str:
    """The name under which a file is imported."""
    return ".".join(path.with_suffix("").parts[path.parts.index("src") + 1 :])


def _known(module: str, tree: ast.Module, constants: dict[str, dict[str, str]]) -> dict[str, str]:
    """The module's own constants, and those that it imports from a module of ours, under the names they have here."""
    known = dict(constants[module])
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in constants:
            there = constants[node.module]
            known |= {alias.asname or alias.name: there[alias.name] for alias in node.names if alias.name in there}
    return known


def _constants(tree: ast.Module) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found |= {target.id: value.value for target in targets if isinstance(target, ast.Name)}
    return found


def _walk(tree: ast.Module, constants: dict[str, str], found: dict[str, Entry]) -> None:
    """Blockers as they are made: by name, or by a function of the module that puts its area before a code."""
    makers = {
        f.name: f for f in tree.body if isinstance(f, ast.FunctionDef) and (returned := _returned(f)) and _of(returned)
    }
    for scope in [tree, *(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))]:
        own = isinstance(scope, ast.FunctionDef) and scope.name in makers
        for call in _calls(scope):
            local = {**constants, **_locals(scope, call.lineno, constants)}
            if _name(call.func) == "Blocker" and not own:
                _note({k.arg: k.value for k in call.keywords if k.arg}, local, found)
            elif (maker := makers.get(_name(call.func))) is not None:
                _note_made(call, maker, local, found)


def _note_made(call: ast.Call, maker: ast.FunctionDef, local: dict[str, str], found: dict[str, Entry]) -> None:
    returned = _returned(maker)
    assert returned is not None
    names = [a.arg for a in maker.args.args]
    given: dict[str, str] = {
        n: t for n, v in zip(names, call.args, strict=False) if (t := text_of(v, local)) is not None
    }
    given |= {k.arg: t for k in call.keywords if k.arg and (t := text_of(k.value, local)) is not None}
    inside = _locals(maker, returned.lineno, {**local, **given})
    _note({k.arg: k.value for k in returned.keywords if k.arg}, inside, found)


def _note(words: dict[str, ast.expr], local: dict[str, str], found: dict[str, Entry]) -> None:
    code = (text_of(words.get("code"), local) or "").partition(":")[0].partition("{")[0].rstrip(".")
    if not CODE.fullmatch(code):
        return
    entry = found.setdefault(code, Entry())
    if message := (text_of(words.get("message"), local) or SAID.get(f"{code}.message")):
        entry.messages[message] = None
    if action := (text_of(words.get("action"), local) or SAID.get(f"{code}.action")):
        entry.actions[action] = None


def _returned(function: ast.FunctionDef) -> ast.Call | None:
    last = function.body[-1]
    return last.value if isinstance(last, ast.Return) and isinstance(last.value, ast.Call) else None


def _of(call: ast.Call) -> bool:
    """The function makes a blocker whose code rests on a parameter."""
    code = next((k.value for k in call.keywords if k.arg == "code"), None)
    return _name(call.func) == "Blocker" and isinstance(code, ast.JoinedStr)


def _calls(scope: ast.AST) -> Iterator[ast.Call]:
    """The calls of a scope, those of functions within it left out."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.FunctionDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _calls(child)


def _locals(scope: ast.AST, line: int, constants: dict[str, str]) -> dict[str, str]:
    """What local names hold at a line, as far as they are text."""
    found = dict(constants)
    if isinstance(scope, ast.FunctionDef):
        nodes = (n for n in ast.walk(scope) if isinstance(n, ast.Assign) and n.lineno <= line)
        for node in sorted(nodes, key=lambda n: n.lineno):
            for target, value in _pairs(node):
                if isinstance(target, ast.Name) and (text := text_of(value, found)) is not None:
                    found[target.id] = text
    return found


def _pairs(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value


def text_of(node: ast.expr | None, known: dict[str, str]) -> str | None:
    """A string expression with `{...}` where it is filled in; None for anything else."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.IfExp):
        return text_of(node.body, known) or text_of(node.orelse, known)
    if isinstance(node, ast.JoinedStr):
        return "".join(_piece(v, known) for v in node.values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return re.sub(r"\{[^}]*\}", "{...}", text_of(node.func.value, known) or "") or None
    return None


def _piece(node: ast.expr, known: dict[str, str]) -> str:
    if isinstance(node, ast.FormattedValue):
        return known.get(node.value.id, "{...}") if isinstance(node.value, ast.Name) else "{...}"
    return str(node.value) if isinstance(node, ast.Constant) else "{...}"


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def page() -> str:
    """The whole page."""
    lines, area = [HEAD], ""
    for code, entry in sorted(entries().items()):
        if code.partition(".")[0] != area:
            area = code.partition(".")[0]
            lines.append(f"## {area}\n")
        lines.append(f"### {code} {{: #{code} }}\n")
        lines += [f"- {_plain(message)}" for message in entry.messages]
        lines += [f"- *What to do:* {_plain(action)}" for action in entry.actions]
        lines.append("")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
