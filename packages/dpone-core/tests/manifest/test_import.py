"""What importing the manifest may cost."""

from __future__ import annotations

import subprocess
import sys


def test_the_manifest_needs_neither_pyarrow_nor_a_driver() -> None:
    program = (
        "import sys, dpone.manifest, dpone.manifest.schema\n"
        "heavy = {'pyarrow', 'psycopg', 'pyodbc', 'mssql_python', 'clickhouse_driver', 'confluent_kafka'}\n"
        "heavy |= {'google.cloud', 'requests', 'keyring', 'click', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
