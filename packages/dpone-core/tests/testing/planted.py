"""Bugs that can be planted in the store in memory, each a testkit of that name whose connector has it.

`pytest --pyargs dpone.testing.suite --testkit planted:memory_with_upsert_ignores_null`. Asking for the name plants the
bug in this process, for good; so each runs in a process of its own.
"""

from __future__ import annotations

from typing import Any

import planted_operations
import planted_publication
import planted_source
import planted_staging
from planting import PLANTS, kits

ALL = (planted_operations, planted_staging, planted_publication, planted_source)


def __getattr__(name: str) -> Any:
    name = name.removeprefix("memory_with_")
    if name not in PLANTS:
        raise AttributeError(name)
    bug, _, publishes = PLANTS[name]
    bug()
    return kits.publish_testkit if publishes else kits.testkit
