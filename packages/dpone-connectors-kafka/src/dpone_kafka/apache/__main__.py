"""`python -m dpone_kafka.apache` fetches Apache's jars, if they are not here, and says where they are."""

from __future__ import annotations

import sys

from dpone.errors import DponeError
from dpone_kafka.apache import jars


def main() -> int:
    try:
        jars.java()
        folder = jars.jars()
    except DponeError as error:
        print(f"{error}\n{error.hint or ''}".rstrip(), file=sys.stderr)  # noqa: T201 - what a person reads
        return error.exit_code
    print(folder)  # noqa: T201 - likewise
    return 0


if __name__ == "__main__":
    sys.exit(main())
