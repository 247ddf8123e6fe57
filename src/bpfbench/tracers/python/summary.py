# SPDX-License-Identifier: Apache-2.0
"""Where every event has gone, and the file that says so: writable even when the output has filled the file system."""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from options import Options

RESERVED_BYTES = 32768


@dataclass
class Account:
    """What the summary says of the events. None is what nobody can tell; `unavailable` then has the reason."""

    intercepted: dict[str, int]
    saved: int
    bytes: int
    ring_full: int = 0
    map_full: int | None = 0
    recursion: int | None = None
    missed: int | None = 0
    output_error: int = 0
    syscalls: dict[int, int] | None = None
    error: str | None = None
    unavailable: dict[str, str] = field(default_factory=dict)

    def explain_unknown(self, library: str) -> None:
        """Give the reasons that have to do with the kernel, for what is None."""
        if self.recursion is None:
            self.unavailable.setdefault(
                "recursion", "kernels before 6.7 do not count how often they skip tracepoint and kprobe programs"
            )
        if self.missed is None:
            # Nor can a link be made afterwards: a perf event takes one program, which is attached by ioctl(2).
            self.unavailable["missed"] = (
                f"the kernel tells how often it missed a kprobe of a bpf_link only, and {library} attaches without one"
            )


def recursion_is_counted(attach: str) -> bool:
    """Whether the kernel counts how often it skipped a program.

    Only from 6.7 on does it so for tracepoint and kprobe programs; the field is older, and then 0. No feature tells.
    """
    return attach == "fentry" or [int(number) for number in re.findall(r"\d+", os.uname().release)[:2]] >= [6, 7]


class SummaryFile:
    """A file beside the summary, in its place once written. Nothing is left of one that is not: use it by `with`.

    All of it raises OSError.
    """

    def __init__(self, path: str) -> None:
        self.temporary = path + ".tmp"
        self._path = path
        self._file = open(self.temporary, "wb")  # noqa: SIM115 - closed on leaving the block
        with suppress(OSError):  # the summary then takes its chance
            os.posix_fallocate(self._file.fileno(), 0, RESERVED_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            os.unlink(self.temporary)
        with suppress(OSError):
            self._file.close()

    def write(
        self,
        setup: str,
        options: Options,
        account: Account,
        versions: Mapping[str, str | None],
        times_ns: dict[str, int | None],
    ) -> None:
        summary = {
            "contract": 2,
            "setup": setup,
            "tool": options.tool,
            "attach": options.attach,
            "format": options.format,
            "intercepted": account.intercepted,
            "saved": account.saved,
            "lost": {
                "ring_full": account.ring_full,
                "map_full": account.map_full,
                "recursion": account.recursion,
                "missed": account.missed,
                "output_error": account.output_error,
            },
            "unavailable": account.unavailable,
            "syscalls": account.syscalls,
            "bytes": account.bytes,
            "versions": versions,
            "times_ns": times_ns,
            "error": account.error,
        }
        with self._file as file:
            file.write(json.dumps(summary, indent=2).encode("ascii") + b"\n")
            file.truncate()
        os.rename(self.temporary, self._path)
