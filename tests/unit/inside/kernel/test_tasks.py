# SPDX-License-Identifier: Apache-2.0
"""The kernel counts every call of read and write of a process and of those it has reaped, to the call."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from bpfbench.inside.kernel import tasks
from bpfbench.inside.kernel.files import text_if_any
from bpfbench.inside.kernel.tasks import TaskIo
from bpfbench.model import comm_of

TEXT = """\
rchar: 323934931
wchar: 323929600
syscr: 632687
syscw: 632675
read_bytes: 4096
write_bytes: 323932160
cancelled_write_bytes: 0
"""
READS, WRITES, BYTES = 1234, 321, 7


def work(reads: int, writes: int) -> None:
    source, sink = os.open("/dev/zero", os.O_RDONLY), os.open("/dev/null", os.O_WRONLY)
    for _ in range(reads):
        os.pread(source, BYTES, 0)
    for _ in range(writes):
        os.write(sink, bytes(BYTES))
    os.close(source)
    os.close(sink)


def child(reads: int, writes: int) -> int:
    """A process that has ended after so many calls, and is not reaped."""
    pid = os.fork()
    if pid == 0:
        work(reads, writes)
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


def cost() -> TaskIo:
    """What looking itself adds to one's own account."""
    one, other = (tasks.io(os.getpid()) for _ in range(2))
    return beyond(other, one)


def beyond(after: TaskIo, before: TaskIo) -> TaskIo:
    return TaskIo(
        after.read_calls - before.read_calls,
        after.write_calls - before.write_calls,
        after.written_bytes - before.written_bytes,
    )


def test_the_name_of_a_process_may_end_within_a_character() -> None:
    name = "é" * 8
    before = tasks.comm(os.getpid())
    assert before is not None
    Path("/proc/self/comm").write_bytes(name.encode())
    try:
        assert tasks.comm(os.getpid()) == comm_of(name)
        assert text_if_any(Path("/proc/self/comm")) == "é" * 7 + "\N{REPLACEMENT CHARACTER}"
    finally:
        Path("/proc/self/comm").write_bytes(os.fsencode(before))


def test_a_process_that_is_gone_has_no_name() -> None:
    pid = child(0, 0)
    os.waitpid(pid, 0)
    assert tasks.comm(pid) is None


def test_calls_and_bytes_are_read_by_name() -> None:
    assert tasks.parse_io(TEXT) == TaskIo(read_calls=632687, write_calls=632675, written_bytes=323929600)


def test_lines_of_later_kernels_change_nothing() -> None:
    assert tasks.parse_io(TEXT + "later: 1\n") == tasks.parse_io(TEXT)


def test_a_running_process_has_every_call_in_its_account() -> None:
    looking, before = cost(), tasks.io(os.getpid())
    work(READS, WRITES)
    found = beyond(tasks.io(os.getpid()), before)
    assert beyond(found, looking) == TaskIo(READS, WRITES, WRITES * BYTES)


@pytest.mark.usefixtures("ended_accounts")
def test_a_process_that_has_ended_keeps_it_until_it_is_reaped() -> None:
    idle, busy = child(0, 0), child(READS, WRITES)
    assert beyond(tasks.io(busy), tasks.io(idle)) == TaskIo(READS, WRITES, WRITES * BYTES)
    for pid in (idle, busy):
        os.waitpid(pid, 0)
        with pytest.raises(OSError, match="No such"):
            tasks.io(pid)


@pytest.mark.usefixtures("ended_accounts")
def test_who_reaps_it_takes_it_over() -> None:
    looking, pid = cost(), child(READS, WRITES)
    own, before = tasks.io(pid), tasks.io(os.getpid())
    os.waitpid(pid, 0)
    assert beyond(beyond(tasks.io(os.getpid()), before), looking) == own
    assert own.read_calls >= READS


def test_who_works_runs_and_who_sleeps_does_not() -> None:
    asked, release = threading.Event(), threading.Event()

    def spin_then_wait() -> None:
        while not asked.is_set():
            pass
        release.wait()

    thread = threading.Thread(target=spin_then_wait)
    before = tasks.scheduled_threads(os.getpid())
    thread.start()
    assert thread.native_id not in before
    time.sleep(0.2)
    asked.set()
    time.sleep(0.1)  # for it to have come to wait
    one = tasks.scheduled_threads(os.getpid())[thread.native_id or 0]
    time.sleep(0.2)
    assert tasks.scheduled_threads(os.getpid())[thread.native_id or 0] == one
    assert one.ran_ns + one.delayed_ns > 100_000_000
    release.set()
    thread.join()


def test_no_thread_is_told_of_a_process_that_is_gone() -> None:
    pid = child(0, 0)
    assert list(tasks.scheduled_threads(pid)) == [pid]
    os.waitpid(pid, 0)
    assert tasks.scheduled_threads(pid) == {}
