"""Measures how training behaves where it is not alone: ``python bench/manners.py [busy] [interrupts] [forks] [first]``.

``busy``: two threads beside busy processes, as a ratio to one thread. ``interrupts``: 10,000 of them at random moments
inside of `fit`, on both engines and one to four threads. ``forks``: 50 while another thread compiles. ``first``: the
first fit of a fresh process, without and with machine code on disk, and what 200 sizes keep. Linux.
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


def interrupts() -> None:
    """Interrupt fits until 10,000 interrupts are done; one that hangs is ended by the alarm's default action."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    X, y = nn.simulate_marks(2_000, seed=1)
    random.seed(0)
    count = calls = 0
    while count < 10_000:
        options = {"threads": random.randint(1, 4), "engine": random.choice(["compiled", "eager"])}
        iterations = 4_000 if options["engine"] == "compiled" else 40
        calls += 1
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 4e-3))
            try:
                count += nn.fit(X, y, START, iterations=iterations, **options).interrupted
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:  # outside of the iterations
            count += 1
    reached = {nn.fit(X, y, START, iterations=50, threads=threads).params.w1.tobytes() for threads in (1, 2, 3, 4)}
    print(f"{count} interrupts of {calls} fits, none hung; the bits afterwards are {'equal' * (len(reached) == 1)}")


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


WHAT: dict[str, Callable[[], None]] = {"busy": busy, "interrupts": interrupts, "forks": forks, "first": first}

if __name__ == "__main__":
    for name in sys.argv[1:] or WHAT:
        WHAT[name]()
