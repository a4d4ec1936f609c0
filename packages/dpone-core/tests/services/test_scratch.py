"""The directory below which all services of this machine live, each under an account of its own."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from dpone.testing.services.account import Account
from dpone.testing.services.scratch import scratch_root


@pytest.mark.parametrize("euid, mode", [pytest.param(0, 0o711, id="root"), pytest.param(1, 0o700, id="user")])
def test_a_service_that_keeps_its_account_does_not_lock_out_one_that_dropped_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, euid: int, mode: int
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(Account, "can_reach", lambda *_: True)
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    tmp_path.joinpath(f"dpone-services-{euid}").mkdir()
    if os.getuid() == 0:
        os.chown(tmp_path / f"dpone-services-{euid}", euid, -1)
    elif owner != euid:
        pytest.skip("only root can play another account")
    dropped = Account(65534, 65534) if euid == 0 else None
    for account in (dropped, None, dropped):
        assert stat.S_IMODE(scratch_root(account).stat().st_mode) == mode
