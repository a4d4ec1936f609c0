"""Under which account a server runs that refuses to run as root."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import TypedDict

from msgspec import Struct

from dpone.errors import UsageError


class RunAs(TypedDict, total=False):
    """The keyword arguments of subprocess that change the account; empty: keep ours."""

    user: int
    group: int
    extra_groups: list[int]


class Account(Struct, frozen=True):
    uid: int
    gid: int

    def run_as(self) -> RunAs:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_reach(self, directory: Path) -> bool:
        """Every directory on the way lets this account pass, by the permission bits for others."""
        return all(part.stat().st_mode & stat.S_IXOTH for part in (directory, *directory.parents))


def unprivileged() -> Account | None:
    """The account to drop to, or None where we are no root and need not."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise UsageError(
            "running as root, and this system has no account 'nobody' to run the server as",
            code="service.no_account",
            hint="create the account, or run as an ordinary user",
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)
