"""Turns a run of bench_peers.py into a Markdown table with ratios and a plot of time per iteration against rows.

python -m pytest bench/bench_peers.py --benchmark-json peers.json
python bench/report.py peers.json bench/results
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

OURS = "nn_backend compiled"
STYLES = {"float64": "-", "float32": "--"}
MARKERS = "osD^vx"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path, help="what --benchmark-json wrote")
    parser.add_argument("folder", type=Path, help="where peers.md and peers.svg go")
    args = parser.parse_args()
    run = json.loads(args.json.read_text())
    medians = read_medians(run)
    args.folder.mkdir(parents=True, exist_ok=True)
    (args.folder / "peers.md").write_text(print_table(run, medians))
    plot(medians, args.folder / "peers.svg")


def read_medians(run: dict[str, Any]) -> dict[tuple[str, str, int], float]:
    """Give seconds per iteration (median of the rounds) by contender, dtype and rows."""
    medians = {}
    for benchmark in run["benchmarks"]:
        info = benchmark["extra_info"]
        seconds = benchmark["stats"]["median"] / info["iterations"]
        medians[info["contender"], info["dtype"], info["rows"]] = seconds
    return medians


def print_table(run: dict[str, Any], medians: dict[tuple[str, str, int], float]) -> str:
    """Give the table: time per iteration, and how many times that of our compiled engine it is."""
    contenders = list(dict.fromkeys(contender for contender, _, _ in medians))
    info = run["benchmarks"][0]["extra_info"]
    versions = ", ".join(f"{name} {version}" for name, version in info["versions"].items())
    machine = run["machine_info"]
    cpu = machine["cpu"]
    vectors = next((name for name in ("avx512f", "avx2", "asimd") if name in cpu.get("flags", ())), "no wide")
    lines = [
        f"Measured on {run['datetime'][:10]} on {cpu['count']} cores of a server CPU ({cpu['arch'].lower()}, "
        f"{vectors} vectors), Python {machine['python_version']}, {versions}.",
        "",
        "Median time per iteration of a 3-4-1 network, and in brackets how many times that of the compiled engine.",
        "",
        f"| rows | dtype | {' | '.join(contenders)} |",
        f"|---|---|{'---|' * len(contenders)}",
    ]
    for rows in sorted({rows for _, _, rows in medians}):
        for dtype in STYLES:
            ours = medians[OURS, dtype, rows]
            cells = []
            for contender in contenders:
                seconds = medians.get((contender, dtype, rows))
                ratio = "" if seconds is None or contender == OURS else f" ({seconds / ours:.1f})"
                cells.append("" if seconds is None else f"{print_seconds(seconds)}{ratio}")
            lines.append(f"| {rows:,} | {dtype} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def print_seconds(seconds: float) -> str:
    """Give a time in three digits with a fitting unit."""
    factor, unit = (1e6, "µs") if seconds < 1e-3 else (1e3, "ms")
    return f"{seconds * factor:.3g} {unit}"


def plot(medians: dict[tuple[str, str, int], float], path: Path) -> None:
    """Draw time per iteration against rows, both logarithmic; readable in black and white."""
    mpl.rcParams["svg.hashsalt"] = "nn_backend"  # the same file for the same figures
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    contenders = list(dict.fromkeys(contender for contender, _, _ in medians))
    for number, contender in enumerate(contenders):
        for dtype, style in STYLES.items():
            points = sorted(
                (rows, seconds) for (c, d, rows), seconds in medians.items() if (c, d) == (contender, dtype)
            )
            axes.loglog(
                [rows for rows, _ in points],
                [seconds * 1e6 for _, seconds in points],
                style,
                color=f"C{number}",
                marker=MARKERS[number],
                markersize=5,
                label=f"{contender}, {dtype}",
            )
    axes.set_xlabel("rows (examples)")
    axes.set_ylabel("time per iteration (µs)")
    axes.set_title("One iteration of full-batch gradient descent, 3-4-1 network")
    axes.grid(visible=True, which="major", alpha=0.4)
    axes.legend(fontsize=7, ncols=2)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
