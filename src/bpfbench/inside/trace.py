# SPDX-License-Identifier: Apache-2.0
"""One tracer in front of the user: its records are handed on while it writes them.

Printed are the tracer's own lines of text, as they are, and between them events of ours, each a line of JSON. The
tracer is stopped when stdin ends. A slow reader is never waited for meanwhile, so that it is stopped in time.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bpfbench.errors import StepError
from bpfbench.inside import tracer
from bpfbench.inside.child import Launch
from bpfbench.inside.tracer import TracerProcess
from bpfbench.model import OWN_COMM, Tool, TraceSpec

LOOK_S = 0.05
"""How often the output is looked at while nothing comes."""

BLOCK_BYTES = 2**18
"""The most that is read at a time; no line is longer."""

NO_RECORD = re.compile(rb"^(?![0-9])[^\n]*\n", re.MULTILINE)
"""A line that is no record: bpftrace writes its warnings among them, until its adapter tidies up at the end."""

NO_LINE = re.compile(rb"^(?!slow\t|latency\t|top\t|[0-9a-f]+\n)[^\n]*\n", re.MULTILINE)
"""The same of fs-profile, whose stacks are lines of their own."""

NUMBER = re.compile(r"^#define __NR(?:3264)?_(\w+) (\w+)$", re.MULTILINE)


class Records:
    """The records in a growing file."""

    def __init__(self, path: Path, tool: Tool) -> None:
        self._file = path.open("rb", buffering=0)
        self._others = NO_LINE if tool is Tool.FS_PROFILE else NO_RECORD
        self._offset = 0
        self._bytes = 0
        """Of the records read; less than the offset where there were other lines."""
        self._last = b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self) -> bytes | None:
        """Return the next records of whole lines, up to a block, which can be none; None where there are no lines."""
        block = os.pread(self._file.fileno(), BLOCK_BYTES, self._offset)
        block = block[: block.rfind(b"\n") + 1]
        if not block:
            return None
        self._offset += len(block)
        records = self._others.sub(b"", block)
        self._bytes += len(records)
        if records:
            self._last = records[records.rfind(b"\n", 0, -1) + 1 :]
        return records

    def rest(self) -> bytes:
        """Return all records that were not read; to be called when nobody writes them any more."""
        # A tracer that tidies up takes the other lines out, so that what was read now ends sooner.
        if os.pread(self._file.fileno(), len(self._last), self._bytes - len(self._last)) == self._last:
            self._offset = self._bytes
        return b"".join(iter(self.read, None))


def run(spec: TraceSpec, notify: Callable[[dict[str, Any]], None]) -> None:
    """Trace until stdin ends, or the tracer does.

    Raises:
        StepError: the tracer did not start, does not end, or left no summary.
    """
    Path("/proc/self/comm").write_text(OWN_COMM)
    place = Path(spec.output_dir)
    output, summary_file = place / "trace.out", place / "summary.json"
    command = (*spec.tracer_command, *tracer.arguments(spec.tool, spec.config, output, summary_file, spec.comm))
    notify({"event": "command", "argv": command})
    launch = Launch(command, os.sched_getaffinity(0), place / "tracer.stderr")
    with TracerProcess(launch, spec.output_limit_bytes) as traced:
        startup_s = traced.wait_ready(spec.deadlines.ready_s)
        records = Records(output, spec.tool)
        notify({"event": "ready", "monotonic_ns": time.monotonic_ns(), "startup_s": startup_s})
        unsaid = _hand_on(records, traced)
        if traced.alive():
            status = traced.stop(spec.deadlines.drain_s)
            reason = None if status == 0 else f"tracer ended with status {status}: {traced.last_message()}"
        else:
            reason = f"tracer ended by itself: {traced.last_message()}"
    try:
        summary = tracer.read_summary(summary_file)
    except StepError as error:
        raise StepError(f"{reason}; {error.message}" if reason else error.message) from error
    counts = spec.tool is Tool.SYSCOUNT  # fs-profile's are lines like others
    sys.stdout.buffer.write(unsaid + (b"" if counts else records.rest()))
    records.close()
    names = syscall_names() if counts else {}
    notify({"event": "summary", "summary": asdict(summary), "reason": reason, "names": names})


def syscall_names() -> dict[int, str]:
    """Return the names of this architecture's system calls by number, from the kernel's own headers.

    None where there is no compiler to read them: they then go by their numbers.
    """
    argv = ("cc", "-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null")
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    return numbered(done.stdout)


def numbered(macros: str) -> dict[int, str]:
    """Return what __NR_ macros name by number. Some are defined by another: __NR_fcntl is __NR3264_fcntl."""
    found = dict(NUMBER.findall(macros))
    return {int(value): name for name, value in found.items() if value.isdecimal() and name != "syscalls"}


def _hand_on(records: Records, traced: TracerProcess) -> bytes:
    """Print records as they come until stdin or the tracer ends; return what could not be printed by then."""
    stdin, stdout = sys.stdin.fileno(), sys.stdout.fileno()
    unsaid = b""
    os.set_blocking(stdout, False)
    try:
        while traced.alive():
            if not unsaid and (found := records.read()):
                unsaid = found + b'{"event": "batch"}\n'  # the end of what belongs on the screen now
            told, writable, _ = select.select([stdin], [stdout] if unsaid else [], [], LOOK_S)
            if told:
                break
            if writable:
                unsaid = unsaid[os.write(stdout, unsaid) :]
    finally:
        os.set_blocking(stdout, True)
    return unsaid
