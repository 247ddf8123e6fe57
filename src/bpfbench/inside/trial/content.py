# SPDX-License-Identifier: Apache-2.0
"""The content of a tracer's output: read by tracers/audit, after fio or behind the tracer, and judged here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside import environment
from bpfbench.inside.monitors.series import Span
from bpfbench.inside.trial import fio, variant
from bpfbench.inside.trial.behind import Behind
from bpfbench.inside.trial.workload import LAYOUT_MARK
from bpfbench.model import (
    BLOCK_BYTES,
    TARGET_COMM,
    Check,
    Content,
    Format,
    ProfileContent,
    Tool,
    TracerConfig,
    TrialSpec,
    Waking,
    Workload,
)

AUDIT = "/bpfbench/tracers/audit/audit"
"""The program, inside an image."""

COMPARED_MOST = 10_000
"""How many payloads are compared with the file: some 60 ms of 4 KiB in hexadecimal, where the files are cached."""

WITH_NOTICES = "bpftrace"
"""The setups so named write notices among their records, and take them out once they have ended, unless followed."""

SILENCE_MOST_S = 1.0
"""The longest that nothing may be recorded while fio runs at full speed and the tracer can."""

SILENCE_MOST_IOS = 10
"""And so many I/Os more of one process whose rate is limited."""

DEVICE_MINOR_BITS = 20
"""The kernel's device numbers: major << 20 | minor."""


@dataclass(frozen=True, slots=True)
class TracedOutput:
    """An output, and what its records are to be like."""

    output: Path
    format: Format
    payload_bytes: int
    """0: records have no payload."""
    data: tuple[Path, ...]
    """fio's files. Of another target none is known; the audit wants one, and gets one that nobody opens."""
    dev: int
    """The device they are on, by the kernel's number."""
    since_ns: int
    """When the tracer was started, or some time before; CLOCK_MONOTONIC."""
    compared_op: str
    compare_every: int
    """0: no payload is compared."""
    comm: str = TARGET_COMM
    """What the processes are called whose records there are."""
    notices: bool = False
    """Whether bpftrace's lines between the records are still there."""
    profile: bool = False
    """Whether they are the lines of fs-profile."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the content of an output is held against."""

    ios: int
    """By fio's account: there are no more data records."""
    lost: int | None
    """How many of those may be missing; None: nobody knows."""
    others_most: int
    """How many accesses of its own the target made at most."""
    payload: bool
    """Whether records have a payload."""
    span_s: Span
    """When fio did its I/O."""
    silence_most_s: float | None
    """The longest silence; None where the tracer is kept from recording on purpose, or the target is not fio."""
    slow: int | None = None
    """Of fs-profile: how many calls were slow by its own account."""
    files: bool = True
    """Whether it is known in which files the data are: fio's."""
    ordered: bool = True
    """Whether the events of a thread have to come in their order."""


def subject(spec: TrialSpec, output: Path, since_ns: int, *, followed: bool) -> TracedOutput | None:
    """Return what a trial's tracer writes, if it leaves records that can be looked at one by one.

    Args:
        spec: of the trial.
        output: what its tracer writes.
        since_ns: when the tracer was started, or before.
        followed: whether it is to be looked at while it is written.

    Raises:
        StepError: the files are not there.
    """
    trial, data_dir = spec.trial, Path(spec.data_dir)
    config = trial.config
    if config is None or config.format is None or trial.tool is Tool.SYSCOUNT or not variant.writes(config):
        return None
    expected = trial.workload.total_bytes // BLOCK_BYTES
    return TracedOutput(
        output=output,
        format=config.format,
        payload_bytes=config.payload_bytes or 0,
        data=tuple(data_dir / name for name in fio.data_files(trial.workload) or (LAYOUT_MARK,)),
        dev=_device(data_dir),
        since_ns=since_ns,
        compared_op=compared_op(trial.workload),
        compare_every=compare_every(expected, COMPARED_MOST) if config.payload_bytes and spec.target is None else 0,
        comm=spec.comm,
        notices=followed and trial.setup.startswith(WITH_NOTICES),
        profile=trial.tool is Tool.FS_PROFILE,
    )


def compared_op(workload: Workload) -> str:
    """Return the direction whose payloads the files hold when all is over: what was read may be written later."""
    return "read" if workload.name == "read" else "write"


def compare_every(expected: int, most: int) -> int:
    """Return every how many-th payload is compared, so that at most `most` of `expected` are.

    It is odd, so that each of processes that take turns gets its share.
    """
    return max(1, -(-expected // most)) | 1


def silence_most_s(workload: Workload, config: TracerConfig | None = None) -> float:
    """Return how long a target with that rate may leave no record: a pause is no silence, nor is a tracer's sleep.

    One that nothing wakes up sleeps for its poll time-out while its ring is full.
    """
    asleep_ms = (config.poll_ms or 0) if config and config.wakeup == Waking.NEVER else 0
    between_s = SILENCE_MOST_IOS / workload.rate_iops if workload.rate_iops else 0.0
    return SILENCE_MOST_S + asleep_ms / 1e3 + workload.pause_s + between_s


def argv(subject: TracedOutput, disk_bytes: int | None = None) -> tuple[str, ...]:
    """Return the command that checks an output: one that is complete, or may take so much of the disk meanwhile."""
    options = {
        "--output": subject.output,
        "--format": subject.format.value,
        "--payload-bytes": subject.payload_bytes,
        "--comm": subject.comm,
        "--block-bytes": BLOCK_BYTES,
        "--dev": subject.dev,
        "--since-ns": subject.since_ns,
        "--compare-op": subject.compared_op,
        "--compare-every": subject.compare_every,
    }
    words = [str(word) for option in options.items() for word in option]
    words += [str(word) for path in subject.data for word in ("--data", path)]
    words += ["--profile"] if subject.profile else []
    words += ["--notices"] if subject.notices else []
    words += ["--follow", "--disk-bytes", str(disk_bytes)] if disk_bytes is not None else []
    return (AUDIT, *words)


def audit(subject: TracedOutput, disk_bytes: int | None = None) -> Behind[Content]:
    """Have an output read and checked.

    Args:
        subject: what is checked.
        disk_bytes: what the output may take on the disk while it is written, 32 MiB at least; None: it is complete.

    Raises:
        StepError: the program cannot be started.
    """
    return Behind("the audit", argv(subject, disk_bytes), Content)


def _device(directory: Path) -> int:
    """Return the kernel's number of the device that files in a directory are on, which on btrfs is not stat's."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text()
        number = environment.mount_of(mounts, directory.resolve(strict=True))["number"]
    except (OSError, LookupError) as error:
        raise StepError(f"the device of the data files: {error}") from error
    major, minor = map(int, number.split(":"))
    return major << DEVICE_MINOR_BITS | minor


def checks(content: Content, expected: Expectation, waited_s: Callable[[Span], float]) -> Iterator[Check]:
    """Judge what was found.

    Args:
        content: that.
        expected: what it is held against.
        waited_s: how long the tracer was kept from running over a span: for its disk, for a CPU.
    """
    yield _none_of(content, "records are whole", "torn", "impossible", "padding", "order")
    yield _targets(content, expected)
    if expected.files:
        yield _none_of(content, "records are of whole blocks", "offset", "transfer")
        yield _none_of(content, "each block at most once", "repeated")
    if expected.payload:
        yield _none_of(content, "payload is as long as asked", "payload_length")
    if expected.payload and expected.files:
        yield _payload(content)
    if content.profile:
        yield _none_of(content, "latencies add up", "slots")
        yield _none_of(content, "slow calls are slow, and have a stack", "duration", "stack")
        yield _none_of(content, "files are used as their latencies say", "top")
        yield _all_slow(content.profile, expected.slow)
    yield _none_of(content, "times are in order", "backwards", "clock", *(["thread_order"] if expected.ordered else []))
    if expected.silence_most_s is not None:
        yield _no_stall(content, expected.span_s, expected.silence_most_s, waited_s)


def _all_slow(profile: ProfileContent, said: int | None) -> Check:
    """Every call that was slow by its file's latencies was told apart as such."""
    detail = f"{said} by the summary, {profile.slow_least} to {profile.slow_most} by the latencies"
    ok = said is not None and profile.slow_least <= said <= profile.slow_most
    return Check("every slow call told apart", ok, f"{detail}; {profile.slow} in the output")


def _none_of(content: Content, name: str, *kinds: str) -> Check:
    return Check(name, not _wrong(content, *kinds), _wrong(content, *kinds) or f"{content.records} records checked")


def _wrong(content: Content, *kinds: str) -> str:
    """Say what is wrong of these kinds; nothing where nothing is."""
    found = ((kind, content.defects[kind]) for kind in kinds if kind in content.defects)
    return "; ".join(f"{kind}: {d.count}, the first is record {d.record}: {d.example}" for kind, d in found)


def _targets(content: Content, expected: Expectation) -> Check:
    """No record is another program's, and those of the data files are as many as there can be."""
    slow, unplaced = (content.profile.slow, content.profile.other) if content.profile else (0, 0)
    if not expected.files:
        wrong, most, calls = _wrong(content, "comm"), expected.others_most, content.records - slow
        return Check(
            "records are the target's", not wrong and calls <= most, wrong or f"{calls}, at most {most} allowed"
        )
    data = content.data_reads + content.data_writes
    least = 0 if expected.lost is None else max(0, expected.ios - expected.lost - unplaced)
    counts = (
        f"{data} of the data files, {least} to {expected.ios} allowed; "
        f"{content.other_records} others, at most {expected.others_most} allowed"
    )
    wrong = _wrong(content, "comm", "identity")
    ok = not wrong and least <= data <= expected.ios and content.other_records <= expected.others_most
    return Check("records are the target's", ok, f"{wrong}; {counts}" if wrong else counts)


def _payload(content: Content) -> Check:
    sample = f"{content.compared} of {content.comparable} compared with the files, one in {content.compare_every}"
    wrong = _wrong(content, "payload")
    some = content.compared > 0 or content.comparable == 0
    return Check("payload is the file's", some and not wrong, f"{wrong}; {sample}" if wrong else sample)


def _no_stall(content: Content, span_s: Span, most_s: float, waited_s: Callable[[Span], float]) -> Check:
    """No silence is longer than allowed, but for the time in which the tracer could not run."""
    waits = ((silence, waited_s(silence)) for silence in silences(content, span_s))
    unexplained_s, wait_s, (begin_s, end_s) = max(
        (end_s - begin_s - wait_s, wait_s, (begin_s, end_s)) for (begin_s, end_s), wait_s in waits
    )
    return Check(
        "no stall",
        unexplained_s <= most_s,
        f"nothing recorded for {end_s - begin_s:.3f} s, from {begin_s - span_s[0]:.3f} s after fio's start on; "
        f"the tracer could not run for {wait_s:.3f} s of them; {most_s:g} s allowed",
    )


def silences(content: Content, span_s: Span) -> tuple[Span, ...]:
    """Return the times while fio did its I/O in which nothing was recorded: before all records, between, and after.

    Not all between them, but the longest.
    """
    if content.first_ns is None or content.last_ns is None:
        return (span_s,)
    ends = ((span_s[0], content.first_ns / 1e9), (content.last_ns / 1e9, span_s[1]))
    between = ((silence.begin_ns / 1e9, silence.end_ns / 1e9) for silence in content.silences)
    clipped = ((max(begin_s, span_s[0]), min(end_s, span_s[1])) for begin_s, end_s in (*ends, *between))
    return tuple((begin_s, max(begin_s, end_s)) for begin_s, end_s in clipped)
