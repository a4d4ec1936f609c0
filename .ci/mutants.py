"""Plants small changes in the modules that decide what is right, and counts those that their tests notice.

`python .ci/mutants.py FOLDER [MODULE...]` works in the folder, where sources and tests are copied to; mutmut and
everything that the tests need is installed. `nox -s mutants` prepares both. Survivors with the reason why each may
live are listed in docs/testing/mutants.md; one that is not listed there is new.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/testing/mutants.md"
SOURCES = {"dpone": "packages/dpone-core/src/dpone", "dpone_certify": "packages/dpone-certify/src/dpone_certify"}
CORE, CERTIFY = "packages/dpone-core/tests", "packages/dpone-certify/tests"
LEAST = 0.85
# The same examples for every mutant, and none is made smaller: that it is noticed is all that is asked.
CONFTEST = """from hypothesis import Phase, settings

settings.register_profile(
    "mutants", derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("mutants")
"""
# A test that reads what modules import, to which mutmut adds itself.
REWRITTEN = f"{CERTIFY}/postconditions/test_independence.py"
PLANTED = f"{CERTIFY}/algebra/test_planted_bugs.py"
TABLES = ("baseline_judge", "chain_verification", "judging", "recomputing", "release_verdict", "suite_verdict")
# The modules of a group, and the tests that have to notice their mutants.
GROUPS: dict[str, tuple[list[str], list[str]]] = {
    "algebra": (
        ["dpone/strategies.py", "dpone/oracle.py", "dpone/where.py"],
        [f"{CORE}/test_strategies.py", f"{CORE}/test_oracle.py", f"{CORE}/test_where.py", f"{CORE}/test_ops.py"],
    ),
    "sql": (
        ["dpone/sql/*"],
        # not the bugs planted in the algebra: they say that it notices bugs, and would be looked at for every mutant
        [f"{CORE}/sql", f"{CERTIFY}/algebra/test_algebra.py", f"{PLANTED}::test_without_a_bug_the_same_seeds_agree"],
    ),
    "evaluators": (
        [
            *("dpone_certify/baseline/judge.py", "dpone_certify/certification/judge.py"),
            *("dpone_certify/conformance/judge.py", "dpone_certify/dbt/judge.py", "dpone_certify/mutation/judge.py"),
            *("dpone_certify/registry/judge.py", "dpone_certify/postconditions/*", "dpone_certify/suite/evaluate.py"),
            *("dpone_certify/release/evaluate.py", "dpone_certify/evidence/recomputing.py"),
            *("dpone_certify/evidence/judging.py", "dpone_certify/chain/verify.py"),
        ],
        # the tables of each judge alone: those that write whole folders of evidence take minutes for every survivor
        [
            *(f"{CERTIFY}/{name}/test_judge.py" for name in ("certification", "dbt", "mutation", "registry")),
            *(f"{CERTIFY}/evidence/test_{name}.py" for name in TABLES),
            f"{CERTIFY}/certification/test_conformance_judge.py",
            f"{CERTIFY}/postconditions",
        ],
    ),
}


def prepare(folder: Path, modules: list[str], tests: list[str]) -> None:
    """The folder is a project of its own that mutmut understands: src, the tests where they were, a configuration."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, source in SOURCES.items():
        shutil.copytree(ROOT / source, folder / "src" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for tree in (CORE, CERTIFY, "docs"):
        shutil.copytree(ROOT / tree, folder / tree, ignore=shutil.ignore_patterns("__pycache__"))
    only = ", ".join(f'"src/{name}"' for name in modules)
    selected = ", ".join(f'"{name}"' for name in tests)
    (folder / "mutants/src").mkdir(parents=True)  # a path that is not there when Python starts is never looked at again
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        '[tool.mutmut]\nsource_paths = ["src"]\n'
        f"only_mutate = [{only}]\n"
        f"pytest_add_cli_args_test_selection = [{selected}]\n"
        'pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "--import-mode=importlib", '
        f'"--ignore={REWRITTEN}"]\n'
        'also_copy = ["packages", "docs", "conftest.py"]\nuse_git_change_detection = false\n',
        encoding="utf-8",
    )


def mutmut(folder: Path, *words: str, quietly: bool = False) -> str:
    """What mutmut said, where the changed sources are those that Python finds first; all of it when it came to nothing,
    as when a test is red before anything is changed.
    """
    environ = {**os.environ, "PYTHONPATH": str(folder / "mutants/src"), "DPONE_TESTING": "1"}
    command = [str(Path(sys.executable).with_name("mutmut")), *words]
    done = subprocess.run(  # noqa: S603 -- fixed words
        command, cwd=folder, env=environ, check=False, stdout=subprocess.PIPE, text=True
    )
    if not quietly:
        last = None if done.returncode else -3
        print("\n".join(done.stdout.replace("\r", "\n").splitlines()[last:]), flush=True)
    return done.stdout


def told() -> set[str]:
    """The survivors that the page lists."""
    return set(re.findall(r"^\| `(\S+__mutmut_\d+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def main(folder: Path, chosen: list[str]) -> int:
    """Zero when enough mutants of each group were noticed, and every survivor is listed with its reason."""
    red = False
    for group, (modules, tests) in GROUPS.items():
        if chosen and group not in chosen:
            continue
        place = folder / group
        prepare(place, modules, tests)
        mutmut(place, "run", *([f"--max-children={os.environ['MUTANTS']}"] if "MUTANTS" in os.environ else []))
        found: list[tuple[str, str]] = re.findall(
            r"^\s*(\S+__mutmut_\d+): (\S.*)$", mutmut(place, "results", "--all", "true", quietly=True), re.MULTILINE
        )
        if all(state == UNCHECKED for _, state in found):
            print(
                f"{group}: no mutant was looked at, since the tests do not pass without any; what is red stands above"
            )
            red = True
            continue
        by_module: dict[str, Counter[str]] = defaultdict(Counter)
        for name, state in found:
            by_module[name.rpartition(".")[0]][state] += 1
        for module, states in sorted(by_module.items()):
            noticed, all_ = noticed_of(states), sum(states.values())
            print(f"{group:<10} {module:<45} {noticed:>5} of {all_:<5} {noticed / all_:7.1%}  {dict(states)}")
        total = sum((states for states in by_module.values()), Counter[str]())
        score = noticed_of(total) / (sum(total.values()) or 1)
        new = [n for n, state in found if state not in NOTICED and n not in told()]
        print(f"{group}: {score:.1%} of {sum(total.values())}; not listed in {PAGE.name}: {len(new)}")
        for name in new:
            print(f"  {name}: see `mutmut show {name}` in {place}")
        red = red or score < LEAST or bool(new)
    return int(red)


NOTICED = {"killed", "timeout", "segfault"}
UNCHECKED = "not checked"


def noticed_of(states: Counter[str]) -> int:
    return sum(count for state, count in states.items() if state in NOTICED)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
