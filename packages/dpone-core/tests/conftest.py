from __future__ import annotations

from dpone.testing.fixtures import dpone, shop

__all__ = ["dpone", "shop"]
