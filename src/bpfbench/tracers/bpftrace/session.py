# SPDX-License-Identifier: Apache-2.0
"""One run of bpftrace, from its start until it has drained the ring and gone."""

import ctypes
import dataclasses
import os
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE
from types import FrameType
from typing import IO, Any

from bpfobjects import BpfObjects, loaded_libbpf
from choice import MAX_STRLEN_LEAST
from options import RULES, Options, Rule, comm, number, one_of

POLL_MS = 100  # timeout_ms in bpftrace.h
PAGE_BYTES = 4096  # the unit of bpftrace's perf_rb_pages, whatever the machine's pages are
NAME_BYTES = 64  # what the scripts ask of str()
BUF_HEADER_BYTES = 4  # buf() holds that much less than max_strlen
ATTACHED = b"__BPFTRACE_NOTIFY_PROBES_ATTACHED\n"
BY_LIBBPF = b"[WARN] libbpf: "
NO_TRACEPOINT = "tracepoint not found: "
NULL_DEVICE = os.makedev(1, 3)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
OWN_COMMS = (b"bpftrace", b"sleep", Path("/proc/self/comm").read_bytes().rstrip(b"\n"))
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def comm_of_one_line(value: str) -> bytes:
    """As comm(), of what a line of text can hold, too."""
    if "\n" in value:
        raise ValueError(value)
    return comm(value)


SUPPORTED = RULES | {
    "--target-comm": Rule("1 to 15 bytes without a newline", comm_of_one_line),
    "--poll-ms": Rule(f"{POLL_MS}, which is fixed in bpftrace", lambda value: number(value, POLL_MS, POLL_MS)),
    "--format": one_of("text"),
    # It puts all records, of one length, into one ring, without flags, and has one loop and one buffer to write them.
    "--wakeup": one_of("adaptive", usual="adaptive"),
    "--rings": Rule("1", lambda value: number(value, 1, 1), "1"),
    "--consumers": one_of("one", usual="one"),
    "--output-bytes": Rule("65536", lambda value: number(value, 65536, 65536), "65536"),
    "--records": one_of("fixed", usual="fixed"),
    "--buffer": one_of("ring", usual="ring"),
    "--epoll": one_of("level", usual="level"),
}


class AttachError(Exception):
    """bpftrace ended before every probe was attached."""


class SecondSignal(BaseException):
    """Told a second time to stop: exit at once. Not for `except Exception`."""


def script(options: Options) -> str:
    """The script of tool and hook with the target comm in the place of fio."""
    text = Path(__file__).with_name(f"{options.tool}.{options.attach}.bt").read_text(encoding="ascii")
    # bpftrace names a variable after the literal: a NUL more, and it cannot be one of its own names, such as ringbuf.
    literal = "".join(f"\\{byte:03o}" for byte in options.target_comm + b"\0")
    predicate = f'comm == "{literal}"'
    if options.target_comm in OWN_COMMS:
        predicate += " && !@own[curtask->tgid]"
        text += "BEGIN { @own[curtask->tgid] = true; @own[curtask->real_parent->tgid] = true; }\n"
    return text.replace('comm == "fio"', predicate)


def environment(options: Options) -> dict[str, str]:
    """The user's environment, but all settings of bpftrace are ours."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("BPFTRACE_")}
    # No more than is needed: str() clears that much for every event.
    payload_bytes = options.payload_bytes if options.tool == "rw-tracer-all" else 0
    return env | {
        # [snippet ringbuf_bytes]
        "BPFTRACE_PERF_RB_PAGES": str(options.ringbuf_bytes // PAGE_BYTES),
        # [end ringbuf_bytes]
        "BPFTRACE_MAX_STRLEN": str(max(NAME_BYTES, payload_bytes + BUF_HEADER_BYTES, MAX_STRLEN_LEAST)),
        "__BPFTRACE_NOTIFY_PROBES_ATTACHED": "1",
    }


def command(options: Options, until: int) -> list[str]:
    """How bpftrace is called: until that process ends."""
    payload = str(options.payload_bytes)  # $1
    told = ["-q", "-d", "libbpf"]  # no "Attaching N probes..." among the records; the kernel's reason if loading fails
    return ["bpftrace", *told, "-p", str(until), "-o", options.output, "-e", script(options), payload]


def in_child(adapter: int) -> None:
    """Die when the adapter dies, and leave signals to it: a terminal sends them to all."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != adapter:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


@contextmanager
def running(command: list[str], **keywords: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with this block at the latest."""
    in_this_child = partial(in_child, os.getpid())
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=in_this_child, **keywords)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_attached(bpftrace: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
    """Return when every probe is attached; bpftrace itself goes on without a tracepoint the kernel does not have."""
    by_libbpf = []
    for line in bpftrace.stdout or ():
        if line == ATTACHED:
            if lines_with(NO_TRACEPOINT, stderr):
                raise AttachError(failure(stderr, 0))
            return
        if line.startswith(BY_LIBBPF):
            by_libbpf.append(line.decode(errors="replace"))
    status = bpftrace.wait()
    raise AttachError(by_libbpf[0] if by_libbpf else failure(stderr, status))


def keeps_nothing(name: str) -> bool:
    """Whether an output takes everything and keeps nothing to be counted: /dev/null, or a pipe."""
    status = Path(name).stat()
    return stat.S_ISFIFO(status.st_mode) or (stat.S_ISCHR(status.st_mode) and status.st_rdev == NULL_DEVICE)


def written_by(pid: int, stderr: IO[bytes]) -> int:
    """What a process has passed to write(2) and its like, other than on stderr, in bytes. It may be a zombie."""
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"]) - os.fstat(stderr.fileno()).st_size


def failure(stderr: IO[bytes], status: int) -> str:
    """Why bpftrace failed, in one line: what it called an error first, else how it ended."""
    errors = lines_with(NO_TRACEPOINT, stderr) or lines_with("ERROR: ", stderr) or lines_with("BUG: ", stderr)
    if errors:
        return errors[0]
    return f"bpftrace ended by {signal.Signals(-status).name}" if status < 0 else f"bpftrace ended with status {status}"


def lines_with(words: str, stderr: IO[bytes]) -> list[str]:
    """What bpftrace has said on stderr in these words."""
    stderr.seek(0)
    return [line for line in stderr.read().decode(errors="replace").splitlines() if words in line]


@dataclasses.dataclass
class Times:
    """When what happened, by CLOCK_MONOTONIC."""

    start: int
    ready: int | None = None
    stop: int | None = None
    drained: int | None = None


@dataclasses.dataclass(frozen=True)
class Traced:
    """What is left when bpftrace has gone."""

    objects: BpfObjects
    libbpf: str | None
    error: str | None
    unkept_bytes: int | None
    """What it wrote to an output that keeps nothing, since READY: the records, and its notices between them. None for
    another output."""


def versions(traced: Traced) -> dict[str, str | None]:
    """What is loaded; bpftrace says "bpftrace v0.23.2"."""
    said = subprocess.run(["bpftrace", "--version"], capture_output=True, text=True, check=True).stdout
    return {"bpftrace": said.split()[-1].removeprefix("v"), "libbpf": traced.libbpf}


class Session:
    """One run of bpftrace, and the signals that end it."""

    def __init__(self, times: Times) -> None:
        self._times = times
        # Python runs a handler between two steps of its own: a signal just before a call that waits would wait with it.
        # So what waits here waits for this, too, to which Python writes whatever comes.
        self._told, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        for sign in STOP_SIGNALS:
            signal.signal(sign, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._times.stop is not None:
            signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # a third is not to stop the tidying up
            raise SecondSignal(number)
        self._times.stop = time.monotonic_ns()

    def run(self, options: Options) -> Traced:
        """Trace until told to stop, then until bpftrace has drained the ring and gone."""
        times = self._times
        with (
            os.fdopen(os.memfd_create("stderr"), "w+b") as stderr,
            running(["sleep", "infinity"]) as until,
            running(command(options, until.pid), env=environment(options), stdout=PIPE, stderr=stderr) as bpftrace,
        ):
            wait_attached(bpftrace, stderr)
            unkept = keeps_nothing(options.output)
            before_bytes = written_by(bpftrace.pid, stderr) if unkept else 0
            objects, libbpf = BpfObjects(bpftrace.pid), loaded_libbpf(bpftrace.pid)
            if times.stop is None:
                times.ready = time.monotonic_ns()
                sys.stdout.write(f"READY {bpftrace.pid}\n")
                sys.stdout.flush()
            with os.fdopen(os.pidfd_open(bpftrace.pid)) as ended:
                has_ended = self._has_ended(ended)  # when told to stop, or by itself
                until.kill()
                while not has_ended:
                    has_ended = self._has_ended(ended)
            times.drained = time.monotonic_ns()
            said = len(bpftrace.stdout.read()) if bpftrace.stdout else 0  # two newlines, when it ends
            unkept_bytes = written_by(bpftrace.pid, stderr) - before_bytes - said if unkept else None
            status = bpftrace.wait()
            ended_as_told = status == 0 and times.stop is not None
            error = None if ended_as_told else failure(stderr, status)
            return Traced(objects, libbpf, error, unkept_bytes)

    def _has_ended(self, process: IO[str]) -> bool:
        """Wait for the end of a process or for a signal, and tell whether it was the end."""
        ready, _, _ = select.select([process, self._told], [], [])
        if self._told in ready:
            os.read(self._told, select.PIPE_BUF)
        return process in ready
