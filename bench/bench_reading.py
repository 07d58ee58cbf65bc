"""How fast a large table is read, and in how much memory: 2 GB of CSV, 30 columns of numbers and a class.

    python -m pytest bench/bench_reading.py

Each measurement is a process of its own. The peak is what it needs beyond what it needed before, over the size of the
features, 8 bytes for each number. Beside `load_table` stand DuckDB alone, which adds the columns up, and ``train`` as
a whole, one iteration of it. The file has been read before, so that it comes from memory. Linux.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COLUMNS = 30
# Prints seconds, and the peak in kB beyond what was there before.
MEASURED = """
import json, resource, sys, time
import duckdb, pandas
import nn_backend as nn
from nn_backend.commands import train

path = sys.argv[1]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
{statement}
seconds = time.perf_counter() - began
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""
STATEMENTS = {
    "DuckDB alone": "duckdb.sql(f\"SELECT sum(COLUMNS(*)) FROM read_csv('{path}')\").fetchall()",
    "load_table": "nn.load_table(path)",
    "train, 1 iteration": "train.main(['--data', path, '--iterations', '1'])",
}


def write_table(path: Path, rows: int) -> None:
    """Write numbers of 12 to 17 characters."""
    import duckdb

    columns = ", ".join(f"round(random() * 2000 - 1000, {8 + k % 6}) AS x{k}" for k in range(COLUMNS))
    duckdb.sql(f"COPY (SELECT {columns}, CAST(random() > 0.5 AS INT) AS y FROM range({rows})) TO '{path}' (FORMAT csv)")


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are measured as Linux counts them")
def test_reading(request: pytest.FixtureRequest, closing_lines: list[str], tmp_path: Path) -> None:
    rows = 10_000 if request.config.getoption("smallest") else 4_300_000
    path = tmp_path / "table.csv"
    write_table(path, rows)
    size, features = path.stat().st_size, rows * COLUMNS * 8
    closing_lines.append(f"reading {size / 1e9:.2f} GB of CSV, {rows} rows, features {features / 1e9:.2f} GB:")
    try:
        for name, statement in STATEMENTS.items():
            command = [sys.executable, "-c", MEASURED.format(statement=statement), str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds, peak = json.loads(done.stdout.splitlines()[-1])
            closing_lines.append(
                f"  {name}: {seconds:.1f} s, {size / 1e6 / seconds:.0f} MB/s, peak {peak * 1024 / features:.2f}"
            )
    finally:
        path.unlink()  # pytest keeps the folder
