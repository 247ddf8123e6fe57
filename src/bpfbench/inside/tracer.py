# SPDX-License-Identifier: Apache-2.0
"""One tracer at work, driven by the contract of tracers/README.md: start, READY, stop, summary."""

from __future__ import annotations

import functools
import os
import resource
import select
import signal
import time
from pathlib import Path

from bpfbench.codec import from_json
from bpfbench.errors import StepError
from bpfbench.inside.child import Child, Launch, exit_text
from bpfbench.inside.kernel import bpf, tasks
from bpfbench.model import TARGET_COMM, Format, Tool, TracerConfig, TracerSummary

FOLLOWED = {"BPFBENCH_FOLLOWED": "1"}
"""What a tracer has in its environment whose output is read behind it (rule 10 of its contract)."""

DEFAULT_RINGBUF_BYTES = 262144
DEFAULT_POLL_MS = 100
DEFAULT_PAYLOAD_BYTES = 4096


def arguments(tool: str, config: TracerConfig, output: Path, summary: Path, comm: str = TARGET_COMM) -> tuple[str, ...]:
    """Return the options of a tracer. Factors its tool does not use get the contract's usual values.

    Those that came with version 2 are given only where they say something, so that tracers of version 1 run.
    """
    options = {
        "--tool": tool,
        "--attach": config.attach,
        "--target-comm": comm,
        "--ringbuf-bytes": config.ringbuf_bytes or DEFAULT_RINGBUF_BYTES,
        "--poll-ms": config.poll_ms or DEFAULT_POLL_MS,
        "--payload-bytes": config.payload_bytes or DEFAULT_PAYLOAD_BYTES,
        "--format": config.format,
        "--output": output,
        "--summary": summary,
        **{f"--{name.replace('_', '-')}": value for name, value in config.options.items()},
    }
    return tuple(str(word) for option in options.items() for word in option)


class TracerProcess(Child):
    """A running tracer. Use as a context manager: on leaving, it is gone.

    Args:
        launch: what is started, and how.
        limit_bytes: the most it may write to a file; more fails like a full disk does.

    Raises:
        StepError: it could not be started.
    """

    def __init__(self, launch: Launch, limit_bytes: int | None = None) -> None:
        self.started_s = time.monotonic()
        self.written_bytes: int | None = None
        """What it and its children passed to write(2) from READY to its end; None where the kernel does not tell."""
        self._by_ready: tasks.TaskIo | None = None
        super().__init__(f"tracer {launch.command[0]}", launch, functools.partial(_confine, limit_bytes), piped=True)
        self.pid_tracing = self.pid
        """The process that does the tracing; once READY it is known to be another."""

    def programs(self) -> frozenset[int]:
        """Return the ids of its BPF programs.

        Raises:
            OSError: it has ended.
        """
        return bpf.programs_of(self.pid_tracing, self.pid)

    def wait_ready(self, timeout_s: float) -> float:
        """Wait for the READY line, and return how long that took since it was started, in seconds.

        Raises:
            StepError: it ended, said something else, or took too long.
        """
        line = self._first_line(self.started_s + timeout_s)
        words = line.decode(errors="replace").split()
        if not words:
            status = self._process.wait() if self.ended_within(5) else None
            raise StepError(f"tracer ended before READY ({exit_text(status)}): {self.last_message()}")
        if words[0] != "READY" or len(words) > 2 or not all(word.isdecimal() for word in words[1:]):
            raise StepError(f"tracer printed {line!r} where READY was due")
        self.pid_tracing = int(words[1]) if words[1:] else self.pid
        self._by_ready = self.io()
        return time.monotonic() - self.started_s

    def stop(self, timeout_s: float) -> int:
        """Send SIGINT, wait for the end, and return the exit status.

        Raises:
            StepError: it had ended before, or does not end in time.
        """
        if not self.alive():
            raise StepError(f"tracer ended by itself ({exit_text(self._process.returncode)}): {self.last_message()}")
        os.kill(self.pid, signal.SIGINT)
        if not self.ended_within(timeout_s):
            raise StepError(f"tracer was still draining {timeout_s:g} s after SIGINT")
        if self._by_ready and (at_end := self.io()):
            self.written_bytes = at_end.written_bytes - self._by_ready.written_bytes
        return self._process.wait()

    def _first_line(self, until_s: float) -> bytes:
        stdout, received = self.stdout, b""
        while not received.endswith(b"\n"):
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([stdout], [], [], left_s)[0]:
                raise StepError(f"tracer was not READY after {time.monotonic() - self.started_s:.0f} s")
            byte = os.read(stdout, 1)
            if not byte:
                return b""
            received += byte
        return received


def _confine(limit_bytes: int | None) -> None:
    """Set what a tracer inherits; runs in the child, before exec."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # it is stopped by that, and may leave ignored what it finds ignored
    if limit_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that the write fails, instead of the tracer being killed
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))


def read_summary(path: Path) -> TracerSummary:
    """Read the summary a tracer left.

    Raises:
        StepError: there is none, or it is not what the contract says.
    """
    try:
        return from_json(TracerSummary, path.read_bytes())
    except OSError as error:
        raise StepError(f"tracer left no summary: {error.strerror}") from error
    except ValueError as error:
        raise StepError(f"tracer's summary is not as the contract says: {error}") from error


def count_events(output: Path, tool: str, config: TracerConfig) -> int:
    """Count the events in a tracer's output file by reading all of it; where it has counts they stand for so many.

    Raises:
        StepError: the file ends in the middle of a record.
    """
    binary = config.format is Format.BINARY
    if tool is Tool.SYSCOUNT:
        data = output.read_bytes()
        if binary:
            return sum(int.from_bytes(data[i : i + 8], "little") for i in range(8, len(data), 16))
        return sum(int(line.split(b"\t")[1]) for line in data.splitlines())
    if tool is Tool.FS_PROFILE:
        with output.open("rb") as file:
            return sum(map(_profiled, file))
    if not binary:
        return _count_lines(output)
    size = output.stat().st_size
    events, rest = divmod(size, config.event_bytes)
    if rest:
        raise StepError(f"tracer's output of {size} bytes is no whole number of {config.event_bytes}-byte records")
    return events


def _profiled(line: bytes) -> int:
    """Return for how many events a line of fs-profile stands; what is wrong with its lines the audit tells."""
    kind, *columns = line.split(b"\t", 5)
    if kind == b"latency" and len(columns) > 3 and columns[3].isdigit():
        return int(columns[3])
    return int(kind == b"slow")


def _count_lines(path: Path) -> int:
    lines, last = 0, b"\n"
    with path.open("rb", buffering=0) as file:
        while block := file.read(2**20):
            lines += block.count(b"\n")
            last = block[-1:]
    if last != b"\n":
        raise StepError("tracer's output ends in the middle of a line")
    return lines
