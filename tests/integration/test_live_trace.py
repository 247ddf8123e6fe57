# SPDX-License-Identifier: Apache-2.0
"""bpfbench trace on the real kernel, as a user types it: every event is shown or reported lost, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import processes
import pytest

from bpfbench import cli
from bpfbench.inside import leftovers
from bpfbench.machine import turn
from bpfbench.testbed.host import IN_FLIGHT

Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = [pytest.mark.usefixtures("trixie"), pytest.mark.beside]  # it takes its turn, and no number of it counts

SETUPS = ["bpftrace", "bcc", "libbpf"]
LIBBPF = ("--setup", "libbpf", "--tool", "rw-tracer")
FOREVER = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1")

SLOW = """\
#!/usr/bin/python3
import os, time
file = os.open("/etc/passwd", os.O_RDONLY)
while True:
    os.pread(file, 10, 0)
    time.sleep(0.05)
"""
"""Reads 10 bytes, 20 times a second."""


def dd(place: Path, count: int) -> list[str]:
    """Return a command that reads a byte so often from a file, and writes it to another; nobody else's is called so."""
    (place / "in").write_bytes(bytes(count * 2))
    shutil.copy(shutil.which("dd") or "", place / "own-dd")
    return [str(place / "own-dd"), f"if={place / 'in'}", f"of={place / 'out'}", "bs=1", f"count={count}"]


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return what was printed as JSON lines."""
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Return a program that reads for ever, with a name of its own."""
    path = tmp_path / "slow-reader"
    path.write_text(SLOW)
    path.chmod(0o755)
    return path


@contextlib.contextmanager
def started(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Start a trace in the background, as the leader of a group as a shell would; its command is past its start.

    A program has read files before its own first line, and what a signal does then is not what it asked for.
    """
    argv = [sys.executable, "-m", "bpfbench", "trace", *map(str, words)]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            assert "PID" in process.stdout.readline()
            assert any(word in line for line in process.stdout for word in ("passwd", "zero"))
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def remains(before: leftovers.Inventory, command: str | Path) -> list[str]:
    """Return what a trace left, after the moment its children need to end, and while nobody else measures."""
    with turn.alone(print):
        until_s = time.monotonic() + 10
        while True:
            new = leftovers.new_since(before, Path("/run"))
            bpf = [f"{kind}: {items}" for kind, items in new.items() if kind.startswith("BPF")]
            outputs = [str(path) for path in (cli.cache_dir() / "output").glob(f"{IN_FLIGHT}*")]
            found = [*bpf, *outputs, *running(str(command))]
            if not found or time.monotonic() > until_s:
                return found
            time.sleep(0.1)


def running(word: str) -> list[str]:
    """Return the command lines with that word."""
    lines = processes.command_lines().values()
    return [" ".join(words) for words in lines if word in words and "bpfbench" not in words]


@pytest.mark.parametrize("setup", SETUPS)
class TestEverySetup:
    def test_shows_every_event(self, bpfbench: Run, tmp_path: Path, setup: str) -> None:
        options = ("--setup", setup, "--tool", "rw-tracer", "--ringbuf-bytes", "4MiB", "--json")
        *events, last = objects(bpfbench("trace", *options, "--", *dd(tmp_path, 2000)))
        assert sum(e["op"] == "read" and e["name"] == "in" and e["ret"] == 1 for e in events) == 2000
        assert sum(e["op"] == "write" and e["name"] == "out" and e["ret"] == 1 for e in events) == 2000
        assert len({e["pid"] for e in events}) == 1
        summary = last["summary"]
        assert len(events) == summary["shown"] == summary["saved"] == sum(summary["intercepted"].values())

    def test_shows_payloads(self, bpfbench: Run, tmp_path: Path, setup: str) -> None:
        (tmp_path / "words").write_text("To be, or not to be, that is the question:\n")
        options = ("--setup", setup, "--tool", "rw-tracer-all", "--payload-bytes", "20")
        done = bpfbench("trace", *options, "--", "cat", tmp_path / "words")
        assert done.returncode == 0
        read = done.stdout.index("words\n")
        assert done.stdout[read:].splitlines()[1:3] == [
            "          54 6f 20 62 65 2c 20 6f 72 20 6e 6f 74 20 74 6f  |To be, or not to|",
            "          20 62 65 2c                                      | be,|",
        ]
        assert "To be, or not to be, that is the question:" in done.stderr

    def test_counts_system_calls(self, bpfbench: Run, tmp_path: Path, setup: str) -> None:
        options = ("--setup", setup, "--tool", "syscount", "--json")
        counts, last = objects(bpfbench("trace", *options, "--", *dd(tmp_path, 2000)))
        by_name = {item["name"]: item["count"] for item in counts["counts"]}
        assert 2000 <= by_name["read"] < 2020
        assert 2000 <= by_name["write"] < 2020
        assert by_name["exit_group"] == 1
        assert sum(by_name.values()) == last["summary"]["saved"]

    def test_reports_what_a_small_ring_loses(self, bpfbench: Run, setup: str) -> None:
        options = ("--setup", setup, "--tool", "rw-tracer", "--ringbuf-bytes", "4KiB")
        done = bpfbench("trace", *options, "--", *FOREVER, "count=50000")
        assert done.returncode == 0
        shown = len(done.stdout.splitlines()) - 1
        (account,) = (line for line in done.stderr.splitlines() if line.startswith("dd: "))
        assert f"{shown} shown, " in account
        assert int(account.split()[1]) > 100000
        assert "ring_full" in done.stderr
        assert "the ring has 4 KiB, --ringbuf-bytes sets it" in done.stderr

    def test_ends_by_ctrl_c(self, slow: Path, setup: str) -> None:
        before = leftovers.take(Path("/run"))
        with subprocess.Popen([slow]) as reader:
            argv = [sys.executable, "-m", "bpfbench", "trace", "--setup", setup, "--tool", "rw-tracer"]
            with subprocess.Popen(
                [*argv, "--comm", slow.name],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a shell does, with &
            ) as trace:
                assert trace.stdout is not None
                header = trace.stdout.readline()
                time.sleep(1)
                trace.send_signal(signal.SIGINT)
                events = trace.stdout.read()  # communicate() would miss what came with the header's line
                _, said = trace.communicate(timeout=60)
            reader.kill()
        assert trace.returncode == 0, said
        assert "PID" in header
        assert f"{slow.name}: {len(events.splitlines())} calls intercepted" in said
        assert 5 < len(events.splitlines()) < 200
        assert remains(before, slow) == []


def test_events_are_shown_while_the_command_runs(slow: Path) -> None:
    with started(*LIBBPF, "--", slow) as trace:
        assert trace.stdout is not None
        assert all("read" in trace.stdout.readline() for _ in range(40))
        assert trace.poll() is None


def test_the_exit_status_is_the_commands(bpfbench: Run) -> None:
    done = bpfbench("trace", *LIBBPF, "--", "sh", "-c", "exit 3")
    assert done.returncode == 3
    assert "sh ended with status 3" in done.stderr


def test_ctrl_c_is_for_the_command(slow: Path) -> None:
    before = leftovers.take(Path("/run"))
    with started(*LIBBPF, "--", slow) as trace:
        os.killpg(trace.pid, signal.SIGINT)
        _, said = trace.communicate(timeout=60)
    assert trace.returncode == 130
    assert "KeyboardInterrupt" in said
    assert "Traceback" not in said.partition("calls intercepted")[2]
    assert remains(before, slow) == []


def test_sigterm_ends_the_command_and_the_trace(slow: Path) -> None:
    before = leftovers.take(Path("/run"))
    with started(*LIBBPF, "--", slow) as trace:
        trace.terminate()
        _, said = trace.communicate(timeout=60)
    assert trace.returncode == 143
    assert "calls intercepted" in said
    assert remains(before, slow) == []


def test_a_reader_that_has_seen_enough_ends_it_quietly() -> None:
    before = leftovers.take(Path("/run"))
    with started(*LIBBPF, "--", *FOREVER) as trace:
        assert trace.stdout is not None
        assert trace.stderr is not None
        trace.stdout.close()
        assert trace.wait(timeout=60) == 0
        said = [line for line in trace.stderr if line.startswith("bpfbench")]
        assert [line for line in said if "another bpfbench is measuring" not in line] == []
    assert remains(before, "of=/dev/null") == []


def test_a_killed_trace_leaves_nothing(slow: Path) -> None:
    before = leftovers.take(Path("/run"))
    with started(*LIBBPF, "--", slow) as trace:
        trace.kill()
        trace.wait()
    assert remains(before, slow) == []


def test_a_tracer_whose_output_is_full_ends_and_the_command_does_not(bpfbench: Run) -> None:
    done = bpfbench("trace", *LIBBPF, "--output-limit-bytes", "64KiB", "--", *FOREVER, "count=200000")
    assert done.returncode == 1
    assert "200000+0 records out" in done.stderr
    assert "output_error" in done.stderr
    assert "--output-limit-bytes sets how much it may write" in done.stderr


def test_what_shows_the_events_is_not_traced(bpfbench: Run) -> None:
    *events, last = objects(bpfbench("trace", *LIBBPF, "--json", "--", "python3", "-c", "pass"))
    assert not any(event["name"] == "trace.out" for event in events)
    assert last["summary"]["saved"] == len(events)


def test_two_that_measure_do_not_meet(bpfbench: Run, slow: Path) -> None:
    with started(*LIBBPF, "--", slow) as first:
        done = bpfbench("trace", *LIBBPF, "--no-wait", "--", "true")
    assert done.returncode == 1
    first_one = f"process {first.pid}, bpfbench trace --setup libbpf --tool rw-tracer -- {slow}"
    assert f"another bpfbench is measuring on this machine: {first_one}" in done.stderr


def test_it_says_how_to_trace_another_where_nothing_was_seen(bpfbench: Run) -> None:
    done = bpfbench("trace", *LIBBPF, "--comm", "nobody", "--", "true")
    assert done.returncode == 0
    assert "--comm NAME traces another" in done.stderr
