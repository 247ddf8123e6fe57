# SPDX-License-Identifier: Apache-2.0
"""Cases of fs-profile: files are used in known ways, calls wait in a pipe, before the eyes of all tracers at once."""

from __future__ import annotations

import contextlib
from pathlib import Path

from bpfbench.inside.conformance import loads, output
from bpfbench.inside.conformance.driven import COMM, Driven, Left
from bpfbench.inside.conformance.judge import expect
from bpfbench.inside.conformance.loads import Use
from bpfbench.inside.conformance.output import Profile
from bpfbench.inside.conformance.together import Judge, judged, loaded, together
from bpfbench.model import Attach, Tool, TracerSummary

Uses = dict[tuple[int, int, int], Use]

FILES, MAP_FILES, FILES_BEYOND = 211, 1024, 307
"""Files used: more than the map of the most used has entries; what the map of latencies has; and more than that."""
WAITING = 203
"""Slow calls at once: more than a tiny ring has room for."""
TINY = {"--ringbuf-bytes": "4096"}


def _profile(left: Left, summary: TracerSummary) -> Profile:
    """Return what is in an output, after making sure that it is what the summary says."""
    found = output.profile(left.output)
    calls = sum(own.count for own in found.latencies)
    events = calls + len(found.slow)
    expect(summary.saved == events, f"saved {summary.saved}, and {events} events are in the output")
    told, lost = summary.intercepted.get("slow", 0), summary.lost["ring_full"] or 0
    expect(
        told == len(found.slow) + lost, f"{told} slow intercepted; {len(found.slow)} in the output, {lost} ring_full"
    )
    least, most = (sum(sum(own.slots[slot:]) for own in found.latencies) for slot in (20, 19))
    expect(least <= told <= most, f"{told} slow intercepted; {least} to {most} by the latencies")
    uses = {(own.dev, own.inode): 0 for own in found.latencies}
    for own in found.latencies:
        uses[own.dev, own.inode] += own.count
    for dev, inode, count, _ in found.top:
        known = uses.get((dev, inode), uses.get((0, 0), 0))
        expect(0 < count <= known, f"{count} calls in top, and {known} in the latencies, of dev {dev}, inode {inode}")
    expect(bool(found.top) == any(uses), f"{len(found.top)} files are the most used, where {len(uses)} were")
    return found


def _watch_files(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
    """Every call of known files is counted: how many, how much, and under which name."""
    return judged(tracers, _judge_files(loads.uses(COMM, work, FILES)))


def _judge_files(done: Uses) -> Judge:
    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        profile = _profile(left, summary)
        found = {(own.dev, own.inode, own.op): Use(own.count, own.bytes, own.name) for own in profile.latencies}
        # Nobody opens what is not there, so to say: the VFS never sees a call without a file.
        wanted = {key: use for key, use in done.items() if key[1] or tracer.subject.attach is Attach.TRACEPOINT}
        for key in sorted({*found, *wanted}):
            expect(found.get(key) == wanted.get(key), f"dev, inode, op {key}: {found.get(key)}, not {wanted.get(key)}")
        others = (summary.lost["recursion"] or 0) + (summary.lost["missed"] or 0)
        calls, said = sum(use.count for use in wanted.values()), summary.intercepted
        right = calls <= said.get("read", 0) + said.get("write", 0) <= calls + others
        expect(right, f"intercepted {said}, {others} of them skipped; {calls} calls were made")

    return judge_one


def _watch_more_files(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
    """Of more files than there is room for, no call is lost: the rest is in the lines of no file."""
    done = loads.uses(COMM, work, MAP_FILES + FILES_BEYOND)
    calls = sum(use.count for use in done.values())

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        found = _profile(left, summary).latencies
        named = [own for own in found if own.inode]
        expect(len(named) == MAP_FILES, f"{len(named)} files and ways have a line; the map has {MAP_FILES} entries")
        for own in named:
            told, use = Use(own.count, own.bytes, own.name), done.get((own.dev, own.inode, own.op))
            expect(told == use, f"dev {own.dev}, inode {own.inode}, op {own.op}: {told}, not {use}")
        missing = calls - sum(own.count for own in found)
        without_file = int(tracer.subject.attach is not Attach.TRACEPOINT)
        expect(missing == without_file, f"{missing} of {calls} calls are in no line")

    return judged(tracers, judge_one)


def _expect_all(tracer: Driven, told: int, summary: TracerSummary) -> None:
    """So many waited at once that a kretprobe has no instance for most: the kernel misses that these return."""
    missed, account = summary.lost["missed"], f"{told} slow reads, where {WAITING} waited; lost {summary.lost}"
    if tracer.subject.attach is Attach.KPROBE:
        expect(0 < told <= WAITING and (missed is None or told + missed >= WAITING), account)
    else:
        expect(told == WAITING, account)


def _judge_waiting(tracer: Driven, left: Left, summary: TracerSummary) -> None:
    """Calls that had to wait are told one by one, with where in the kernel they were."""
    slow = [own for own in _profile(left, summary).slow if own.op == 0]
    _expect_all(tracer, len(slow), summary)
    expect(len({own.tid for own in slow}) == len(slow), "two of them have the same tid")
    expect(len({own.pid for own in slow}) == 1, "they have different pids")
    expect(len({(own.dev, own.inode, own.ret) for own in slow}) == 1, "they are of different files, or results")


def _watch_overflow(tracers: list[Driven], _: Tool, __: Path) -> dict[Driven, str]:
    """A ring that overflows, as nobody empties it, loses slow calls by account only, and nothing of the latencies."""

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        found, full = _profile(left, summary), summary.lost["ring_full"] or 0
        told = full + sum(own.op == 0 for own in found.slow)
        _expect_all(tracer, told, summary)
        reads = sum(own.count for own in found.latencies if not own.op)
        expect(reads == told, f"{reads} reads are in the latencies; {told} slow ones are told, or lost by ring_full")
        overflown = full > 0 or tracer.subject.attach is Attach.KPROBE  # of which too few return
        expect(overflown, f"none lost by ring_full, with a ring of {TINY['--ringbuf-bytes']}")

    with contextlib.ExitStack() as frozen:
        for tracer in tracers:
            frozen.enter_context(tracer.frozen())
        loads.blocked_reads(COMM, WAITING)
    return judged(tracers, judge_one)


CASES = {
    "profile": together((Tool.FS_PROFILE,), COMM, _watch_files),
    "profile map full": together((Tool.FS_PROFILE,), COMM, _watch_more_files),
    "slow calls": loaded(Tool.FS_PROFILE, lambda _: loads.blocked_reads(COMM, WAITING), _judge_waiting),
    "slow calls overflow": together((Tool.FS_PROFILE,), COMM, _watch_overflow, TINY),
}
