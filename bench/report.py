"""Turns a run of bench_peers.py into a Markdown table with ratios and a plot of time per iteration against rows.

python -m pytest bench/bench_peers.py --benchmark-json peers.json
python bench/report.py peers.json bench/results
"""

import argparse
import json
from pathlib import Path
from typing import Any

from nn_backend.plots import plot_times
from nn_backend.timings import format_seconds

OURS = "nn_backend compiled"
DTYPES = ("float64", "float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path, help="what --benchmark-json wrote")
    parser.add_argument("folder", type=Path, help="where peers.md and peers.svg go")
    args = parser.parse_args()
    run = json.loads(args.json.read_text())
    args.folder.mkdir(parents=True, exist_ok=True)
    for backend in dict.fromkeys(benchmark["extra_info"]["backend"] for benchmark in run["benchmarks"]):
        medians = read_medians(run, backend)
        name = "peers" if backend == "numpy" else "peers-gpu"
        (args.folder / f"{name}.md").write_text(print_table(run, medians, backend))
        lines: dict[str, list[tuple[int, float]]] = {}
        for (contender, dtype, rows, networks), seconds in sorted(medians.items()):
            if networks == 1:
                lines.setdefault(f"{contender}, {dtype}", []).append((rows, seconds))
        plot_times(args.folder / f"{name}.svg", lines, "One iteration of full-batch gradient descent, 3-4-1 network")


def read_medians(run: dict[str, Any], backend: str) -> dict[tuple[str, str, int, int], float]:
    """Give seconds per iteration of a network (median of the rounds) by contender, dtype, rows and networks."""
    medians = {}
    for benchmark in run["benchmarks"]:
        info = benchmark["extra_info"]
        if info["backend"] == backend:
            seconds = benchmark["stats"]["median"] / info["iterations"] / info["networks"]
            medians[info["contender"], info["dtype"], info["rows"], info["networks"]] = seconds
    return medians


def print_table(run: dict[str, Any], medians: dict[tuple[str, str, int, int], float], backend: str) -> str:
    """Give the table: time per iteration, and how many times that of our compiled engine it is."""
    contenders = list(dict.fromkeys(contender for contender, *_ in medians))
    info = next(b["extra_info"] for b in run["benchmarks"] if b["extra_info"]["backend"] == backend)
    versions = ", ".join(f"{name} {version}" for name, version in info["versions"].items())
    if "blas" in info:
        versions += f", BLAS {info['blas']}"
    machine = run["machine_info"]
    cpu = machine["cpu"]
    vectors = next((name for name in ("avx512f", "avx2", "asimd") if name in cpu.get("flags", ())), "no wide")
    device = f"{cpu['count']} cores of a server CPU ({cpu['arch'].lower()}, {vectors} vectors)"
    if backend != "numpy":
        device = info["device"]
    lines = [
        f"Measured on {run['datetime'][:10]} on {device}, Python {machine['python_version']}, {versions}.",
        "",
        "Median time per iteration of a 3-4-1 network, and in brackets how many times that of the compiled engine. Of",
        "many networks trained in one run, it is the time of one.",
        "",
        f"| rows | dtype | {' | '.join(contenders)} |",
        f"|---|---|{'---|' * len(contenders)}",
    ]
    for networks, rows in sorted({(networks, rows) for *_, rows, networks in medians}):
        together = f" × {networks:,} networks" if networks > 1 else ""
        for dtype in DTYPES:
            ours = medians[OURS, dtype, rows, networks]
            cells = []
            for contender in contenders:
                seconds = medians.get((contender, dtype, rows, networks))
                ratio = "" if seconds is None or contender == OURS else f" ({seconds / ours:.1f})"
                cells.append("" if seconds is None else f"{format_seconds(seconds)}{ratio}")
            lines.append(f"| {rows:,}{together} | {dtype} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
