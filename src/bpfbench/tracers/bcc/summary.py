# SPDX-License-Identifier: Apache-2.0
"""The summary file, and the room for it: it must be writable even when the output has filled the file system."""

import contextlib
import json
import os

from choice import SETUP
from options import Options
from tool import Counts

RESERVED_BYTES = 32768
REASONS = {
    "recursion": "kernels before 6.7 do not count how often they skip tracepoint and kprobe programs",
    # Nor can one be made afterwards: a perf event takes one program, and BCC has attached that by ioctl(2).
    "missed": "the kernel tells how often it missed a kprobe of a bpf_link only, and BCC attaches without one",
}


class SummaryFile:
    """Created, beside its final place, before anything is loaded. Raises OSError."""

    def __init__(self, path: str) -> None:
        self.temporary = path + ".tmp"
        self._path = path
        self._fd = os.open(self.temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(OSError):  # the summary then takes its chance
            os.posix_fallocate(self._fd, 0, RESERVED_BYTES)

    def write(self, summary: dict[str, object]) -> None:
        text = json.dumps(summary, indent=2).encode() + b"\n"
        try:
            while text:
                text = text[os.write(self._fd, text) :]
            os.ftruncate(self._fd, os.lseek(self._fd, 0, os.SEEK_CUR))
            os.close(self._fd)
            os.rename(self.temporary, self._path)
        except OSError:
            self.discard()
            raise

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.temporary)


def describe(
    options: Options,
    counts: Counts,
    size: int,
    versions: dict[str, str],
    times_ns: dict[str, int | None],
    error: str | None,
) -> dict[str, object]:
    lost = {
        "ring_full": counts.ring_full,
        "map_full": counts.map_full,
        "recursion": counts.recursion,
        "missed": counts.missed,
        "output_error": counts.output_error,
    }
    return {
        "contract": 1,
        "setup": SETUP,
        "tool": options.tool,
        "attach": options.attach,
        "format": options.format,
        "intercepted": counts.intercepted,
        "saved": counts.saved,
        "lost": lost,
        "unavailable": {cause: REASONS[cause] for cause, count in lost.items() if count is None},
        "syscalls": counts.syscalls,
        "bytes": size,
        "versions": versions,
        "times_ns": times_ns,
        "error": error,
    }
