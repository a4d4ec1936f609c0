"""dpone moves data by declared strategies, proves what landed, and turns the proof into evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpone.api import preview as preview
    from dpone.api import run as run

__all__ = ["__version__", "preview", "run"]


def __getattr__(name: str) -> Any:
    # lazily: `import dpone` must stay cheap, for `dpone --help` and for connectors' declarations
    if name in {"preview", "run"}:
        from dpone import api

        return getattr(api, name)
    if name == "__version__":
        from importlib.metadata import version

        return version("dpone-core")
    raise AttributeError(name)
