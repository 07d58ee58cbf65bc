"""Sweeps by workers elsewhere: the same bytes as here, whoever is killed in the middle."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nn_backend import cluster, many
from nn_backend.commands import sweep

dask = pytest.importorskip("dask", reason="needs the extra cluster")
distributed = pytest.importorskip("distributed", reason="needs the extra cluster")

DASK = logging.getLogger("distributed.client")
TYPED = "--seeds 300 --hidden 2,4 --iterations 60 --best 3"


@pytest.fixture(scope="module")
def scheduler() -> Iterator[distributed.LocalCluster]:
    """A cluster of two processes on this machine."""
    processes = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    waits = dask.config.set({"distributed.comm.timeouts.connect": "2s"})  # for a worker that is no more
    with waits, distributed.LocalCluster(**processes) as running:
        yield running


@pytest.mark.skipif(os.name != "posix", reason="kills a worker by a signal")
def test_a_worker_that_is_killed_changes_no_byte(run_main, folder, monkeypatch, scheduler):
    with distributed.Client(scheduler, set_as_default=False) as client:
        process = next(iter(client.run(os.getpid).values()))
    seen: list[float] = []

    @contextmanager
    def killing(unit: str):
        def show(done: float, total: int) -> None:
            if not seen:
                os.kill(process, signal.SIGKILL)
                assert not DASK.isEnabledFor(logging.ERROR)  # which would write tracebacks
            seen.append(done)

        yield show

    monkeypatch.setattr(sweep, "progress_bar", killing)
    monkeypatch.setattr(many, "WORK", 1)
    address = scheduler.scheduler_address
    there = run_main(sweep.main, *TYPED.split(), *f"--cluster {address} --save there --csv there.csv".split())
    assert (there.code, there.err) == (0, f"cluster {address}: 2 workers\n")
    assert DASK.isEnabledFor(logging.ERROR)
    assert (len(seen), seen[-1]) == (60, 600)  # ten networks a task
    monkeypatch.setattr(sweep, "progress_bar", lambda unit: contextmanager(lambda: iter([None]))())
    here = run_main(sweep.main, *TYPED.split(), *["--save", "here", "--csv", "here.csv"])
    assert Path("there").read_bytes() == Path("here").read_bytes()
    assert Path("there.csv").read_bytes() == Path("here.csv").read_bytes()
    assert there.out.splitlines()[:-1] == here.out.splitlines()[:-1]  # but for the seconds


def test_a_scheduler_that_does_not_answer_is_one_line(run_main, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.3)
    done = run_main(sweep.main, "--cluster", "tcp://127.0.0.1:1")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: no Dask scheduler answers at tcp://127.0.0.1:1: Timed out")
    assert done.err.count("\n") == 1
