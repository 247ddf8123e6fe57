# SPDX-License-Identifier: Apache-2.0
"""The proof a trial carries: every invariant as a pure function of what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bpfbench.inside.monitors.series import Span
from bpfbench.inside.trial import delivery
from bpfbench.inside.trial.attached import FUNCTIONS
from bpfbench.inside.trial.content import Expectation, silence_most_s
from bpfbench.model import (
    BLOCK_BYTES,
    COUNTING_TOOLS,
    EVENT_BYTES,
    LEAST_TEXT_EVENT_BYTES,
    RING_HEADER_BYTES,
    TARGET_COMM,
    Attach,
    Buffer,
    CallAccount,
    Check,
    DrivenResult,
    FioResult,
    Format,
    Hook,
    RateProcess,
    Record,
    RingAccount,
    Slots,
    Tool,
    TracerConfig,
    TracerSummary,
    Variant,
    Workload,
)
from bpfbench.model.command import CommandAccount

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

POISSON_SIGMAS = 5
"""So many standard deviations may a random number of I/Os be beyond its mean: one in 3 million is."""

CACHED_SHARE_MAX = 0.01
"""Largest share of the data that may be in the page cache when fio starts."""

SLOW_RECORD_BYTES = 48
"""No record of a slow call is shorter: four columns of 64 bits, and four of 32."""

RW_CALLS = {
    "x86_64": {"read": ("0", "17", "19", "295", "327"), "write": ("1", "18", "20", "296", "328")},
    "aarch64": {"read": ("63", "67", "65", "69", "286"), "write": ("64", "68", "66", "70", "287")},
}
"""Numbers of read, pread64, readv, preadv, preadv2 and of their counterparts: what the kernel accounts as calls of read
and of write. By architecture; from the kernel's syscall tables."""

_WAYS = ("enter", "exit")
_CALLS = ("read", "pread64", "write", "pwrite64")
HOOKS = {
    Attach.TRACEPOINT: {("tracepoint", f"sys_{way}_{call}") for way in _WAYS for call in _CALLS},
    Attach.KPROBE: {(kind, function) for kind in ("kprobe", "kretprobe") for function in FUNCTIONS},
    Attach.FENTRY: {(kind, function) for kind in ("fentry", "fexit") for function in FUNCTIONS},
}
"""What the rw tools are attached to, by the contract, and what the kernel calls it."""
COUNTED_BY = ({("tracepoint", "sys_enter")}, {("raw-tracepoint", "sys_enter")})
"""What syscount is attached to: raw_syscalls:sys_enter, whose arguments a program gets made up for it, or raw."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the invariants are about: a record, and what is known besides."""

    record: Record
    """It has the outcome of its target."""
    machine: str
    """Architecture, as uname -m names it."""
    cached_bytes: int
    leftovers: Mapping[str, frozenset[str]]
    tracer_status: int | None
    output_bytes: int | None
    output_events: int | None
    data_bytes: int = 0
    """Of a target besides fio: what lies in the files that were dropped from the page cache."""
    unhooked_percent: Mapping[str, float] = field(default_factory=dict)
    """By kind of call: how much of what the kernel accounts no tracer hooks, at most."""
    called: tuple[str, tuple[str, ...]] = (TARGET_COMM, ())
    """The comm whose events were traced, and those that processes of a target besides fio were seen to have."""
    possible_cpus: int = 1
    """CPUs that the kernel has room for, each of which has a ring where there is one for each."""
    online_cpus: int = 1
    """Of these those that are there, each of which has a perf buffer where there are such."""


def checks(proof: Proof) -> tuple[Check, ...]:
    """Check every invariant that applies to the trial."""
    trial, summary = proof.record.trial, proof.record.summary
    of_tracer = _tracer_checks(proof, trial.config, summary) if trial.config and summary else ()
    own = _command_checks(proof.record.command, proof.record.calls)
    return (*_target_checks(proof, trial.workload, proof.record.fio), *of_tracer, *own)


def _command_checks(account: CommandAccount | None, calls: CallAccount | None) -> Iterator[Check]:
    """A count of the very calls that the kernel counts is no more than the kernel's."""
    if account is None or account.calls is None or account.received is None or calls is None:
        return
    said, truth = account.received + (account.lost or 0), account.calls.among(calls.reads, calls.writes)
    detail = f"{said} {account.calls} by the tracer's word, {truth} by the kernel's"
    yield Check("no more than the kernel counts", said <= truth, detail)


def _target_checks(proof: Proof, workload: Workload, fio: FioResult | None) -> Iterator[Check]:
    limit = int((workload.total_bytes if fio else proof.data_bytes) * CACHED_SHARE_MAX)
    before = "fio" if fio else "the target"
    detail = f"{proof.cached_bytes} bytes of the data cached before {before}, at most {limit} allowed"
    yield Check("page cache dropped", proof.cached_bytes <= limit, detail)
    if fio:
        wanted = workload.total_bytes // BLOCK_BYTES
        yield Check("fio did all its I/O", fio.ios == wanted, f"{fio.ios} of {wanted}")
        yield _littles_law(workload, fio)
    left = "; ".join(f"{kind}: {', '.join(sorted(items))}" for kind, items in sorted(proof.leftovers.items()))
    yield Check("nothing left behind", not left, left or "no BPF object, process, mount or file")
    if fio and workload.rate_iops is not None:
        yield _rate(workload, workload.rate_iops, fio)
    if (driven := proof.record.driven) and driven.rate_per_s is not None:
        yield _offered(driven, driven.rate_per_s)


def _littles_law(workload: Workload, fio: FioResult) -> Check:
    """Processes x iodepth 1 = IOPS x latency, where processes do nothing but I/O (Little 1961).

    A process also spends time outside its I/O calls, so latency may fall short of the law, but never exceed it. A wrong
    unit (the paper prints ms for us) is off by a factor of 1000. A process whose rate is limited sleeps between its
    calls, so that only the upper bound says something of it.
    """
    share = fio.iops * fio.latency_mean_us / 1e6 / workload.processes
    least = SYNCHRONOUS_SHARE_MIN if workload.rate_iops is None else 0.0
    return Check(
        "Little's law",
        least <= share <= SYNCHRONOUS_SHARE_MAX,
        f"IOPS x mean latency / processes = {share:.3f}, {least:g} to {SYNCHRONOUS_SHARE_MAX} allowed",
    )


def _rate(workload: Workload, limit: int, fio: FioResult) -> Check:
    """Under a limit a target may be slower, never faster. The first I/O of either direction comes at once.

    So does a last burst that is no whole one: no pause follows it. At random, n come in n / limit, give or take its
    square root's share.
    """
    rate = fio.iops / workload.processes
    at_once = 2 + workload.pause_s * limit if workload.in_bursts else 2
    if workload.rate_process is RateProcess.POISSON:
        at_once += POISSON_SIGMAS * math.sqrt(fio.ios / workload.processes)
    most = limit * RATE_TOLERANCE + at_once / fio.runtime_s
    detail = f"{rate:.0f} I/Os per second and process, limit {limit}, at most {most:.0f} allowed"
    return Check("rate limit kept", rate <= most, detail)


def _offered(driven: DrivenResult, rate: int) -> Check:
    """A driver that cannot keep its rate says something of target and tracer; one that exceeds it has not heard of it.

    So has one that does not count what it did.
    """
    most, done = rate * (1 + driven.rate_tolerance), driven.achieved_per_s or math.inf
    said = "" if driven.kept_rate else ": it was not kept, so that latencies say nothing"
    detail = f"{done:.0f} operations per second, {rate} offered, at most {most:.0f} allowed{said}"
    return Check("rate offered", done <= most, detail)


def _tracer_checks(proof: Proof, config: TracerConfig, summary: TracerSummary) -> Iterator[Check]:
    record, trial = proof.record, proof.record.trial
    yield Check(
        "tracer ended well",
        proof.tracer_status == 0 and summary.error is None,
        f"exit status {proof.tracer_status}, error: {summary.error}",
    )
    asked = tuple(map(str, (trial.setup, trial.tool, config.attach, config.format)))
    did = (summary.setup, summary.tool, summary.attach, summary.format)
    least = 2 if config.options else 1
    detail = f"asked {asked}, did {did}; contract {least} or later wanted, {summary.contract} kept"
    yield Check("tracer did what was asked", asked == did and summary.contract >= least, detail)
    yield Check(
        "intercepted = saved + lost",
        summary.intercepted_total == summary.saved + summary.lost_total,
        f"{summary.intercepted_total} = {summary.saved} + {summary.lost_total}",
    )
    if config.variant is not Variant.NO_OUTPUT:
        yield Check(
            "output holds what was saved",
            proof.output_events == summary.saved and proof.output_bytes == summary.bytes,
            f"{proof.output_events} events in {proof.output_bytes} bytes, "
            f"summary says {summary.saved} in {summary.bytes}",
        )
    if record.delivery is not None:
        yield delivery.check(record.delivery, trial.setup)
    yield _attached(trial.tool, config.attach, record.hooks)
    seen = _seen(trial.tool, proof.machine, summary)
    unhooked = dict.fromkeys(seen, 0)
    if record.calls is not None:
        unhooked = {kind: int(record.calls.of(kind) * proof.unhooked_percent.get(kind, 0.0) / 100) for kind in seen}
        yield from _counted(record.calls, trial.tool, seen, summary, unhooked)
    if record.fio:
        wanted = {"read": record.fio.read_ios, "write": record.fio.write_ios}
    else:
        yield _something(proof.called, sum(seen.values()))
        wanted = {kind: record.calls.of(kind) - most if record.calls else 0 for kind, most in unhooked.items()}
    yield _kinds(trial.tool, wanted, seen, summary)
    if record.fio:
        for kind, ios in wanted.items():
            yield _coverage(kind, ios, seen[kind], record.fio.runtime_s, summary)
    if config.ringbuf_bytes is not None:
        cpus = proof.online_cpus if config.buffer is Buffer.PERF else proof.possible_cpus
        asked_rings = [config.ringbuf_bytes] * config.rings_on(cpus)
        yield from _ring_checks(trial.tool, config, asked_rings, record.rings, summary)
    if record.written_bytes is not None:
        yield _written(config, trial.tool, record.written_bytes, summary)


def _attached(tool: str, attach: Attach | None, hooks: tuple[Hook, ...]) -> Check:
    """The kernel's word on what the tracer's programs hang on, against what was asked for."""
    found = {(hook.kind, hook.target) for hook in hooks}
    said = ", ".join(f"{kind} {target}" for kind, target in sorted(found)) or "nothing"
    right = found in (COUNTED_BY if tool is Tool.SYSCOUNT else (HOOKS.get(attach or Attach.AUTO),))
    return Check("attached as asked", right, f"asked {attach}; the kernel says: {said}")


def _something(called: tuple[str, tuple[str, ...]], seen: int) -> Check:
    """A target whose processes have another name than was said is not traced at all."""
    comm, names = called
    detail = f"{seen} reads and writes of processes called {comm!r} intercepted; seen of the target: {', '.join(names)}"
    return Check("the target was traced", seen > 0, detail)


def _counted(
    calls: CallAccount, tool: str, seen: Mapping[str, int], summary: TracerSummary, unhooked: Mapping[str, int]
) -> Iterator[Check]:
    """Every call that the kernel accounted was intercepted, but for those that no tracer hooks, and nothing else.

    What the kernel skipped of the tracer's programs (recursion, missed) may have been fio's or others'. A tracer that
    counts it with its kind may so have more of that kind than fio called; one that counts it as of no kind, less.
    """
    unplaced = _lost(summary, "map_full", "recursion") if tool is Tool.SYSCOUNT else _unknown(summary)
    others_max = max(0, _skipped(summary) - unplaced)
    # Of what is lacking, that many need not have been hooked.
    missing = {kind: calls.of(kind) - n for kind, n in seen.items()}
    missing = {kind: max(0, n - unhooked[kind]) if n > 0 else n for kind, n in missing.items()}
    lacking, surplus = _lacking(missing), _surplus(missing)
    explained = (f" and {unplaced} of no kind" if unplaced else "") + (
        f", at most {others_max} skipped by the kernel, of whomever" if others_max else ""
    )
    for kind, lack in missing.items():
        yield Check(
            f"every {kind} counted",
            lacking <= unplaced if lack > 0 else lack == 0 or surplus <= others_max,
            f"the kernel accounted {calls.of(kind)}, the tracer intercepted {seen[kind]}"
            + (f", of {unhooked[kind]} at most unhooked by declaration" if unhooked[kind] else "")
            + explained,
        )


def _lacking(missing: Mapping[str, int]) -> int:
    return sum(max(0, n) for n in missing.values())


def _surplus(missing: Mapping[str, int]) -> int:
    return sum(max(0, -n) for n in missing.values())


def completed(summary: TracerSummary, attach: Attach | None, calls: CallAccount) -> TracerSummary:
    """Return a tracer's account with `missed` as the kernel's count has it, where it cannot tell and the hook can miss.

    Only a kprobe can miss a call: the rest of what the kernel accounted, and the tracer did not intercept. By
    subtraction a miss of the kernel's cannot be told from one of the tracer's own.
    """
    if summary.lost.get("missed", 0) is not None or attach is not Attach.KPROBE:
        return summary
    missing = {kind: calls.of(kind) - summary.intercepted.get(kind, 0) for kind in ("read", "write")}
    if _surplus(missing) > _lost(summary, "recursion"):
        return summary  # it saw what was not there: what it lacks of the other kind need not have been missed
    unknown, lacking = _unknown(summary), _lacking(missing)  # the unknown are among the lacking
    intercepted = {kind: n for kind, n in summary.intercepted.items() if kind != "unknown"}
    intercepted |= {kind: intercepted.get(kind, 0) + max(0, n) for kind, n in missing.items()}
    if unknown > lacking:
        intercepted["unknown"] = unknown - lacking
    unavailable = {cause: reason for cause, reason in summary.unavailable.items() if cause != "missed"}
    lost = {**summary.lost, "missed": max(0, lacking - unknown)}
    return replace(summary, intercepted=intercepted, lost=lost, unavailable=unavailable)


def expected_content(record: Record, summary: TracerSummary, span_s: Span) -> Expectation:
    """Return what the records of a trial's output are held against.

    Whether a consumer stalled is not asked where it is stopped on purpose, nor of an emulated CPU, which can stand
    still without anybody in it noticing.
    """
    config, calls, fio = record.trial.config, record.calls, record.fio
    ios = fio.ios if fio else 0
    profiled = record.trial.tool is Tool.FS_PROFILE
    # Of fs-profile a call is lost that is not in the latencies, which do not go through the ring.
    lost = [n for cause, n in summary.lost.items() if not (profiled and cause == "ring_full")]
    own_most = _own_accesses_max(fio.runtime_s) if fio else summary.intercepted_total
    stalls = config is not None and config.variant is Variant.NO_CONSUMER
    unjudged = stalls or record.emulated or fio is None
    return Expectation(
        ios=ios,
        lost=None if None in lost else sum(n or 0 for n in lost),
        others_most=own_most if calls is None else calls.reads + calls.writes - ios,
        payload=config is not None and bool(config.payload_bytes),
        span_s=span_s,
        slow=summary.intercepted.get("slow") if profiled else None,
        silence_most_s=None if unjudged or profiled else silence_most_s(record.trial.workload, config),
        files=fio is not None,
        ordered=config is None or config.ordered,
    )


def _written(config: TracerConfig, tool: str, written_bytes: int, summary: TracerSummary) -> Check:
    """The tracer wrote what it says it saved, also where nothing is left of it (no-output)."""
    least = {Format.BINARY: config.event_bytes, Format.TEXT: LEAST_TEXT_EVENT_BYTES}
    event = 0 if tool in COUNTING_TOOLS else least[config.format or Format.TEXT]
    return Check(
        "saved was written",
        written_bytes >= summary.bytes >= event * summary.saved,
        f"{written_bytes} bytes passed to write(2), {summary.bytes} by the summary, "
        f"at least {event} for each of {summary.saved} events",
    )


def _ring_checks(
    tool: str, config: TracerConfig, asked: Sequence[int], rings: tuple[RingAccount, ...], summary: TracerSummary
) -> Iterator[Check]:
    asked_bytes = sum(asked)
    yield Check(
        "ring is as large as asked",
        [ring.bytes for ring in rings] == asked,
        f"asked {asked_bytes} bytes{f' in {len(asked)} rings' if len(asked) > 1 else ''}, "
        f"rings made: {tuple(ring.bytes for ring in rings)}",
    )
    produced, consumed = (sum(getattr(ring, way) for ring in rings) for way in ("produced_bytes", "consumed_bytes"))
    yield Check("ring was emptied", produced == consumed, f"{consumed} of {produced} bytes were taken out of it")
    whole = EVENT_BYTES if config.records is Slots.VARIABLE else config.event_bytes
    event = RING_HEADER_BYTES + (SLOW_RECORD_BYTES if tool is Tool.FS_PROFILE else whole)
    saved = _sent(tool, summary)
    yield Check(
        "saved went through the ring",
        event * saved <= consumed,
        f"{saved} saved, {consumed} bytes taken out of it, at least {event} an event",
    )
    if config.variant is Variant.NO_CONSUMER:
        most = asked_bytes // event
        detail = f"{saved} saved, a ring of {asked_bytes} bytes holds at most {most}"
        yield Check("saved is what the ring held", saved <= most, detail)


def _sent(tool: str, summary: TracerSummary) -> int:
    """Return how many of the events saved came through the ring, at least: of fs-profile its slow calls alone."""
    if tool is not Tool.FS_PROFILE:
        return summary.saved
    return max(0, summary.intercepted.get("slow", 0) - _lost(summary, "ring_full", "output_error"))


def _seen(tool: str, machine: str, summary: TracerSummary) -> dict[str, int]:
    """Return how many reads and writes the tracer saw."""
    if tool is not Tool.SYSCOUNT:
        return {kind: summary.intercepted.get(kind, 0) for kind in ("read", "write")}
    counted = summary.syscalls or {}
    return {kind: sum(counted.get(n, 0) for n in numbers) for kind, numbers in RW_CALLS[machine].items()}


def _lost(summary: TracerSummary, *causes: str) -> int:
    return sum(summary.lost.get(cause) or 0 for cause in causes)


def _skipped(summary: TracerSummary) -> int:
    """Return how many events the kernel may have skipped: counted as intercepted, though some are other processes'."""
    return _lost(summary, "recursion", "missed")


def _unknown(summary: TracerSummary) -> int:
    """Return how many events were lost without its being told whether they were reads or writes."""
    return summary.intercepted.get("unknown", 0)


def _own_accesses_max(runtime_s: float) -> int:
    return FIO_OWN_ACCESSES_MAX + int(FIO_OWN_ACCESSES_PER_S_MAX * runtime_s)


def _kinds(tool: str, wanted: Mapping[str, int], seen: Mapping[str, int], summary: TracerSummary) -> Check:
    """Events are reads and writes, or system calls; where a tracer cannot tell, they are no more than it lost unseen.

    One of them stands for one read or one write, not for either.
    """
    known = (
        {"syscall"} if tool is Tool.SYSCOUNT else {"read", "write"} | ({"slow"} if tool is Tool.FS_PROFILE else set())
    )
    others = sorted(set(summary.intercepted) - known - {"unknown"})
    unknown, unseen = _unknown(summary), _lost(summary, "recursion", "missed", "map_full")
    lacking = _lacking({kind: ios - seen[kind] for kind, ios in wanted.items()})
    return Check(
        "every kind accounted",
        not others and (unknown == 0 or lacking <= unknown <= unseen),
        f"intercepted {summary.intercepted}; {unknown} of unknown kind, {unseen} lost unseen, {lacking} lacking",
    )


def _coverage(kind: str, ios: int, seen: int, runtime_s: float, summary: TracerSummary) -> Check:
    """The tracer saw every I/O of fio, and hardly anything else."""
    surplus_max = _own_accesses_max(runtime_s)
    skipped, unknown = _skipped(summary), _unknown(summary)
    others = f", {skipped} skipped by the kernel, of whomever" if skipped else ""
    others += f", {unknown} of unknown kind" if unknown else ""
    return Check(
        f"every {kind} seen",
        ios - unknown <= seen <= ios + surplus_max + skipped,
        f"fio {ios}, tracer {seen}, at most {surplus_max} of fio's own{others}",
    )
