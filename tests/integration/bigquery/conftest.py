from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.pipelines import Services, running


@pytest.fixture(scope="package")
def services() -> Iterator[Services]:
    with running() as endpoint:
        yield endpoint
