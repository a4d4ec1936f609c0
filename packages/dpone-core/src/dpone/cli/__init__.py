"""The command `dpone`: every subcommand is a module of its own, imported when it is called."""

from __future__ import annotations

from dpone.cli.root import console, main

__all__ = ["console", "main"]
