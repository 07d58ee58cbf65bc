"""Threads of this process that kernels share, and how far they can be counted on."""

import _thread
import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
REPORT_SECONDS = 0.1  # between reports of a thread that waits for others
FIRST_REST = 0.05  # seconds for which calls are left to one thread after threads were slower; doubled each time
LONGEST_REST = 1.0


class Worker:
    """A thread that does what it is given, once for each `begin`, until it is told to leave."""

    def __init__(self) -> None:
        self.id: int | None = None  # as the system knows it
        self._task: tuple[Callable[[int], None], int, Callable[[], None]] | None = None
        self._error: BaseException | None = None
        self._go, self._done = _thread.allocate_lock(), _thread.allocate_lock()
        self._go.acquire()
        self._done.acquire()
        _thread.start_new_thread(self._serve, ())

    def begin(self, work: Callable[[int], None], number: int, release: Callable[[], None]) -> None:
        """Have it call ``work`` with its number; where that fails, ``release`` lets those go who wait for it."""
        self._task, self._error = (work, number, release), None
        self._go.release()

    def finish(self) -> None:
        """Wait until it is done."""
        self._done.acquire()
        if self._error is not None:
            raise self._error

    def leave(self) -> None:
        """Have it end when it is done, without being waited for."""
        self._task = None
        with contextlib.suppress(RuntimeError):  # it has not begun yet what it was given last
            self._go.release()

    def _serve(self) -> None:
        self.id = _thread.get_native_id()
        while self._go.acquire() and (task := self._task) is not None:
            work, number, release = task
            try:
                work(number)
            except BaseException as error:
                self._error = error
                release()
            del task, work, release  # and with them arrays, which nobody else may need any longer
            self._task = None
            self._done.release()


class Pool:
    """Threads of this process that kernels share: started when first needed, and then kept.

    Notes
    -----
    Ctrl-C may come at any moment. The standard library's pools then stay locked now and then, as their locks are taken
    and given in Python; here they are the system's, and workers that were interrupted are not used again.

    On a machine that others keep busy, threads wait for one that has no core. A call that notices reports with
    `compare` what it took with threads and without; where these were slower, they rest for a while.
    """

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self._apart = -1  # the core that they keep off
        self._busy = _thread.allocate_lock()  # two calls that share the workers would wait for each other
        self.alone = set[int]()  # threads whose calls have no other thread, by what Python calls them
        self._rest, self._resting_until = FIRST_REST, 0.0

    def ready(self, threads: int) -> int:
        """Return how many of so many threads, the caller's included, there are: the system may refuse to start some."""
        if _thread.get_ident() in self.alone:
            return min(threads, 1)
        if threads > 1:
            with self._busy, contextlib.suppress(RuntimeError):
                self._start(threads)
        return min(threads, len(self._workers) + 1)

    def run(self, work: Callable[[int], None], threads: int, release: Callable[[], None]) -> None:
        """Call ``work`` with 0, 1, ... at the same time, 0 in this thread, and wait; ``release`` ends it early."""
        if threads == 1:
            work(0)
            return
        with self._busy:
            try:
                self._start(threads)
                self._keep_apart()
                for number, worker in enumerate(self._workers[: threads - 1], 1):
                    worker.begin(work, number, release)
                work(0)
                for worker in self._workers[: threads - 1]:
                    worker.finish()
            except BaseException:
                release()
                left, self._workers = self._workers, []
                for worker in left:
                    worker.leave()
                raise

    def resting(self) -> bool:
        """Return whether threads were slower than one thread a short while ago."""
        return time.monotonic() < self._resting_until

    def compare(self, together: float, alone: float) -> None:
        """Take note of the time that the same work took with threads and without."""
        if together < alone:
            self._rest = FIRST_REST
        else:
            self._resting_until = time.monotonic() + self._rest
            self._rest = min(2 * self._rest, LONGEST_REST)

    def _start(self, threads: int) -> None:
        while len(self._workers) < threads - 1:
            self._workers.append(Worker())
            self._apart = -1

    def _keep_apart(self) -> None:
        """Keep the threads off the caller's core, where Linux may wake them, for milliseconds, beside an idle one."""
        core = _current_core()
        if core in (self._apart, -1):
            return
        others = os.sched_getaffinity(0) - {core}
        ids = [worker.id for worker in self._workers if worker.id is not None]
        for thread in ids if others else ():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread, others)
        self._apart = core if len(ids) == len(self._workers) else -1  # some have only just been started


_current_core = getattr(ctypes.CDLL(None), "sched_getcpu", lambda: -1) if sys.platform == "linux" else lambda: -1
pool = Pool()
if hasattr(os, "register_at_fork"):  # a fork copies the pool, but not its threads
    os.register_at_fork(after_in_child=pool.__init__)  # type: ignore[misc]


def share(
    jobs: Iterable[T],
    do: Callable[[T, Callable[[float], None]], None],
    threads: int,
    report: Callable[[float], object],
) -> None:
    """Have threads, of which this is one, do jobs: each one after the other, in calls that have no other thread.

    Parameters
    ----------
    jobs : iterable
        What to do. One thread at a time makes the next: several that need Python would only hinder each other.
    do : callable
        Takes a job and a function to call now and then with how much of it is done, which raises KeyboardInterrupt
        where the job is to end early, as the caller was interrupted or another thread has failed.
    threads : int
        As many at most; with 1, the calls may have other threads.
    report : callable
        Called in this thread, now and then, with how much is done of all jobs.
    """
    left, taking, ended = iter(jobs), _thread.allocate_lock(), _thread.allocate_lock()  # see `Pool`
    done, working, workers, failed = [0.0] * threads, set[int](), list[Worker](), list[BaseException]()
    stopped = False

    def take() -> T | None:
        with taking:
            return None if stopped else next(left, None)

    def work(number: int) -> None:
        before, me = 0.0, _thread.get_ident()

        def tell(part: float) -> None:
            done[number] = before + part
            if stopped:
                raise KeyboardInterrupt
            if number == 0:
                report(sum(done))

        if threads > 1:
            pool.alone.add(me)
        try:
            while (job := take()) is not None:
                before = done[number]
                do(job, tell)
        finally:
            pool.alone.discard(me)

    def assist(number: int) -> None:  # no KeyboardInterrupt comes to a thread that is not the caller's
        nonlocal stopped
        working.add(number)
        try:
            work(number)
        except BaseException as error:
            if not isinstance(error, KeyboardInterrupt):
                failed.append(error)
            stopped = True
        finally:
            working.discard(number)
            with contextlib.suppress(RuntimeError):  # it is open already
                ended.release()

    try:
        with contextlib.suppress(RuntimeError):  # the system starts no more
            workers.extend(Worker() for _ in range(threads - 1))
        for number, worker in enumerate(workers, 1):
            worker.begin(assist, number, lambda: None)
        work(0)
        while working:
            ended.acquire(timeout=REPORT_SECONDS)
            report(sum(done))
        for worker in workers:
            worker.finish()
    except BaseException as error:
        failed.append(error)
    stopped = True
    while working:  # those that end early
        time.sleep(0.001)
    for worker in workers:
        worker.leave()
    if failed:
        raise failed[0]  # of another thread, if an interruption of this one was the consequence
