"""Measures how training behaves where it is not alone: ``python bench/manners.py [busy] [interrupts] [commands] ...``.

``busy``: two threads beside busy processes, as a ratio to one thread. ``interrupts``: 10,000 of them at random moments
inside of `fit`, on both engines, and of `fit_many`, on one to four threads. ``commands``: 5,000 signals at random
moments of whole commands. ``kills``: 300 while a file is written. ``forks``: 50 while another thread compiles.
``first``: the first fit of a fresh process, without and with machine code on disk, and what 200 sizes keep. Linux.
Behind ``commands=`` and ``interrupts=`` may stand another number.
"""

import faulthandler
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import nn_backend as nn

START = nn.init_params(3, 4)


def busy() -> None:
    """Print microseconds an iteration on one thread and on two, medians of nine fits in turn."""
    cases = {2_048: 2_000, 5_000: 1_000, 50_000: 150}
    data = {rows: nn.simulate_marks(rows) for rows in cases}
    print("busy processes, rows: us on 1 thread, on 2, ratio")
    for count in (0, 1, 2, 4):
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
        try:
            time.sleep(0.3)
            for rows, iterations in cases.items():
                taken: dict[int, list[float]] = {1: [], 2: []}
                for _ in range(9):
                    for threads in taken:
                        fitted = nn.fit(*data[rows], START, iterations=iterations, threads=threads, log_every=10**9)
                        taken[threads].append(fitted.seconds / iterations * 1e6)
                one, two = map(statistics.median, taken.values())
                print(f"{count}, {rows}: {one:.1f} {two:.1f} {two / one:.2f}", flush=True)
        finally:
            for other in others:
                other.kill()
                other.wait()


def interrupts(wanted: int = 10_000) -> None:
    """Interrupt fits until so many interrupts are done; one that hangs is ended by the alarm's default action."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    X, y = nn.simulate_marks(2_000, seed=1)
    nn.fit_many(X, y, iterations=1)  # imports pandas, which an interrupt leaves half imported
    random.seed(0)
    count = calls = 0

    def is_interrupted(kind: str, threads: int) -> bool:
        if kind == "many":
            found = nn.fit_many(X, y, {"seed": range(60)}, iterations=1_000, tol=0, threads=threads)
            return (found.table["status"] == "interrupted").any()
        iterations = 4_000 if kind == "compiled" else 40
        return nn.fit(X, y, START, iterations=iterations, engine=kind, threads=threads).interrupted

    while count < wanted:
        calls, kind = calls + 1, random.choice(["compiled", "eager", "many"])
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 3e-2 if kind == "many" else 4e-3))
            try:
                count += is_interrupted(kind, random.randint(1, 4))
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:  # outside of the iterations
            count += 1
    reached = {nn.fit(X, y, START, iterations=50, threads=threads).params.w1.tobytes() for threads in (1, 2, 3, 4)}
    print(
        f"{count} interrupts of {calls} calls, none hung; {threading.active_count()} thread is left; "
        f"the bits afterwards are {'equal' * (len(reached) == 1)}"
    )


COMMANDS = (
    "train --iterations 3000 --log-every 1000 --save out",
    "train --json --data simulated:20000 --iterations 40 --threads 2 --save out",
    "train --data simulated:5000 --iterations 20 --engine eager --checkpoint out --checkpoint-every 0",
    "predict --model model --data - --output out.csv",
    "explain --iterations 3 --json",
    "compare --rows 20,50",
    "sweep --hidden 2,3,4 --seeds 40 --iterations 200 --tol 0 --save out",
)
EXPECTED = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def commands(wanted: int = 5_000) -> None:
    """Signal commands at random moments from their start to their end, and count what should not have happened."""
    random.seed(wanted)  # so that runs of other lengths try other moments
    faults: dict[str, int] = {}
    lasts: dict[str, float] = {}
    early = ended = sent = turn = 0
    table = "x1,x2,x3\n" + "11,12,13\n" * 20_000

    def count(fault: str, *what: object) -> None:
        faults[fault] = faults.get(fault, 0) + 1
        print(fault, *what, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("temporary").mkdir()
        Path("table.csv").write_text(table)
        nn.save("model", nn.Model(START, features=("x1", "x2", "x3")))
        environment = {**os.environ, "TMPDIR": f"{folder}/temporary", "XDG_CACHE_HOME": f"{folder}/cache"}
        environment["PYTHONFAULTHANDLER"] = "1"  # by which one that hangs says where
        while sent < wanted:
            turn += 1
            for name in ("out", "out.csv"):
                Path(name).unlink(missing_ok=True)
            typed = COMMANDS[turn % len(COMMANDS)]
            began, number = time.perf_counter(), random.choice([signal.SIGINT, signal.SIGINT, *EXPECTED])
            with (
                Path("table.csv").open() as given,
                subprocess.Popen(
                    [sys.executable, "-m", "nn_backend", *typed.split()],
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env=environment,
                ) as process,
            ):
                if typed in lasts:
                    time.sleep(random.uniform(0, lasts[typed]))
                    late = process.poll() is not None
                    lasts[typed] *= 0.95 if late else 1.01
                    sent += not late
                    if not late and sent % 500 == 0:
                        print(f"{sent} signals, {ended} ended the command, faults {faults}", flush=True)
                    process.send_signal(number)
                try:
                    out, err = process.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGABRT)
                    count("hung", typed, number, *process.communicate())
                    continue
            if turn <= 2 * len(COMMANDS):
                if turn > len(COMMANDS):  # the first time, kernels are compiled
                    lasts[typed] = time.perf_counter() - began
                continue
            if late:
                continue
            before = process.returncode == -number or ("KeyboardInterrupt" in err and "nn_backend" not in err)
            early += before  # than the package's first line
            ended += process.returncode == EXPECTED[number]
            if not before and process.returncode not in (0, EXPECTED[number]):
                count("wrong exit code", typed, process.returncode, err)
            if not before and err.count("\n") > 1:
                count("more than a line", typed, err)
            if "--save" in typed and ("\nb2 " in out or "\n     3000 " in out) and not Path("out").exists():
                count("lost network", typed)
            left = [*Path().glob(".*.tmp*"), *Path("temporary").iterdir()]
            if left:
                count("file left", typed, left)
                for path in left:
                    path.unlink()
    after = wanted - early - ended
    print(
        f"{wanted} signals: {early} before the first line, {ended} ended the command, {after} after its end: {faults}"
    )


KILLED = """
import sys
from pathlib import Path
from nn_backend.files import replacing
for version in range(1_000_000):
    with replacing(Path("out")) as file:
        for _ in range(16):
            file.write(version.to_bytes(8, "little") * 30_000)
"""


def kills() -> None:
    """Kill 300 processes while they write a file, and look what is there."""
    random.seed(0)
    torn = halves = most = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for _ in range(300):
            with subprocess.Popen([sys.executable, "-c", KILLED]) as process:
                time.sleep(0.6 + random.uniform(0, 0.5))
                process.kill()
            content = Path("out").read_bytes() if Path("out").exists() else b""
            torn += content != content[:8] * (16 * 30_000)
            left = len([*Path().iterdir()]) - Path("out").exists()
            halves, most = halves + left, max(most, left)
    print(f"300 kills: {halves} in the midst of a file, {torn} torn files, at most {most} left at a time")


def forks() -> None:
    """Fork 50 times while another thread compiles; each child fits."""
    X, y = nn.simulate_marks(50)
    stop = threading.Event()

    def compile_again_and_again() -> None:
        width = 0
        while not stop.is_set():
            width += 1
            nn.fit(X, y, nn.init_params(3, width), iterations=1, threads=1)

    other = threading.Thread(target=compile_again_and_again)
    other.start()
    failed = 0
    for _ in range(50):
        time.sleep(random.uniform(0.01, 0.1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            faulthandler.dump_traceback_later(20, exit=True)
            nn.fit(X, y, nn.init_params(3, 7), iterations=2)
            os._exit(0)
        failed += os.waitpid(child, 0)[1] != 0
    stop.set()
    other.join()
    print(f"50 forks while another thread compiles: {failed} hung or failed")


FIRST = """
import sys, time, numpy, pandas, nn_backend as nn
n0, n1 = map(int, sys.argv[1:])
X, y = numpy.random.default_rng(0).standard_normal((n0, 300)), numpy.ones((1, 300))
start = nn.init_params(n0, n1)
began = time.perf_counter()
nn.fit(X, y, start, iterations=1)
print(time.perf_counter() - began)
"""


def first() -> None:
    """Print the seconds of the first fit without and with machine code on disk, and MB kept after 200 sizes."""
    for sizes in ((3, 4), (30, 8), (30, 32), (784, 100)):
        cold, filled = [], []
        for _ in range(5):
            with tempfile.TemporaryDirectory() as folder:
                for taken in (cold, filled):
                    command = [sys.executable, "-c", FIRST, *map(str, sizes)]
                    environment = {**os.environ, "XDG_CACHE_HOME": folder}
                    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                    taken.append(float(done.stdout))
        print(f"{sizes}: empty {statistics.median(cold):.3f} s, filled {statistics.median(filled):.3f} s", flush=True)
    X, y = nn.simulate_marks(50)
    nn.fit(X, y, START, iterations=1)
    before = resident()
    for width in range(1, 201):
        nn.fit(X, y, nn.init_params(3, width), iterations=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"200 sizes keep {resident() - before:.0f} MB (peak of the process {peak:.0f} MB)")


def resident() -> float:
    """Return the megabytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


WHAT: dict[str, Callable[..., None]] = {
    "busy": busy,
    "interrupts": interrupts,
    "commands": commands,
    "kills": kills,
    "forks": forks,
    "first": first,
}

if __name__ == "__main__":
    for name, _, number in (argument.partition("=") for argument in sys.argv[1:] or WHAT):
        WHAT[name](*([int(number)] if number else []))
