"""The directory below which all services of this machine live, each under an account of its own."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from dpone.testing.services.account import Account
from dpone.testing.services.scratch import scratch_root


def test_a_service_that_keeps_its_account_does_not_lock_out_one_that_dropped_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(Account, "can_reach", lambda *_: True)
    for account in (Account(65534, 65534), None):
        assert stat.S_IMODE(scratch_root(account).stat().st_mode) == 0o711
