# SPDX-License-Identifier: Apache-2.0
"""The summary of the tracer contract."""

import dataclasses
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from account import Account
from arguments import Options
from choice import SETUP
from session import Times, Traced

RESERVED_BYTES = 32768


def bpftrace_version() -> str:
    """As it says itself: "bpftrace v0.23.2"."""
    said = subprocess.run(["bpftrace", "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[-1].removeprefix("v")


@contextmanager
def summary_file(options: Options) -> Iterator[IO[bytes]]:
    """A file beside the summary, with room for it even when the output has filled the disk; in place after the block.

    A block that fails leaves nothing behind.
    """
    beside = Path(f"{options.summary}.tmp")
    try:
        with beside.open("wb") as file:
            with suppress(OSError):  # the summary then takes its chance
                os.posix_fallocate(file.fileno(), 0, RESERVED_BYTES)
            yield file
            file.truncate()
        beside.replace(options.summary)
    finally:
        beside.unlink(missing_ok=True)


def describe(options: Options, times: Times, traced: Traced, account: Account) -> bytes:
    """The summary, as text."""
    summary = {
        "contract": 1,
        "setup": SETUP,
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
        "versions": {"bpftrace": bpftrace_version(), "libbpf": traced.libbpf},
        "times_ns": dataclasses.asdict(times),
        "error": account.error,
    }
    return json.dumps(summary, indent=2).encode("ascii") + b"\n"
