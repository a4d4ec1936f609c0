"""`python -m dpone_rest.mock PORT` serves until it is ended; its bearer token is in DPONE_MOCK_TOKEN."""

from __future__ import annotations

import os
import signal
import sys

from dpone_rest.mock.guard import Credentials
from dpone_rest.mock.server import MockApi, serving


def main() -> None:
    token = os.environ.get("DPONE_MOCK_TOKEN", "")
    credentials = Credentials("bearer", secret=token) if token else Credentials()
    with serving(MockApi(credentials), int(sys.argv[1])) as api:
        print(f"serving {api.url}", flush=True)  # noqa: T201 - what the launcher waits for
        signal.pause()


if __name__ == "__main__":
    main()
