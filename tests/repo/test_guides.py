"""The 25 guides are what the declarations and the authors' own words make them, and the wheel's index names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpone import registry
from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
from dpone_certify.guides import digest_of, index, page_name
from dpone_certify.guides.__main__ import pages
from dpone_certify.guides.pages import NOTES, render
from dpone_certify.guides.sections import parse

GUIDES = Path(__file__).parents[2] / "docs/how-to"
MAKE = "python -m dpone_certify.guides docs/how-to"
MADE = pages(GUIDES)


def test_every_pair_has_a_page() -> None:
    assert MADE.keys() == {page_name(*pair) for pair in DEFAULT_INTEGRATION_MATRIX.pairs} == index().keys()


@pytest.mark.parametrize("name", MADE)
def test_the_page_is_what_it_is_made_of(name: str) -> None:
    assert (GUIDES / name).read_text("utf-8") == MADE[name], MAKE
    assert index()[name] == digest_of(MADE[name]), MAKE


def test_notes_written_by_hand_are_kept() -> None:
    end = registry.load("postgres")
    page = render(end, end, notes="Mind the gap.\n")
    kept = NOTES.search(page)
    assert kept is not None
    assert kept[1] == "Mind the gap.\n"


def test_a_file_is_cut_at_its_headings() -> None:
    found = parse(
        "# Name\n\n## source\n\n```yaml\n{a: 1}\n```\n\nWords.\n\n### More\n\nOf them.\n\n## sink\n\nOther.\n"
    )
    assert found.title == "Name"
    assert found["source"].blocks == ("{a: 1}",)
    assert found["source"].words == "Words.\n\n### More\n\nOf them."
    assert found["sink"].words == "Other."
    assert found["absent"].words == ""
