# SPDX-License-Identifier: Apache-2.0
"""The proof a trial carries: every invariant as a pure function of what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bpfbench.inside.trial.content import Expectation, silence_most_s
from bpfbench.model import (
    EVENT_BYTES,
    Accelerator,
    Attach,
    CallAccount,
    Check,
    FioResult,
    Format,
    Hook,
    RingAccount,
    Tool,
    TracerConfig,
    TracerSummary,
    Trial,
    TrialSpec,
    Variant,
)

FIO_OWN_ACCESSES_MAX = 1000
"""fio reads its job file, /proc and /sys and writes its results: about 110 accesses seen, more with more CPUs."""

FIO_OWN_ACCESSES_PER_S_MAX = 20
"""And a few more for as long as it runs: none seen with disk_util=0, 20 per second without."""

SYNCHRONOUS_SHARE_MIN = 0.2
"""Least share of a process's time that fio may have spent inside I/O calls; the rest is fio's own bookkeeping."""

SYNCHRONOUS_SHARE_MAX = 1.05
"""More than the whole of it is impossible; 5 % for rounding and for processes that start and end at different times."""

RATE_TOLERANCE = 1.05
"""fio lets a process that fell behind catch up; its clock starts a little later than its I/O."""

CACHED_SHARE_MAX = 0.01
"""Largest share of the data that may be in the page cache when fio starts."""

LEAST_TEXT_EVENT_BYTES = 50
"""No text line of an rw event is shorter: fifteen columns, two of them times in nanoseconds."""

RING_HEADER_BYTES = 8
"""Of each record in a BPF ring buffer (BPF_RINGBUF_HDR_SZ)."""

RW_CALLS = {
    "x86_64": {"read": ("0", "17", "19", "295", "327"), "write": ("1", "18", "20", "296", "328")},
    "aarch64": {"read": ("63", "67", "65", "69", "286"), "write": ("64", "68", "66", "70", "287")},
}
"""Numbers of read, pread64, readv, preadv, preadv2 and of their counterparts: what the kernel accounts as calls of read
and of write. By architecture; from the kernel's syscall tables."""

KINDS = {
    Attach.TRACEPOINT: frozenset({"tracepoint"}),
    Attach.KPROBE: frozenset({"kprobe", "kretprobe"}),
    Attach.FENTRY: frozenset({"fentry", "fexit"}),
}
"""What the kernel calls the hooks of a flavour."""

CALLS = ("read", "pread64", "write", "pwrite64")
TARGETS = {
    Attach.TRACEPOINT: frozenset(f"sys_{way}_{call}" for way in ("enter", "exit") for call in CALLS),
    Attach.KPROBE: frozenset({"vfs_read", "vfs_write"}),
    Attach.FENTRY: frozenset({"vfs_read", "vfs_write"}),
}
"""What the rw tools are attached to, by the contract."""
COUNTED_BY = ({("tracepoint", "sys_enter")}, {("raw-tracepoint", "sys_enter")})
"""What syscount is attached to: raw_syscalls:sys_enter, whose arguments a program gets made up for it, or raw."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the invariants are about."""

    trial: Trial
    machine: str
    """Architecture, as uname -m names it."""
    block_bytes: int
    cached_bytes: int
    fio: FioResult
    leftovers: Mapping[str, frozenset[str]]
    summary: TracerSummary | None
    tracer_status: int | None
    output_bytes: int | None
    output_events: int | None
    calls: CallAccount | None = None
    """None: the kernel keeps none."""
    hooks: tuple[Hook, ...] = ()
    rings: tuple[RingAccount, ...] = ()
    """Of the BPF ring buffers that exist while the tracer runs and did not before."""
    written_bytes: int | None = None


def checks(proof: Proof) -> tuple[Check, ...]:
    """Check every invariant that applies to the trial."""
    found = [_cold(proof), _all_ios(proof), _littles_law(proof), _nothing_left(proof)]
    if proof.trial.workload.rate_iops is not None:
        found.append(_rate(proof, proof.trial.workload.rate_iops))
    if proof.summary is not None:
        found += _tracer_checks(proof, proof.summary)
    return tuple(found)


def _cold(proof: Proof) -> Check:
    limit = int(proof.trial.workload.total_bytes * CACHED_SHARE_MAX)
    return Check(
        "page cache dropped",
        proof.cached_bytes <= limit,
        f"{proof.cached_bytes} bytes of the data cached before fio, at most {limit} allowed",
    )


def _all_ios(proof: Proof) -> Check:
    wanted = proof.trial.workload.total_bytes // proof.block_bytes
    return Check("fio did all its I/O", proof.fio.ios == wanted, f"{proof.fio.ios} of {wanted}")


def _littles_law(proof: Proof) -> Check:
    """Processes x iodepth 1 = IOPS x latency, where processes do nothing but I/O (Little 1961).

    A process also spends time outside its I/O calls, so latency may fall short of the law, but never exceed it. A wrong
    unit (the paper prints ms for us) is off by a factor of 1000. A process whose rate is limited sleeps between its
    calls, so that only the upper bound says something of it.
    """
    workload = proof.trial.workload
    share = proof.fio.iops * proof.fio.latency_mean_us / 1e6 / workload.processes
    least = SYNCHRONOUS_SHARE_MIN if workload.rate_iops is None else 0.0
    return Check(
        "Little's law",
        least <= share <= SYNCHRONOUS_SHARE_MAX,
        f"IOPS x mean latency / processes = {share:.3f}, {least:g} to {SYNCHRONOUS_SHARE_MAX} allowed",
    )


def _rate(proof: Proof, limit: int) -> Check:
    """Under a limit a target may be slower, never faster. The first I/O of either direction comes at once."""
    rate = proof.fio.iops / proof.trial.workload.processes
    most = limit * RATE_TOLERANCE + 2 / proof.fio.runtime_s
    return Check(
        "rate limit kept",
        rate <= most,
        f"{rate:.0f} I/Os per second and process, limit {limit}, at most {most:.0f} allowed",
    )


def _nothing_left(proof: Proof) -> Check:
    left = "; ".join(f"{kind}: {', '.join(sorted(items))}" for kind, items in sorted(proof.leftovers.items()))
    return Check("nothing left behind", not left, left or "no BPF object, process, mount or file")


def _tracer_checks(proof: Proof, summary: TracerSummary) -> Iterator[Check]:
    trial = proof.trial
    yield Check(
        "tracer ended well",
        proof.tracer_status == 0 and summary.error is None,
        f"exit status {proof.tracer_status}, error: {summary.error}",
    )
    config = trial.config
    asked = (trial.setup, trial.tool.value, config and config.attach.value, config and config.format.value)
    did = (summary.setup, summary.tool, summary.attach, summary.format)
    yield Check("tracer did what was asked", asked == did, f"asked {asked}, did {did}")
    yield Check(
        "intercepted = saved + lost",
        summary.intercepted_total == summary.saved + summary.lost_total,
        f"{summary.intercepted_total} = {summary.saved} + {summary.lost_total}",
    )
    if config is None or config.variant is not Variant.NO_OUTPUT:
        yield Check(
            "output holds what was saved",
            proof.output_events == summary.saved and proof.output_bytes == summary.bytes,
            f"{proof.output_events} events in {proof.output_bytes} bytes, "
            f"summary says {summary.saved} in {summary.bytes}",
        )
    yield _attached(proof)
    if proof.calls is not None:
        yield from _counted(proof.calls, proof, summary)
    wanted = {"read": proof.fio.read_ios, "write": proof.fio.write_ios}
    seen = {kind: _seen(kind, proof, summary) for kind in wanted}
    yield _kinds(trial.tool, wanted, seen, summary)
    for kind, ios in wanted.items():
        yield _coverage(kind, ios, seen[kind], proof.fio.runtime_s, summary)
    if config is not None and config.ringbuf_bytes is not None:
        yield from _ring_checks(config, config.ringbuf_bytes, proof.rings, summary)
    if config is not None and proof.written_bytes is not None:
        yield _written(config, proof.trial.tool, proof.written_bytes, summary)


def _attached(proof: Proof) -> Check:
    """The kernel's word on what the tracer's programs hang on, against what was asked for."""
    trial, config = proof.trial, proof.trial.config
    attach = config.attach if config else Attach.TRACEPOINT
    found = {(hook.kind, hook.target) for hook in proof.hooks}
    of_rw = {(kind, target) for kind in KINDS[attach] for target in TARGETS[attach]}
    return Check(
        "attached as asked",
        found in (COUNTED_BY if trial.tool is Tool.SYSCOUNT else (of_rw,)),
        f"asked {attach}; the kernel says: "
        + (", ".join(f"{kind} {target}" for kind, target in sorted(found)) or "nothing"),
    )


def _counted(calls: CallAccount, proof: Proof, summary: TracerSummary) -> Iterator[Check]:
    """Every call that the kernel accounted was intercepted, and nothing else.

    What the kernel skipped of the tracer's programs (recursion, missed) may have been fio's or others'. A tracer that
    counts it with its kind may so have more of that kind than fio called; one that counts it as of no kind, less.
    """
    unplaced = _of_no_kind(proof.trial.tool, summary)
    others_max = max(0, _skipped(summary) - unplaced)
    missing = {kind: calls.of(kind) - _seen(kind, proof, summary) for kind in ("read", "write")}
    lacking, surplus = sum(max(0, n) for n in missing.values()), sum(max(0, -n) for n in missing.values())
    explained = (f" and {unplaced} of no kind" if unplaced else "") + (
        f", at most {others_max} skipped by the kernel, of whomever" if others_max else ""
    )
    for kind, lack in missing.items():
        yield Check(
            f"every {kind} counted",
            lacking <= unplaced if lack > 0 else lack == 0 or surplus <= others_max,
            f"the kernel accounted {calls.of(kind)}, the tracer intercepted {calls.of(kind) - lack}{explained}",
        )


def _of_no_kind(tool: Tool, summary: TracerSummary) -> int:
    """Return how many events a tracer intercepted of which it cannot tell what they were."""
    if tool is Tool.SYSCOUNT:
        return sum(summary.lost.get(cause) or 0 for cause in ("map_full", "recursion"))
    return _unknown(summary)


def completed(summary: TracerSummary, attach: Attach, calls: CallAccount) -> TracerSummary:
    """Return a tracer's account with `missed` as the kernel's count has it, where it cannot tell and the hook can miss.

    Only a kprobe can miss a call: the rest of what the kernel accounted, and the tracer did not intercept. By
    subtraction a miss of the kernel's cannot be told from one of the tracer's own.
    """
    if summary.lost.get("missed", 0) is not None or attach is not Attach.KPROBE:
        return summary
    surplus = sum(max(0, summary.intercepted.get(kind, 0) - calls.of(kind)) for kind in ("read", "write"))
    if surplus > (summary.lost.get("recursion") or 0):
        return summary  # it saw what was not there: what it lacks of the other kind need not have been missed
    lacking = {kind: max(0, calls.of(kind) - summary.intercepted.get(kind, 0)) for kind in ("read", "write")}
    unknown, lack = summary.intercepted.get("unknown", 0), sum(lacking.values())  # the unknown are among the lacking
    intercepted = {kind: n for kind, n in summary.intercepted.items() if kind != "unknown"}
    intercepted |= {kind: summary.intercepted.get(kind, 0) + n for kind, n in lacking.items()}
    if unknown > lack:
        intercepted["unknown"] = unknown - lack
    unavailable = {cause: reason for cause, reason in summary.unavailable.items() if cause != "missed"}
    lost = {**summary.lost, "missed": max(0, lack - unknown)}
    return replace(summary, intercepted=intercepted, lost=lost, unavailable=unavailable)


def expected_content(
    spec: TrialSpec, fio: FioResult, calls: CallAccount | None, summary: TracerSummary, span_s: tuple[float, float]
) -> Expectation:
    """Return what the records of a trial's output are held against.

    Whether a consumer stalled is not asked where it is stopped on purpose, nor of an emulated CPU, which can stand
    still without anybody in it noticing.
    """
    config, workload = spec.trial.config, spec.trial.workload
    unknown = any(lost is None for lost in summary.lost.values())
    own_most = FIO_OWN_ACCESSES_MAX + int(FIO_OWN_ACCESSES_PER_S_MAX * fio.runtime_s)
    stalls = config is not None and config.variant is Variant.NO_CONSUMER
    emulated = spec.accelerator is Accelerator.TCG
    return Expectation(
        ios=fio.ios,
        lost=None if unknown else summary.lost_total,
        others_most=own_most if calls is None else calls.reads + calls.writes - fio.ios,
        payload=config is not None and bool(config.payload_bytes),
        span_s=span_s,
        silence_most_s=None if stalls or emulated else silence_most_s(workload.rate_iops),
    )


def _written(config: TracerConfig, tool: Tool, written_bytes: int, summary: TracerSummary) -> Check:
    """The tracer wrote what it says it saved, also where nothing is left of it (no-output)."""
    event = _least_event_bytes(config, tool)
    return Check(
        "saved was written",
        written_bytes >= summary.bytes >= event * summary.saved,
        f"{written_bytes} bytes passed to write(2), {summary.bytes} by the summary, "
        f"at least {event} for each of {summary.saved} events",
    )


def _least_event_bytes(config: TracerConfig, tool: Tool) -> int:
    """Return what an event takes in the output, at least."""
    if tool is Tool.SYSCOUNT:
        return 0
    if config.format is Format.BINARY:
        return EVENT_BYTES + (config.payload_bytes or 0)
    return LEAST_TEXT_EVENT_BYTES


def _ring_checks(
    config: TracerConfig, asked_bytes: int, rings: tuple[RingAccount, ...], summary: TracerSummary
) -> Iterator[Check]:
    yield Check(
        "ring is as large as asked",
        [ring.bytes for ring in rings] == [asked_bytes],
        f"asked {asked_bytes} bytes, rings made: {tuple(ring.bytes for ring in rings)}",
    )
    produced, consumed = (sum(getattr(ring, way) for ring in rings) for way in ("produced_bytes", "consumed_bytes"))
    yield Check(
        "ring was emptied",
        produced == consumed,
        f"{consumed} of {produced} bytes were taken out of it",
    )
    event = RING_HEADER_BYTES + EVENT_BYTES + (config.payload_bytes or 0)
    yield Check(
        "saved went through the ring",
        event * summary.saved <= consumed,
        f"{summary.saved} saved, {consumed} bytes taken out of it, at least {event} an event",
    )
    if config.variant is Variant.NO_CONSUMER:
        most = asked_bytes // event
        yield Check(
            "saved is what the ring held",
            summary.saved <= most,
            f"{summary.saved} saved, a ring of {asked_bytes} bytes holds at most {most}",
        )


def _seen(kind: str, proof: Proof, summary: TracerSummary) -> int:
    if proof.trial.tool is not Tool.SYSCOUNT:
        return summary.intercepted.get(kind, 0)
    counted = summary.syscalls or {}
    return sum(counted.get(number, 0) for number in RW_CALLS[proof.machine][kind])


def _skipped(summary: TracerSummary) -> int:
    """Return how many events the kernel may have skipped: counted as intercepted, though some are other processes'."""
    return sum(summary.lost.get(cause) or 0 for cause in ("recursion", "missed"))


def _unknown(summary: TracerSummary) -> int:
    """Return how many events were lost without its being told whether they were reads or writes."""
    return summary.intercepted.get("unknown", 0)


def _kinds(tool: Tool, wanted: Mapping[str, int], seen: Mapping[str, int], summary: TracerSummary) -> Check:
    """Events are reads and writes, or system calls; where a tracer cannot tell, they are no more than it lost unseen.

    One of them stands for one read or one write, not for either.
    """
    known = {"syscall"} if tool is Tool.SYSCOUNT else {"read", "write"}
    others = sorted(set(summary.intercepted) - known - {"unknown"})
    unknown, unseen = _unknown(summary), _skipped(summary) + (summary.lost.get("map_full") or 0)
    lacking = sum(max(0, ios - seen[kind]) for kind, ios in wanted.items())
    return Check(
        "every kind accounted",
        not others and (unknown == 0 or lacking <= unknown <= unseen),
        f"intercepted {summary.intercepted}; {unknown} of unknown kind, {unseen} lost unseen, {lacking} lacking",
    )


def _coverage(kind: str, ios: int, seen: int, runtime_s: float, summary: TracerSummary) -> Check:
    """The tracer saw every I/O of fio, and hardly anything else."""
    surplus_max = FIO_OWN_ACCESSES_MAX + int(FIO_OWN_ACCESSES_PER_S_MAX * runtime_s)
    skipped, unknown = _skipped(summary), _unknown(summary)
    others = f", {skipped} skipped by the kernel, of whomever" if skipped else ""
    others += f", {unknown} of unknown kind" if unknown else ""
    return Check(
        f"every {kind} seen",
        ios - unknown <= seen <= ios + surplus_max + skipped,
        f"fio {ios}, tracer {seen}, at most {surplus_max} of fio's own{others}",
    )
