# SPDX-License-Identifier: Apache-2.0
"""What bpftrace has written: made whole records and nothing else when it has gone; and what is written behind it."""

import dataclasses
import os
import re
import stat
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

from latencies import Line
from options import Options
from session import Traced

# A line of the output that is not of a record: those begin with a digit, or are of a slow call and its stack. A warning
# quotes the script, indented.
NOTICE = re.compile(rb"\n(?:Lost |stdin:|Additional Info| )[^\n]*")
# Why a map took no entry. Until bpftrace 0.24, count() makes one with BPF_NOEXIST: of two CPUs that do so at once, one
# loses its event (https://github.com/bpftrace/bpftrace/issues/4068).
REFUSED = re.compile(rb": WARNING: (?:Map full;|File exists)")
CHUNK_BYTES = 1 << 20  # no line is longer
SLOW = b"slow\t"  # how a record of fs-profile begins; the lines of its stack follow
SLOW_BYTES = 4096  # none is longer


@dataclasses.dataclass
class Output:
    """What the output was found to hold."""

    records: int = 0
    map_full: int = 0
    bytes: int = 0


def tidy(name: str, start: bytes = b"") -> Output:
    """Leave only whole lines of records in the output, and count those that start a record.

    Reads it once; writes only what has to move up.
    """
    found = Output()
    with Path(name).open("r+b", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return found
        done = 0
        while True:
            chunk = os.pread(file.fileno(), CHUNK_BYTES, done)
            lines, newline, _ = chunk.rpartition(b"\n")
            if not newline:  # the end, or a last line that is not whole
                break
            lines = b"\n" + lines
            records = NOTICE.sub(b"", lines)
            if done != found.bytes or len(records) != len(lines):
                os.pwrite(file.fileno(), records[1:] + newline if records else b"", found.bytes)
            done += len(lines)
            found.bytes += len(records)
            found.records += records.count(b"\n" + start)
            found.map_full += len(REFUSED.findall(lines)) if len(records) != len(lines) else 0
        file.truncate(found.bytes)
    return found


def tidy_slow(name: str) -> Output:
    """As tidy(), for records that end with a stack, of which the last may lack lines."""
    found = tidy(name, SLOW)
    with Path(name).open("r+b", buffering=0) as file:
        last = SLOW + os.pread(file.fileno(), SLOW_BYTES, max(0, found.bytes - SLOW_BYTES)).rpartition(SLOW)[2]
        line, *stack = last.splitlines()
        if found.records and len(stack) < int(line.rpartition(b"\t")[2]):
            found.records -= 1
            found.bytes -= len(last)
            file.truncate(found.bytes)
    return found


def append(name: str, lines: Sequence[Line]) -> tuple[list[Line], OSError | None]:
    """Write lines behind what is there; return those that are wholly written, and what kept the others from it."""
    data = memoryview(b"".join(line.text for line in lines))
    ends = list(accumulate(len(line.text) for line in lines))
    done = 0
    with Path(name).open("ab", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            while done < len(data):
                done += file.write(data[done:])
        except OSError as error:
            whole = bisect_right(ends, done)
            with suppress(OSError):  # a device cannot be cut, and need not be
                file.truncate(size + (ends[whole - 1] if whole else 0))
            return list(lines[:whole]), error
    return list(lines), None


def unread_bytes(options: Options, traced: Traced) -> int | None:
    """What was written to an output that cannot be read afterwards, notices included; None for one that can.

    Such are /dev/null and a pipe, and what is followed (rule 10 of the contract): what was checked behind bpftrace is a
    hole by now.
    """
    followed = options.tool != "syscount" and os.environ.get("BPFBENCH_FOLLOWED") == "1"
    return Path(options.output).stat().st_size if followed and traced.unkept_bytes is None else traced.unkept_bytes


def write_error(name: str) -> str:
    """Why the output takes no more; bpftrace does not say, so by trying."""
    with Path(name).open("ab", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            file.writelines((bytes(CHUNK_BYTES), b"\0"))
        except OSError as error:
            return os.strerror(error.errno or 0)
        finally:
            with suppress(OSError):
                file.truncate(size)
    return "reason unknown"
