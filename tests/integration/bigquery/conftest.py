from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.bigquery.pipelines import running


@pytest.fixture(scope="package")
def services() -> Iterator[Any]:
    with running() as endpoint:
        yield endpoint
