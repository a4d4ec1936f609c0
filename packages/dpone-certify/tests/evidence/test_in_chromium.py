"""The reports in a real browser: states, filters, keyboard, and nothing that they must not do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpone_certify.certification.document import CertificationReport, Difference, Ends
from dpone_certify.documents.document import Blocker
from dpone_certify.html.report import html_of
from evidence import made
from evidence.chromium import Page, browser, find
from evidence.conftest import World, run, summary

pytestmark = pytest.mark.skipif(
    find() is None,
    reason="NO CHROMIUM: the reports were not looked at in a browser; apt install chromium, or CHROMIUM=",
)

EVIL = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
FAILED = "postgres_to_kafka__full_refresh"


def report() -> CertificationReport:
    """Of every state and every fidelity at least one."""
    found = {r.case_id: r for r in made.results()}

    def change(case_id: str, **more: object) -> None:
        found[case_id] = found[case_id].model_copy(update=more)

    blocker = Blocker(code=f"certification_report.case_not_passed:{FAILED}", message=EVIL, action="look")
    change(FAILED, state="failed", passed=False, actual_row_count=9_999, blockers=(blocker,), reason=EVIL)
    for state in ("error", "skipped", "not_run", "unknown", "stale"):
        change(f"mssql_to_postgres__{dict(zip(STATES, STRATEGIES, strict=True))[state]}", state=state, passed=False)
    for fidelity in ("contract", "emulated", "vendor"):
        strategy = {"contract": "full_refresh", "emulated": "replace", "vendor": "scd2"}[fidelity]
        change(f"clickhouse_to_mssql__{strategy}", fidelity=Ends.model_validate({"source": "vendor", "sink": fidelity}))
    return made.report(tuple(found.values()), passed=False, blockers=(blocker,))


STATES = ("error", "skipped", "not_run", "unknown", "stale")
STRATEGIES = ("full_refresh", "incremental_append", "incremental_merge", "replace", "scd2")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = find()
    assert program is not None
    path = tmp_path_factory.mktemp("page") / "certification_report.html"
    difference = Difference(check="first_load", kind="missing", key=("42",), expected={"v": EVIL}, found=None)
    path.write_text(html_of(report(), {FAILED: [difference]}), encoding="utf-8")
    with browser(program) as found:
        found.open(path)
        yield found


def shown(page: Page) -> int:
    found = page.run(
        "[...document.querySelectorAll('.matrix button.tile')].filter("
        "t => !t.disabled && getComputedStyle(t).visibility === 'visible' && t.getClientRects().length).length"
    )
    assert isinstance(found, int)
    return found


def choose(page: Page, **values: str) -> None:
    for name, value in values.items():
        page.run(
            f"(() => {{ const s = document.querySelector('select[name={name}]'); s.value = '{value}';"
            " s.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )


def everything(page: Page) -> None:
    page.run("document.querySelector('dialog').close()")
    page.run("document.querySelector('form.filters').reset()")
    page.run("new Promise(done => setTimeout(done, 50))")


def test_every_case_is_a_tile_and_no_state_or_fidelity_rests_on_colour(page: Page) -> None:
    everything(page)
    assert shown(page) == 200
    looks = page.run(
        "Object.fromEntries([...document.querySelectorAll('.matrix button.tile')].map(t => {"
        " const c = getComputedStyle(t); return [t.dataset.state + ' ' + t.dataset.fidelity,"
        " [t.textContent.trim(), c.borderStyle, c.borderWidth, c.borderRadius, c.backgroundImage.slice(0, 9),"
        " c.boxShadow === 'none', c.backgroundColor === 'rgba(0, 0, 0, 0)'].join('|')]; }))"
    )
    assert {name.split()[0] for name in looks} == {"passed", "failed", *STATES}
    assert {name.split()[1] for name in looks if name.startswith("passed")} == {
        "contract",
        "emulated",
        "real",
        "vendor",
    }
    assert len(set(looks.values())) == len(looks), looks
    label = page.run(f"document.querySelector('[data-case={FAILED}]').getAttribute('aria-label')")
    assert label == "postgres to kafka, full_refresh: failed, real"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(page: Page, scheme: str) -> None:
    everything(page)
    page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    least = page.run(
        """(() => {
          const light = (c) => { const [r, g, b] = c.match(/[0-9.]+/g).map(Number).map(v => { v /= 255;
            return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
            return .2126 * r + .7152 * g + .0722 * b; };
          const ground = getComputedStyle(document.body).backgroundColor;
          const nodes = [...document.querySelectorAll('.matrix .tile:not(.none), h1, .verdict, .dim, th, td')];
          return Math.min(...nodes.map(n => { const c = getComputedStyle(n);
            const back = c.backgroundColor === 'rgba(0, 0, 0, 0)' ? ground : c.backgroundColor;
            const [a, b] = [light(c.color), light(back)].sort((x, y) => y - x); return (a + .05) / (b + .05); }));
        })()"""
    )
    page.send("Emulation.setEmulatedMedia", features=[])
    assert least >= 4.5


def test_filters_show_what_was_asked_for(page: Page) -> None:
    everything(page)
    choose(page, state="failed")
    assert shown(page) == 1
    assert page.run("document.getElementById('shown').textContent") == "1 of 200 cases shown"
    choose(page, state="*", source="postgres")
    assert shown(page) == 4 * 10 + 7  # every strategy to four tables, seven to a topic
    choose(page, sink="kafka", strategy="cdc")
    assert shown(page) == 1
    choose(page, state="failed")
    assert shown(page) == 0
    page.run("document.querySelector('form.filters button[type=reset]').click()")
    page.run("new Promise(done => setTimeout(done, 50))")
    assert shown(page) == 200


def test_the_matrix_is_walked_and_opened_by_keys(page: Page) -> None:
    everything(page)
    page.run("document.querySelector('.matrix button.tile[tabindex=\"0\"]').focus()")
    focus = "document.activeElement.dataset.case"
    assert page.run(focus) == "postgres_to_mssql__full_refresh" or page.run(focus).startswith("postgres_to_")
    page.press("ArrowRight", 39)
    assert page.run(focus).endswith("__incremental_append")
    first = page.run(focus)
    page.press("ArrowDown", 40)
    assert page.run(focus) != first
    page.press("ArrowUp", 38)
    page.press("ArrowLeft", 37)
    assert page.run(focus).endswith("__full_refresh")
    page.press("Enter", 13, "\r")
    assert page.run("document.querySelector('dialog').open") is True
    assert page.run("document.querySelector('dialog h2').textContent").endswith("__full_refresh")
    page.press("Escape", 27)
    assert page.run("document.querySelector('dialog').open") is False
    assert page.run(focus).endswith("__full_refresh")
    assert page.run("document.querySelectorAll('.matrix button.tile[tabindex=\"0\"]').length") == 1


def test_a_click_shows_the_case_as_text(page: Page) -> None:
    everything(page)
    page.run(f"document.querySelector('[data-case={FAILED}]').click()")
    said = page.run("document.querySelector('dialog').textContent")
    assert EVIL in said
    assert f"certification-run --case-id {FAILED}" in said
    assert "first_load" in said
    assert "9999" in said or "10000" in said
    assert page.run("document.querySelectorAll('dialog img, dialog script').length") == 0
    everything(page)


def test_it_ran_nothing_loaded_nothing_and_complained_of_nothing(page: Page) -> None:
    assert page.run("typeof window.pwned") == "undefined"
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("file:", "about:"))] == []


def test_the_policy_lets_nothing_else_run(page: Page) -> None:
    page.run("(() => { const s = document.createElement('script'); s.textContent = 'window.pwned = 1';"
             " document.body.append(s); })()")  # fmt: skip
    page.run("(() => { const i = document.createElement('img'); i.src = 'https://example.org/a.png';"
             " document.body.append(i); })()")  # fmt: skip
    page.run("new Promise(done => setTimeout(done, 100))")
    assert page.run("typeof window.pwned") == "undefined"
    assert any("Content Security Policy" in c for c in page.complaints)
    page.complaints.clear()


def test_a_release_shows_its_chains(world: World, page: Page) -> None:
    assert run(*summary("--public-key", str(world.public))) == 0
    page.open(world / "test_artifacts/release/release_summary.html")
    assert page.run("document.querySelector('main').firstElementChild.textContent").startswith("Signatures verified")
    assert page.run("document.querySelectorAll('.chains svg').length") == 3
    assert "v1" in page.run("document.querySelector('.chains svg').getAttribute('aria-label')")
    assert shown(page) == 200
    assert page.complaints == []


def test_the_page_is_one_file_with_a_policy(tmp_path: Path) -> None:
    text = html_of(report())
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")
    assert EVIL not in text
    assert " on" not in {word[:3] for word in text.split("<") if "onclick" in word}
