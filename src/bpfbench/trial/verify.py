# SPDX-License-Identifier: Apache-2.0
"""The proof a trial carries: every invariant as a pure function of what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bpfbench.model import EVENT_BYTES, Check, FioResult, Tool, TracerConfig, TracerSummary, Trial, Variant

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

RING_HEADER_BYTES = 8
"""Of each record in a BPF ring buffer (BPF_RINGBUF_HDR_SZ)."""

RW_CALLS = {
    "x86_64": {"read": ("0", "17"), "write": ("1", "18")},
    "aarch64": {"read": ("63", "67"), "write": ("64", "68")},
}
"""Numbers of read and pread64, write and pwrite64 by architecture; from the kernel's syscall tables."""


@dataclass(frozen=True, slots=True)
class Evidence:
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
    ring_bytes: tuple[int, ...] = ()
    """Sizes of the BPF ring buffers that exist while the tracer runs and did not before."""


def checks(evidence: Evidence) -> tuple[Check, ...]:
    """Check every invariant that applies to the trial."""
    found = [_cold(evidence), _all_ios(evidence), _littles_law(evidence), _nothing_left(evidence)]
    if evidence.trial.workload.rate_iops is not None:
        found.append(_rate(evidence, evidence.trial.workload.rate_iops))
    if evidence.summary is not None:
        found += _tracer_checks(evidence, evidence.summary)
    return tuple(found)


def _cold(evidence: Evidence) -> Check:
    limit = int(evidence.trial.workload.total_bytes * CACHED_SHARE_MAX)
    return Check(
        "page cache dropped",
        evidence.cached_bytes <= limit,
        f"{evidence.cached_bytes} bytes of the data cached before fio, at most {limit} allowed",
    )


def _all_ios(evidence: Evidence) -> Check:
    wanted = evidence.trial.workload.total_bytes // evidence.block_bytes
    return Check("fio did all its I/O", evidence.fio.ios == wanted, f"{evidence.fio.ios} of {wanted}")


def _littles_law(evidence: Evidence) -> Check:
    """Processes x iodepth 1 = IOPS x latency, where processes do nothing but I/O (Little 1961).

    A process also spends time outside its I/O calls, so latency may fall short of the law, but never exceed it. A wrong
    unit (the paper prints ms for us) is off by a factor of 1000. A process whose rate is limited sleeps between its
    calls, so that only the upper bound says something of it.
    """
    workload = evidence.trial.workload
    share = evidence.fio.iops * evidence.fio.latency_mean_us / 1e6 / workload.processes
    least = SYNCHRONOUS_SHARE_MIN if workload.rate_iops is None else 0.0
    return Check(
        "Little's law",
        least <= share <= SYNCHRONOUS_SHARE_MAX,
        f"IOPS x mean latency / processes = {share:.3f}, {least:g} to {SYNCHRONOUS_SHARE_MAX} allowed",
    )


def _rate(evidence: Evidence, limit: int) -> Check:
    """Under a limit a target may be slower, never faster. The first I/O of either direction comes at once."""
    rate = evidence.fio.iops / evidence.trial.workload.processes
    most = limit * RATE_TOLERANCE + 2 / evidence.fio.runtime_s
    return Check(
        "rate limit kept",
        rate <= most,
        f"{rate:.0f} I/Os per second and process, limit {limit}, at most {most:.0f} allowed",
    )


def _nothing_left(evidence: Evidence) -> Check:
    left = "; ".join(f"{kind}: {', '.join(sorted(items))}" for kind, items in sorted(evidence.leftovers.items()))
    return Check("nothing left behind", not left, left or "no BPF object, process, mount or file")


def _tracer_checks(evidence: Evidence, summary: TracerSummary) -> Iterator[Check]:
    trial = evidence.trial
    yield Check(
        "tracer ended well",
        evidence.tracer_status == 0 and summary.error is None,
        f"exit status {evidence.tracer_status}, error: {summary.error}",
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
            evidence.output_events == summary.saved and evidence.output_bytes == summary.bytes,
            f"{evidence.output_events} events in {evidence.output_bytes} bytes, "
            f"summary says {summary.saved} in {summary.bytes}",
        )
    wanted = {"read": evidence.fio.read_ios, "write": evidence.fio.write_ios}
    seen = {kind: _seen(kind, evidence, summary) for kind in wanted}
    yield _kinds(trial.tool, wanted, seen, summary)
    for kind, ios in wanted.items():
        yield _coverage(kind, ios, seen[kind], evidence.fio.runtime_s, summary)
    if config is not None and config.ringbuf_bytes is not None:
        yield from _ring_checks(config, config.ringbuf_bytes, evidence.ring_bytes, summary)


def _ring_checks(
    config: TracerConfig, asked_bytes: int, made_bytes: tuple[int, ...], summary: TracerSummary
) -> Iterator[Check]:
    yield Check(
        "ring is as large as asked",
        made_bytes == (asked_bytes,),
        f"asked {asked_bytes} bytes, rings made: {made_bytes}",
    )
    if config.variant is Variant.NO_CONSUMER:
        most = asked_bytes // (RING_HEADER_BYTES + EVENT_BYTES + (config.payload_bytes or 0))
        yield Check(
            "saved is what the ring held",
            summary.saved <= most,
            f"{summary.saved} saved, a ring of {asked_bytes} bytes holds at most {most}",
        )


def _seen(kind: str, evidence: Evidence, summary: TracerSummary) -> int:
    if evidence.trial.tool is not Tool.SYSCOUNT:
        return summary.intercepted.get(kind, 0)
    counted = summary.syscalls or {}
    return sum(counted.get(number, 0) for number in RW_CALLS[evidence.machine][kind])


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
