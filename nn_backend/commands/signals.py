"""What Ctrl-C, SIGTERM and SIGHUP do to a command: exit code 128 + their number and one line, at any moment.

An exception that is raised wherever a signal arrives can be lost in a library's callback, be taken for another error or
leave a lock closed. So a signal ends the process where it stands, once what is unfinished is removed; where something
would be lost, it is kept until that is safe.
"""

import _thread
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

SCRIPT = "nn-backend"  # which stands for "python -m nn_backend" where the package is installed
NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
NUDGE = getattr(signal, "SIGURG", None)  # which is ignored wherever nobody asks for it
SHOW_CURSOR = "\x1b[?25h"  # which a progress bar hides


class Signals:
    """Whether a signal was heard, and what the next one does.

    Attributes
    ----------
    heard : int or None
        The signal that was kept.
    on_end : list of callable
        What removes what is unfinished, called where a signal ends the process.
    """

    def __init__(self) -> None:
        self.heard: int | None = None
        self.on_end: list[Callable[[], object]] = []
        self._keeps = self._raises = False
        self._process = os.getpid()

    def listen(self) -> None:
        """Hear signals from now on, but those that whoever started the process has it ignore, as nohup does."""
        for number in NUMBERS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._hear)
        sys.unraisablehook = self._found
        if NUDGE is not None:
            told, tell = os.pipe()
            os.set_blocking(tell, False)
            signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
            os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))  # the pipe is its parent's
            signal.signal(NUDGE, lambda *_: None)
            _thread.start_new_thread(_nudge, (told, _thread.get_ident(), NUDGE))

    def ignore(self) -> None:
        """Hear no signal from now on: all is done, and the exit code stands."""
        for number in NUMBERS:
            signal.signal(number, signal.SIG_IGN)

    def keep(self) -> None:
        """Keep the next signal for `check`, as there is something to lose; another one ends the process."""
        self._keeps = True

    def keep_and_raise(self) -> None:
        """Raise KeyboardInterrupt at the next signal, and keep it; another one ends the process."""
        self._keeps = self._raises = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal was kept."""
        if self.heard is not None:
            raise KeyboardInterrupt

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if not self._keeps or self.heard is not None:
            self._end(number)
        self.heard = number
        if self._raises:
            raise KeyboardInterrupt

    def _end(self, number: int) -> None:
        self.ignore()
        code, line = ending(number)
        if os.getpid() == self._process:  # not in a worker that was forked from it
            for remove in self.on_end:
                remove()
            with contextlib.suppress(OSError):  # the terminal is gone
                os.write(2, f"{SHOW_CURSOR * os.isatty(2)}error: {line}\n".encode())
        os._exit(code)

    def _found(self, unraisable: Any) -> None:
        """End where the interpreter could not hand on a KeyboardInterrupt, such as from a finalizer."""
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            self._end(self.heard or signal.SIGINT)
        sys.__unraisablehook__(unraisable)


def ending(number: int) -> tuple[int, str]:
    """Return the exit code that a signal stands for, and what is said of it."""
    return 128 + number, "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"


def _nudge(told: int, main: int, number: int) -> None:
    """Interrupt, after each signal, what the main thread waits for: a signal just before the wait does not.

    Python notes a signal and hears it between two of its own instructions; a read or a lock that is waited for from
    then on would keep it from that for as long as it lasts.
    """
    while True:
        if os.read(told, 1)[0] in NUMBERS:
            for _ in range(3):
                time.sleep(0.1)
                signal.pthread_kill(main, number)


def _is_command() -> bool:
    """Return whether this process was started to run a command: Python puts "-m" there until the module is found."""
    words, program = sys.orig_argv, sys.argv[:1]
    if program == ["-m"] and "-m" in words:
        return words[words.index("-m") + 1].partition(".")[0] == "nn_backend"
    return bool(program) and os.path.splitext(os.path.basename(program[0]))[0] == SCRIPT  # noqa: PTH119, PTH122


signals = Signals()
if _is_command():  # it is the package's first line that gets here
    signals.listen()
