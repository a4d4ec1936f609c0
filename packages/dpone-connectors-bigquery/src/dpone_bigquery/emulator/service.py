"""The emulator as a service of tests: a child process that ends with its parent."""

from __future__ import annotations

import os
import sys
from urllib.error import URLError
from urllib.request import Request, urlopen

from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.launched import Launch, LaunchedService
from dpone.testing.services.launcher import Command
from dpone.testing.services.ports import LOOPBACK, free_port
from dpone.testing.services.scratch import Scratch

PROJECT = "dpone-emulated"
DATASET = "dpone"


class EmulatedBigQuery(LaunchedService):
    """`with EmulatedBigQuery() as endpoint:` an emulator with one empty dataset, named in `endpoint.database`."""

    kind = "bigquery"

    def prepare(self, scratch: Scratch) -> Launch:
        folder = scratch.path / "data"
        folder.mkdir(mode=0o700, exist_ok=True)
        port = free_port()
        command = Command(
            (sys.executable, "-m", "dpone_bigquery.emulator", str(folder), str(port)),
            directory=folder,
            log=scratch.path / "server.log",
            environment={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(folder)},
            keep=(scratch.lock,),
        )
        endpoint = Endpoint(
            connector="bigquery",
            host=LOOPBACK,
            ports={"http": port},
            provider=Provider.EMULATED,
            fidelity=Fidelity.EMULATED,
            database=DATASET,
            extra={"project": PROJECT},
        )
        return Launch(command, lambda _: _has_dataset(port), endpoint)


def _has_dataset(port: int) -> bool:
    """It answers, and has its dataset."""
    address = f"http://{LOOPBACK}:{port}/bigquery/v2/projects/{PROJECT}/datasets"
    body = f'{{"datasetReference": {{"projectId": "{PROJECT}", "datasetId": "{DATASET}"}}}}'.encode()
    try:
        urlopen(Request(address, data=body, method="POST"), timeout=5.0).close()
    except URLError as error:
        return getattr(error, "code", None) == 409  # noqa: PLR2004 - it has one already
    except TimeoutError:
        return False  # on a busy machine the first answer takes its time
    return True
