# SPDX-License-Identifier: Apache-2.0
"""How the tracer is told to stop: the first SIGINT or SIGTERM asks, the second kills."""

import contextlib
import os
import select
import signal
import time
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Catches the signals from its creation on.

    Python runs a handler once C code has returned, and only once for two equal signals that arrived meanwhile. BCC's
    compiler is C code that runs long; so the signals are counted where Python's own C handler leaves each as a byte.
    """

    def __init__(self) -> None:
        self.ns: int | None = None  # when the end was requested, by a signal or by an error
        # What the callback of the ring returns: a negative value ends ring_buffer_poll() though more events are there.
        self.verdict = 0
        # A file that a second signal is to remove.
        self.doomed: str | None = None
        self._signalled = False
        # Readable from when the end is requested on.
        self.told, self._telling = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._arrived, arriving = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(arriving, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    @property
    def requested(self) -> bool:
        return self.ns is not None

    def request(self) -> None:
        """Ends the collecting, whatever the reason."""
        if self.ns is None:
            self.ns = time.monotonic_ns()
            os.write(self._telling, b"!")
        self.verdict = -1

    def wait(self, seconds: float | None = None) -> None:
        """Returns when told to stop, or after so long.

        Not by sigtimedwait(): interrupted past its time, as after a SIGSTOP, Python returns a signal that never came.
        """
        select.select([self.told], [], [], seconds)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        try:
            numbers = os.read(self._arrived, 64)
        except BlockingIOError:
            return  # the handler of the other signal has read this one too
        for number in numbers:
            if self._signalled:
                self._exit(128 + number)
            self._signalled = True
            self.request()

    def _exit(self, status: int) -> NoReturn:
        if self.doomed is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.doomed)
        os._exit(status)
