# SPDX-License-Identifier: Apache-2.0
"""The I/O program of the conformance suite does what it notes, in numbers that no batch size divides."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bpfbench.inside.conformance import program
from bpfbench.inside.conformance.program import CALLS, COMM, KINDS, RESEMBLING, Did, PlannedCall, Thread, _Load
from bpfbench.model import Attach

MADE = 150
"""Calls; more than there are steps, so that each is taken at least twice."""


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Load]:
    """One thread's part of the program, done here."""
    if not Path("/proc/self/syscall").exists():
        pytest.skip("the program cannot see whether a thread waits")
    made = _Load(tmp_path_factory.mktemp("program") / "load", payload_bytes=16)
    made.run(MADE)
    yield made
    made.close()


def planned(load: _Load, calls: int) -> list[str]:
    """The kinds of the first calls of a thread."""
    kinds = (step.kind for step in itertools.cycle(load.steps()) if isinstance(step, PlannedCall))
    return ["read", *itertools.islice(kinds, calls - 1)]


def is_prime(n: int) -> bool:
    return n > 1 and all(n % divisor for divisor in range(2, int(n**0.5) + 1))


def test_reads_and_writes_are_both_prime_in_number(load: _Load) -> None:
    """Whoever adds a step finds out how many calls there are to be: a few more of the first thread."""
    kinds = [kind for calls in CALLS for kind in planned(load, calls)]
    writes = sum(kind in ("write", "pwrite64") for kind in kinds)
    assert is_prime(writes)
    assert is_prime(len(kinds) - writes)


def test_the_calls_are_those_that_were_planned(load: _Load) -> None:
    assert [call.kind for call in load.calls] == planned(load, MADE)
    assert {call.kind for call in load.calls} == set(KINDS)
    assert load.unused_syscalls > 0


def test_the_first_call_is_one_that_waits(load: _Load) -> None:
    first = load.calls[0]
    assert first.before_ns < first.not_before_ns <= first.after_ns
    assert bytes.fromhex(first.payload) == b"late"


def test_calls_are_noted_one_after_the_other_on_the_clock_of_the_events(load: _Load) -> None:
    times = [ns for call in load.calls for ns in (call.before_ns, call.after_ns)]
    assert times == sorted(times)


def test_a_payload_is_what_was_moved_cut_to_what_is_kept(load: _Load) -> None:
    for call in load.calls:
        assert call.payload_len == min(max(call.ret, 0), 16)
        assert len(bytes.fromhex(call.payload)) == call.payload_len


def test_calls_fail_fall_short_and_reach_far(load: _Load) -> None:
    calls = load.calls
    assert {-call.ret for call in calls if call.ret < 0} >= {9, 14, 21, 22, 29}  # EBADF, EFAULT, EISDIR, EINVAL, ESPIPE
    assert any(0 < call.ret < call.count for call in calls)
    assert any(call.ret == 0 < call.count for call in calls)
    assert any(call.count == 0 for call in calls)
    assert any(call.offset > 2**32 for call in calls)


def test_what_has_no_file_is_noted_without_one(load: _Load) -> None:
    without = [call for call in load.calls if call.inode == 0]
    assert without
    assert {(call.dev, call.flags, call.name, call.ret) for call in without} == {(0, 0, "", -9)}


def test_hooks_of_the_vfs_see_all_calls_but_those_refused_before_it(load: _Load) -> None:
    done = Did((Thread(0, True, tuple(load.calls)),), load.unused_syscalls)
    assert done.seen_by(Attach.TRACEPOINT) == done
    for attach in (Attach.KPROBE, Attach.FENTRY):
        seen = done.seen_by(attach).threads[0].calls
        refused = [call for call in load.calls if call not in seen]
        assert {-call.ret for call in refused} == {9, 22, 29}  # EBADF, EINVAL, ESPIPE
        assert {-call.ret for call in seen if call.ret < 0} == {9, 14, 21}  # by the VFS itself, or behind it
        assert all(call.inode for call in seen)


def test_a_file_is_noted_as_the_kernel_knows_it(load: _Load) -> None:
    known = load.known(load.file)
    status = os.fstat(load.file)
    assert (known["inode"], known["offset"]) == (status.st_ino, os.lseek(load.file, 0, os.SEEK_CUR))
    assert known["name"] == program.LONG_NAME[:63] != program.LONG_NAME


def test_those_that_resemble_the_traced_one_are_not_it() -> None:
    assert len(COMM.encode()) == 15
    assert COMM not in RESEMBLING
    assert all(0 < len(name.encode()) <= 15 for name in RESEMBLING)
    assert len(set(RESEMBLING)) == len(RESEMBLING)


def test_what_others_did_too_is_by_processes_of_their_own(load: _Load) -> None:
    calls = tuple(load.calls)
    two = Did((Thread(0, True, calls), Thread(0, False, calls)), 2)
    three = two + Did((Thread(0, True, calls),), 1)
    assert three == Did((*two.threads, Thread(1, True, calls)), 3)
    assert [thread.process for thread in (three + two).threads] == [0, 0, 1, 2, 2]


def test_calls_are_counted_by_kind_over_all_threads(load: _Load) -> None:
    one = Thread(0, True, tuple(load.calls))
    two = Thread(1, True, tuple(call for call in load.calls if call.kind == "read"))
    done = Did((one, two), 0)

    def count(*kinds: str) -> int:
        return sum(call.kind in kinds for call in load.calls)

    assert done.of_kind("write") == count("write")
    assert done.of_kind("read") == 2 * count("read")
    assert done.of_kind("read", "pread64") == 2 * count("read") + count("pread64")
    assert done.of_kind() == 0
