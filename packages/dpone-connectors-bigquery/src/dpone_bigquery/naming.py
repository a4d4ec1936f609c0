"""Names of tables: the target's, and those of what dpone keeps beside it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace

from dpone.names import print_name
from dpone_bigquery.dialect import BIGQUERY

if TYPE_CHECKING:
    from google.cloud import bigquery

# Stages and shadows say of which target they are, so that they are their own ledger.
LEFTOVER = re.compile(r"_dpone_([0-9a-f]{16})_(raw|live|dead|present|shadow)_[0-9a-f]{12}(_[0-9a-f]{12}){0,2}")


class Name(Struct, frozen=True):
    project: str
    dataset: str
    table: str

    @property
    def sql(self) -> str:
        """As statements hold it."""
        return BIGQUERY.table((self.project, self.dataset, self.table))

    @property
    def reference(self) -> bigquery.TableReference:
        from google.cloud import bigquery

        return bigquery.TableReference(bigquery.DatasetReference(self.project, self.dataset), self.table)

    @property
    def digest(self) -> str:
        """What stands for the table in the names of its stages, shadows and its lease."""
        return hashlib.sha256(f"{self.project}\0{self.dataset}\0{self.table}".encode()).hexdigest()[:16]

    def named(self, table: str) -> Name:
        """Another table of the same dataset."""
        return replace(self, table=table)

    def beside(self, part: str, mark: str) -> Name:
        """A table of dpone's own for this target."""
        return self.named(f"_dpone_{self.digest}_{part}_{mark}")

    def __str__(self) -> str:
        return print_name((self.dataset, self.table))


def new_mark() -> str:
    """What tells the tables of one stage or publication from those of another."""
    return uuid4().hex[:12]
