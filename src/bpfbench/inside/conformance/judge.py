# SPDX-License-Identifier: Apache-2.0
"""The comparison of what tracers reported with what was done, to the event. Pure; every failure shows an event."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TypeVar

from bpfbench.errors import StepError
from bpfbench.inside.conformance.fork import NUMBERS
from bpfbench.inside.conformance.output import Event
from bpfbench.inside.conformance.program import KINDS, UNUSED_SYSCALL, Call, Did, Thread
from bpfbench.model import Tool

CLOCK_SLACK_NS = 10_000
"""How far the kernel's clock for BPF may be from CLOCK_MONOTONIC: it is not corrected while it is being read."""

# All columns but those that are compared in another way: times by bounds, ids by being one for each thread.
_COMPARED = ("offset", "count", "ret", "inode", "dev", "op", "flags", "uid", "comm", "name", "payload_len", "payload")


class FailedError(StepError):
    """A tracer is not as the contract says; the message shows how."""


def expect(holds: bool, message: str) -> None:
    """Raise unless something holds. Not for what is asked of every event: to show one takes longer than to judge it.

    Raises:
        FailedError: with the message.
    """
    if not holds:
        raise FailedError(message)


def match(events: Iterable[Event], did: Did, tool: Tool, *, complete: bool) -> dict[int, int]:
    """Compare events with what the program did.

    Each event must be one call of one thread: within the time the call took, and equal to it in every column; no call
    may be reported twice.

    Args:
        events: what a tracer reported.
        did: what was done.
        tool: rw-tracer has no payload.
        complete: every call must have been reported.

    Returns:
        The thread (its index in `did.threads`) of each tid.

    Raises:
        FailedError: shows the first event that differs.
    """
    by_tid: dict[int, list[Event]] = {}
    for event in events:
        by_tid.setdefault(event.tid, []).append(event)
    threads = {tid: _thread_of(found, did.threads) for tid, found in by_tid.items()}
    found = {number: tid for tid, number in threads.items()}
    expect(
        len(found) == len(threads),
        f"events of {len(threads)} tids {sorted(threads)}, where {len(did.threads)} threads did something; "
        f"such as {_shown(next(iter(by_tid.values()))[0]) if by_tid else 'none'}",
    )
    for tid, of_thread in by_tid.items():
        _match_thread(of_thread, did.threads[threads[tid]], tool, complete=complete)
    for number, thread in enumerate(did.threads):
        if complete and number not in found:
            raise FailedError(f"no event of a whole thread, such as {_shown_call(thread.calls[0])}")
    _match_ids(by_tid, threads, did.threads)
    return threads


def _thread_of(events: Sequence[Event], threads: Sequence[Thread]) -> int:
    """Return the thread whose calls resemble these events most, by time and file."""

    def hits(number: int) -> int:
        done = {(call.inode, call.offset, call.count, call.ret) for call in threads[number].calls if call.inode}
        return sum((event.inode, event.offset, event.count, event.ret) in done for event in events)

    return max(range(len(threads)), key=hits)


def _match_thread(events: list[Event], thread: Thread, tool: Tool, *, complete: bool) -> None:
    starts = [call.before_ns for call in thread.calls]
    reported: dict[int, Event] = {}
    for event in sorted(events, key=lambda event: event.enter_ns):
        near = _near(event, thread.calls, starts)
        if not near:
            raise FailedError(f"an event from when nothing was done: {_shown(event)}")
        equal = [number for number in near if not _difference(event, thread.calls[number], tool)]
        if not equal:
            call = thread.calls[near[-1]]
            raise FailedError(f"{_difference(event, call, tool)}: {_shown(event)}; what was done: {_shown_call(call)}")
        free = [number for number in equal if number not in reported]
        if not free:
            raise FailedError(f"reported twice: {_shown(event)}")
        reported[free[0]] = event
    missing = [call for number, call in enumerate(thread.calls) if number not in reported]
    if complete and missing:
        raise FailedError(f"{len(missing)} calls are not reported, such as {_shown_call(missing[0])}")


def _near(event: Event, calls: Sequence[Call], starts: Sequence[int]) -> list[int]:
    """Return the calls that an event may be by its time, in order: one, or a few where they follow each other fast."""
    number = bisect.bisect_right(starts, event.enter_ns + CLOCK_SLACK_NS) - 1
    near = []
    while number >= 0 and calls[number].after_ns + CLOCK_SLACK_NS >= event.enter_ns:
        near.append(number)
        number -= 1
    return near[::-1]


def _difference(event: Event, call: Call, tool: Tool) -> str:
    """Say in what an event differs from a call; nothing where it does not."""
    without_payload = {"payload_len": 0, "payload": ""} if tool is Tool.RW_TRACER else {}
    for column in _COMPARED:
        found, wanted = getattr(event, column), without_payload.get(column, getattr(call, column))
        if found != wanted:
            return f"{column} is {_short(found)}, not {_short(wanted)}"
    if not call.before_ns - CLOCK_SLACK_NS <= event.enter_ns <= event.exit_ns <= call.after_ns + CLOCK_SLACK_NS:
        return f"the call was between {call.before_ns} and {call.after_ns}, not {event.enter_ns} and {event.exit_ns}"
    if event.exit_ns < call.not_before_ns - CLOCK_SLACK_NS:
        return f"the call returned after {call.not_before_ns}, not at {event.exit_ns}"
    return ""


def _match_ids(by_tid: Mapping[int, Sequence[Event]], threads: Mapping[int, int], done: Sequence[Thread]) -> None:
    """Make sure that threads have the ids that threads have."""
    pids: dict[int, int] = {}
    for tid, events in by_tid.items():
        thread = done[threads[tid]]
        for event in events:
            pid = pids.setdefault(thread.process, event.pid)
            if event.pid != pid:
                raise FailedError(f"pid is {event.pid}, and {pid} in another event of that process: {_shown(event)}")
            if (event.pid == tid) != thread.is_main:
                which = "the main" if thread.is_main else "another"
                raise FailedError(f"pid is {event.pid} in {which} thread {tid}: {_shown(event)}")
    expect(len(set(pids.values())) == len(pids), f"{len(pids)} processes have the pids {sorted(pids.values())}")


def agree(inner: Iterable[Event], outer: Iterable[Event]) -> None:
    """Compare what hooks of the VFS reported with what tracepoints reported of the same calls at the same time.

    Each event of the former must lie within one of the latter, and equal it in every column but the times.

    Args:
        inner: by kprobe or fentry.
        outer: by tracepoint, complete.

    Raises:
        FailedError: shows the first event that has no equal.
    """
    calls: dict[int, list[Event]] = {}
    for event in sorted(outer, key=lambda event: event.enter_ns):
        calls.setdefault(event.tid, []).append(event)
    for event in inner:
        of_thread = calls.get(event.tid, [])
        middle_ns = (event.enter_ns + event.exit_ns) // 2
        number = bisect.bisect_right(of_thread, middle_ns, key=lambda call: call.enter_ns) - 1
        if number < 0:
            raise FailedError(f"before all that tracepoints saw of that thread: {_shown(event)}")
        call = of_thread[number]
        within = call.enter_ns - CLOCK_SLACK_NS <= event.enter_ns <= event.exit_ns <= call.exit_ns + CLOCK_SLACK_NS
        if not within or replace(event, enter_ns=call.enter_ns, exit_ns=call.exit_ns) != call:
            raise FailedError(f"tracepoints saw {_shown(call)}, and not {_shown(event)}")


def in_order(events: Iterable[Event], apart: Callable[[Event], int] = lambda _: 0) -> None:
    """Make sure that the events of each thread are in the order in which its calls ended.

    Args:
        events: as they were reported.
        apart: tells, of a thread, which may be in any order among each other.

    Raises:
        FailedError: shows the first event that is not.
    """
    last: dict[tuple[int, int], Event] = {}
    for event in events:
        own = event.tid, apart(event)
        before = last.setdefault(own, event)
        if event.exit_ns < before.exit_ns:
            raise FailedError(f"of one thread, {_shown(event)} comes after {_shown(before)}")
        last[own] = event


def numbered(events: Iterable[Event]) -> None:
    """Make sure that the times of events put those of a thread in order whose offsets are the numbers of its reads.

    Raises:
        FailedError: shows the first event that has no greater number than the one before.
    """
    last: dict[int, Event] = {}
    for event in sorted(events, key=lambda event: event.exit_ns):
        before = last.get(event.tid)
        if before and before.offset >= event.offset > 0:
            raise FailedError(f"of one thread, by their times, {_shown(event)} comes after {_shown(before)}")
        last[event.tid] = event


T = TypeVar("T")


def outliers(reported: Mapping[T, Mapping[int, int]], what: str) -> dict[T, str]:
    """Compare what different tracers reported of the same thing.

    Args:
        reported: by tracer.
        what: what the keys are, for the message.

    Returns:
        Those that differ from most, with the difference.
    """
    if not reported:
        return {}
    (usual, _), *_ = Counter(tuple(sorted(found.items())) for found in reported.values()).most_common(1)
    return {
        tracer: f"{what}: {sorted(set(found.items()) - set(usual))}, where most other tracers report "
        f"{sorted(set(usual) - set(found.items()))}"
        for tracer, found in reported.items()
        if tuple(sorted(found.items())) != usual
    }


def match_counts(counts: Mapping[int, int], did: Did, refused: int = 0) -> None:
    """Compare syscount's counts with what the program did.

    Args:
        counts: what a tracer reported.
        did: what was done.
        refused: how many calls the tracer says it lost, of whatever number.

    Raises:
        FailedError: shows the first count that differs.
    """
    expected = {NUMBERS[kind]: did.of_kind(kind) for kind in KINDS} | {UNUSED_SYSCALL: did.unused_syscalls}
    for number, count in expected.items():
        counted = counts.get(number, 0)
        refused -= count - counted
        expect(counted <= count and refused >= 0, f"system call {number}: {counted} counted, {count} made")


def _shown(event: Event) -> str:
    return _columns("event", asdict(event))


def _shown_call(call: Call) -> str:
    return _columns(call.kind, {name: getattr(call, name) for name in _COMPARED})


def _columns(what: str, columns: Mapping[str, object]) -> str:
    return f"{what}({', '.join(f'{name}={_short(value)}' for name, value in columns.items())})"


def _short(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 70 else f"{text[:50]}… ({len(text)} characters)"
