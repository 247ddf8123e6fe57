# SPDX-License-Identifier: Apache-2.0
"""Runs inside the image: puts one tracer through one case of the contract and prints what happened as JSON.

    python3 contract.py SETUP CASE

A process of ours named `ioload` does a known number of reads; the tracer watches just that name.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_NAME = 15
READS = 20011  # a prime, so that no batch size divides it
BLOCK = 512
COMM = "ioload"


class Tracer:
    """One tracer process and where it writes."""

    def __init__(self, setup: str, work: Path, **changed: str) -> None:
        self.work = work
        self.options = {
            "--tool": "rw-tracer",
            "--attach": "tracepoint",
            "--target-comm": COMM,
            "--ringbuf-bytes": str(64 * 2**20),
            "--poll-ms": "100",
            "--payload-bytes": "4096",
            "--format": "text",
            "--output": str(work / "output"),
            "--summary": str(work / "summary.json"),
        }
        self.options.update({f"--{name.replace('_', '-')}": value for name, value in changed.items()})
        argv = [f"/bpfbench/tracers/{setup}/tracer", *(word for option in self.options.items() for word in option)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.stdout = self.process.stdout

    def wait_ready(self) -> str:
        """Return the first line it prints."""
        return self.stdout.readline().strip()

    def finish(self, timeout_s: float = 120) -> dict[str, Any]:
        """Wait for the end and tell all."""
        out, err = self.process.communicate(timeout=timeout_s)
        summary = Path(self.options["--summary"])
        output = Path(self.options["--output"])
        return {
            "status": self.process.returncode,
            "stdout": out,
            "stderr": err,
            "summary": json.loads(summary.read_text()) if summary.exists() else None,
            "output_bytes": output.stat().st_size if output.is_file() else None,
            "output_lines": output.read_bytes().count(b"\n") if output.is_file() else None,
            "files": sorted(path.name for path in self.work.iterdir()),
        }

    def send(self, sign: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(sign)


def read_some(work: Path) -> None:
    """Do READS reads in a process named COMM."""
    path = work / "data"
    path.write_bytes(os.urandom(BLOCK))
    child = os.fork()
    if child == 0:
        LIBC.prctl(PR_SET_NAME, COMM.encode(), 0, 0, 0)
        fd = os.open(path, os.O_RDONLY)
        for _ in range(READS):
            os.pread(fd, BLOCK, 0)
        os._exit(0)
    os.waitpid(child, 0)
    path.unlink()


def stopped_by(setup: str, work: Path, sign: signal.Signals, **changed: str) -> dict[str, Any]:
    """Trace all the reads, stop, and tell."""
    tracer = Tracer(setup, work, **changed)
    ready = tracer.wait_ready()
    read_some(work)
    tracer.send(sign)
    return {"ready": ready, **tracer.finish()}


def second_signal(setup: str, work: Path) -> dict[str, Any]:
    """Stop the tracer, and before it can have drained what a stopped process left, signal it again."""
    tracer = Tracer(setup, work, tool="rw-tracer-all")
    ready = tracer.wait_ready()
    target = int(ready.split()[1]) if " " in ready else tracer.process.pid
    # A tracer that does not run cannot drain, so both signals are surely there before it is done.
    os.kill(target, signal.SIGSTOP)
    read_some(work)
    tracer.send(signal.SIGINT)
    time.sleep(0.5)
    tracer.send(signal.SIGTERM)
    if target == tracer.process.pid:
        # Two different signals: which handler runs first is the kernel's choice, that there are two is not.
        os.kill(target, signal.SIGCONT)
    return tracer.finish()


def before_ready(setup: str, work: Path) -> dict[str, Any]:
    """Signal tracers at more and more time after their start, until one was READY first."""
    results: list[dict[str, Any]] = []
    delay_s = 0.002
    while not results or "READY" not in results[-1]["stdout"]:
        tracer = Tracer(setup, work)
        time.sleep(delay_s)
        tracer.send(signal.SIGINT)
        results.append(tracer.finish())
        for path in work.iterdir():
            path.unlink()
        delay_s *= 1.3
    return {"results": results}


def full_device(setup: str, work: Path) -> dict[str, Any]:
    """Write to a device that is always full."""
    tracer = Tracer(setup, work, output="/dev/full")
    ready = tracer.wait_ready()
    read_some(work)
    tracer.send(signal.SIGINT)
    return {"ready": ready, **tracer.finish()}


def full_disk(setup: str, work: Path) -> dict[str, Any]:
    """Write output and summary to a file system that has room for some of the records."""
    small = work / "small"
    small.mkdir()
    if LIBC.mount(b"tmpfs", str(small).encode(), b"tmpfs", 0, b"size=200k"):
        raise OSError(ctypes.get_errno(), "mount")
    try:
        paths = {"output": str(small / "output"), "summary": str(small / "summary.json")}
        return stopped_by(setup, work, signal.SIGINT, **paths)
    finally:
        LIBC.umount2(str(small).encode(), 2)


CASES: dict[str, Callable[[str, Path], dict[str, Any]]] = {
    "SIGINT": lambda setup, work: stopped_by(setup, work, signal.SIGINT),
    "SIGTERM": lambda setup, work: stopped_by(setup, work, signal.SIGTERM),
    "tiny ring": lambda setup, work: stopped_by(setup, work, signal.SIGINT, ringbuf_bytes="4096"),
    "payload": lambda setup, work: stopped_by(setup, work, signal.SIGINT, tool="rw-tracer-all", payload_bytes="100"),
    "syscount": lambda setup, work: stopped_by(setup, work, signal.SIGINT, tool="syscount"),
    "other comm": lambda setup, work: stopped_by(setup, work, signal.SIGINT, target_comm="nobody-is-named"),
    "second signal": second_signal,
    "before ready": before_ready,
    "full device": full_device,
    "full disk": full_disk,
    "unwritable output": lambda setup, work: Tracer(setup, work, output="/nonexistent/output").finish(),
    "bad tool": lambda setup, work: Tracer(setup, work, tool="frobnicate").finish(),
    "bad ring": lambda setup, work: Tracer(setup, work, ringbuf_bytes="5000").finish(),
    "bad comm": lambda setup, work: Tracer(setup, work, target_comm="sixteen-bytes-xx").finish(),
    "bad attach": lambda setup, work: Tracer(setup, work, attach="uprobe").finish(),
    "bad format": lambda setup, work: Tracer(setup, work, format="xml").finish(),
    "unknown option": lambda setup, work: Tracer(setup, work, frobnicate="1").finish(),
}


def main() -> None:
    """Run the case named on the command line."""
    setup, case = sys.argv[1:]
    with tempfile.TemporaryDirectory() as work:
        json.dump({"reads": READS, **CASES[case](setup, Path(work))}, sys.stdout)


if __name__ == "__main__":
    main()
