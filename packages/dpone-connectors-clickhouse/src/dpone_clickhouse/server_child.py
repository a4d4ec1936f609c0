"""The process that a ClickHouse server lives in: `python server_child.py <directory of _chdb> <data directory>`.

The wheel chdb-core holds the whole engine as an extension module. Its low-level `query` runs clickhouse-local, which
reads `config.xml` of the working directory and, since 26.5, opens the native and the HTTP port when it is told to. The
last statement never ends, so neither does the process, until a signal ends it: parts are atomic on disk.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import os
import sys

_RTLD_DEEPBIND = 0x8  # as chdb itself loads it: its own symbols come first

SCRIPT = (
    "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; "
    "SELECT count() FROM numbers(1000000000) WHERE NOT ignore(sleepEachRow(1)) "
    "SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0 FORMAT Null"
)


def serve(directory: str, data: str) -> None:
    """A server answers until it is killed; an error is said and ends the process."""
    names = sorted(os.listdir(directory))  # noqa: PTH208 - pathlib costs more than the rest of this start
    found = next(name for name in names if name.startswith("_chdb") and name.endswith(".so"))
    library = os.path.join(directory, found)  # noqa: PTH118 - likewise
    home = os.getcwd()  # noqa: PTH109 - likewise
    os.chdir(directory)
    if sys.platform == "linux":
        ctypes.CDLL(library, mode=sys.getdlopenflags() | _RTLD_DEEPBIND)
    spec = importlib.util.spec_from_loader("_chdb", importlib.machinery.ExtensionFileLoader("_chdb", library))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    os.chdir(home)
    module.set_signal_handlers_enabled(0)  # SIGTERM ends us as it ends any process
    module.query(SCRIPT, "TabSeparated", path=data)


if __name__ == "__main__":
    serve(*sys.argv[1:])
