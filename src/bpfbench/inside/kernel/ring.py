# SPDX-License-Identifier: Apache-2.0
"""A BPF ring buffer, seen from outside.

What a ring has taken and given back is in its first two pages, which anyone with a descriptor of it may map: so every
library's progress is seen in the same way, and without its help.
"""

from __future__ import annotations

import mmap
import os
import time

from bpfbench.errors import StepError
from bpfbench.inside.kernel import bpf


class Ring:
    """The two positions of the ring buffer with that id, in bytes since it was made. Use as a context manager.

    Raises:
        StepError: it cannot be mapped.
    """

    def __init__(self, number: int) -> None:
        try:
            fd = bpf.open_map(number)
            try:
                pages = [mmap.mmap(fd, mmap.PAGESIZE, prot=mmap.PROT_READ, offset=mmap.PAGESIZE * n) for n in (0, 1)]
            finally:
                os.close(fd)
        except OSError as error:
            raise StepError(f"the ring cannot be watched: {error.strerror}") from error
        # Each is at the beginning of its page; read as one word, which is what makes it consistent.
        self._consumer, self._producer = (memoryview(page).cast("Q") for page in pages)
        self._pages = pages

    def __enter__(self) -> Ring:
        return self

    def __exit__(self, *_: object) -> None:
        for view in (self._consumer, self._producer):
            view.release()
        for page in self._pages:
            page.close()

    @property
    def consumed(self) -> int:
        """Up to where user space has given space back."""
        return self._consumer[0]

    @property
    def produced(self) -> int:
        """Up to where the kernel side has reserved space."""
        return self._producer[0]


def wait_empty(ring: Ring, timeout_s: float) -> None:
    """Wait until the ring is empty.

    Raises:
        StepError: it is not in time.
    """
    until_s = time.monotonic() + timeout_s
    while ring.consumed != ring.produced:
        if time.monotonic() > until_s:
            raise StepError(f"events were still in the ring after {timeout_s:g} s")
        time.sleep(0.0005)
