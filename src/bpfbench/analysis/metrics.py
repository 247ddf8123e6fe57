# SPDX-License-Identifier: Apache-2.0
"""The metrics: what is read out of a record, under which name, in which unit.

JSON, CSV and the tidy table have every metric; report/quantities.py says which are shown to people, and how. The key
names the metric there, so it does not change; it ends in the unit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bpfbench.model import Better, DrivenTarget, EnergyDomain, Record, TargetMetric, TracerSummary

FIO = "fio"
"""What the target is called where there is no other."""
OWN_ACCESSES = "; exceeds fio_ios by fio's few own file accesses"

UNITS = {
    "operations_per_s": "operations/s",
    "_operations": "operations",
    "_calls": "calls",
    "_bytes_per_s": "bytes/s",
    "_events_per_s": "events/s",
    "_ns_per_event": "ns/event",
    "_bytes": "bytes",
    "_events": "events",
    "_programs": "programs",
    "_ios": "I/Os",
    "_percent": "%",
    "_joules": "J",
    "_ms": "ms",
    "_s": "s",
    "_us": "us",
    "_w": "W",
}
"""How a key ends -> the unit; the first that fits."""

Reading = Callable[[Record], float | None]
"""Reads a metric; None where this trial does not have it."""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One number that every trial may have; there is but one of each."""

    key: str
    meaning: str
    """With {target} for what is traced."""
    read: Reading
    versus_vanilla: bool = False
    """Whether vanilla has it too, so that it can be compared."""
    by_difference: bool = False
    """Compared by the difference, in its unit, and not by the ratio: it may be 0 or less."""
    own: TargetMetric | None = None
    """As a target declares it; None of those that bpfbench has itself."""

    def explained(self, target: str) -> str:
        """Say what it means where the target is called that: fio, or the target."""
        return self.meaning.format(target=target, own=OWN_ACCESSES if target == FIO else "")

    @property
    def unit(self) -> str:
        """The unit of its values."""
        if self.own is not None:
            return self.own.unit
        for ending, unit in UNITS.items():
            if self.key.endswith(ending):
                return unit
        raise ValueError(f"metric {self.key}: the key ends in no unit; UNITS has them")


def _compared(key: str, meaning: str, read: Reading, *, by_difference: bool = False) -> Metric:
    """Return a metric that vanilla has too."""
    return Metric(key, meaning, read, versus_vanilla=True, by_difference=by_difference)


def at(place: str) -> Callable[[Record], Any]:
    """Return what reads a place of the record, such as `outcome.runtime_s`; None where part of the way is lacking."""
    names = place.split(".")

    def read(record: Record) -> Any:
        found: Any = record
        for name in names:
            found = found.get(name) if isinstance(found, dict) else getattr(found, name)
            if found is None:
                break
        return found

    return read


def _per(numerator: Reading, denominator: Reading, scale: float = 1) -> Reading:
    """Return what reads a ratio; None where either is lacking, and where it would be one to 0."""

    def read(record: Record) -> float | None:
        above, below = numerator(record), denominator(record)
        return scale * above / below if above is not None and below else None

    return read


def _domains(kind: str, value: Callable[[EnergyDomain], float | None]) -> Reading:
    """Return what adds up a value of all energy domains of a kind; None where there is none, or one lacks it."""

    def read(record: Record) -> float | None:
        domains = record.energy.domains if record.energy else ()
        found = [value(domain) for domain in domains if domain.name.startswith(kind)]
        known = [number for number in found if number is not None]
        return sum(known) if found and len(known) == len(found) else None

    return read


def _percentile(percent: str) -> Reading:
    return lambda record: record.outcome.percentile_us(percent) if record.outcome else None


def _delay(percent: str) -> Reading:
    return lambda record: record.delivery.percentile_ms(percent) if record.delivery else None


def _longest_delay(record: Record) -> float | None:
    delays = record.delivery.delay_ns if record.delivery else None
    return delays.max / 1e6 if delays else None


def loss_percent(summary: TracerSummary, cause: str) -> float | None:
    """Events lost by one cause in per cent of those intercepted; None where the tracer cannot count the cause."""
    lost, intercepted = summary.lost.get(cause), summary.intercepted_total
    return 100 * lost / intercepted if lost is not None and intercepted else None


def _memory_growth(record: Record) -> float | None:
    if record.idle is None or record.load is None:
        return None
    return record.load.memory_bytes - record.idle.memory_bytes


def _tracer_cpu_s(record: Record) -> float | None:
    usage = record.usage
    if usage is None or usage.workload_user_s is None or usage.workload_system_s is None:
        return None
    return usage.workload_user_s + usage.workload_system_s


def bpf_ns(record: Record) -> float | None:
    """Return how long a tracer's BPF programs ran, all together; None where that was not counted."""
    return sum(program.run_ns for program in record.programs) if record.programs else None


_target_s, _intercepted, _saved = at("outcome.runtime_s"), at("summary.intercepted_total"), at("summary.saved")

METRICS = (
    RUNTIME := _compared("runtime_s", "{target}'s runtime", _target_s),
    THROUGHPUT := _compared(
        "throughput_bytes_per_s",
        "fio's throughput, reads and writes of all processes together",
        at("fio.throughput_bytes_per_s"),
    ),
    LATENCY := _compared(
        "latency_mean_us", "{target}'s mean latency, submission to completion", at("outcome.latency_mean_us")
    ),
    LATENCY_P50 := _compared("latency_p50_us", "median of {target}'s completion latency", _percentile("50")),
    LATENCY_P99 := _compared("latency_p99_us", "99th percentile of {target}'s completion latency", _percentile("99")),
    LATENCY_P999 := _compared(
        "latency_p999_us", "99.9th percentile of {target}'s completion latency", _percentile("99.9")
    ),
    CPU := _compared(
        "cpu_percent",
        "user and system CPU time of the whole machine while {target} ran, in per cent of all CPUs",
        at("load.cpu_percent"),
    ),
    MEMORY := _compared(
        "memory_bytes",
        "memory in use (used and buffers) on the whole machine while {target} ran",
        at("load.memory_bytes"),
    ),
    MEMORY_GROWTH := _compared(
        "memory_growth_bytes",
        "memory_bytes less idle_memory_bytes: by how much memory in use grew when {target} ran, or shrank. What the"
        " tracer had taken before is not in it",
        _memory_growth,
        by_difference=True,
    ),
    IDLE_CPU := _compared(
        "idle_cpu_percent", "cpu_percent before {target} started, with the tracer attached", at("idle.cpu_percent")
    ),
    IDLE_MEMORY := _compared(
        "idle_memory_bytes", "memory_bytes before {target} started, with the tracer attached", at("idle.memory_bytes")
    ),
    ENERGY := _compared(
        "energy_joules",
        "energy of all CPU packages while {target} ran",
        _domains("package", lambda domain: domain.joules),
    ),
    POWER := _compared(
        "power_w",
        "mean power of all CPU packages while {target} ran",
        _domains("package", lambda domain: domain.mean_w),
    ),
    IDLE_POWER := _compared(
        "idle_power_w",
        "mean power of all CPU packages before {target} started, with the tracer attached",
        _domains("package", lambda domain: domain.idle_w),
    ),
    MEMORY_ENERGY := _compared(
        "dram_joules",
        "energy of all memory while {target} ran, where RAPL counts it",
        _domains("dram", lambda domain: domain.joules),
    ),
    PLATFORM_ENERGY := _compared(
        "psys_joules",
        "energy of the whole machine while {target} ran, where RAPL counts it; the packages' is part of it",
        _domains("psys", lambda domain: domain.joules),
    ),
    FIO_IOS := Metric("fio_ios", "reads and writes fio counts itself", at("fio.ios")),
    INTERCEPTED := Metric(
        "intercepted_events",
        "events the tracer's probes saw{own}",
        _intercepted,
    ),
    SAVED := Metric("saved_events", "events in the tracer's output", _saved),
    LOST := Metric(
        "lost_events",
        "events intercepted and not saved, by every cause that could be counted",
        at("summary.lost_total"),
    ),
    SAVED_PERCENT := Metric(
        "saved_percent", "saved_events in per cent of intercepted_events", _per(_saved, _intercepted, 100)
    ),
    LOST_PERCENT := Metric(
        "lost_percent",
        "lost_events in per cent of intercepted_events",
        _per(at("summary.lost_total"), _intercepted, 100),
    ),
    OFFERED := Metric(
        "offered_events_per_s", "intercepted_events per second of {target}'s runtime", _per(_intercepted, _target_s)
    ),
    SAVED_RATE := Metric(
        "saved_events_per_s",
        "saved_events per second of {target}'s runtime; where a full ring lost events, what the tracer drains beside"
        " {target}",
        _per(_saved, _target_s),
    ),
    TRACER_CPU := Metric(
        "tracer_cpu_percent",
        "CPU time of the tracer's processes while {target} ran, in per cent of one CPU over {target}'s runtime; without"
        " the BPF programs, which run on the time of the task they trace",
        _per(_tracer_cpu_s, _target_s, 100),
    ),
    TRACER_USER := Metric(
        "tracer_user_s", "user CPU time of the tracer's processes while {target} ran", at("usage.workload_user_s")
    ),
    TRACER_SYSTEM := Metric(
        "tracer_system_s", "system CPU time of the tracer's processes while {target} ran", at("usage.workload_system_s")
    ),
    PSS_PEAK := Metric(
        "pss_peak_bytes",
        "largest sampled proportional set size of the tracer's processes",
        at("usage.pss_peak_bytes"),
    ),
    CODE := Metric(
        "code_bytes",
        "size of the executables and shared libraries that the tracer's processes run when it is READY; scripts are not"
        " in it",
        at("usage.code_bytes"),
    ),
    GROUP_PEAK := Metric(
        "tracer_group_peak_bytes",
        "largest memory of the tracer's control group, page cache and kernel memory included",
        at("groups.tracer.memory_peak_bytes"),
    ),
    GROUP_CACHE := Metric(
        "tracer_group_cache_bytes",
        "page cache charged to the tracer's control group at the end of the workload",
        at("groups.tracer.page_cache_bytes"),
    ),
    GROUP_WRITTEN := Metric(
        "tracer_group_written_bytes",
        "written to block devices on behalf of the tracer's control group until the end of the workload",
        at("groups.tracer.written_bytes"),
    ),
    FIO_USER := _compared(
        "fio_user_s", "user CPU time of fio's control group, its launch included", at("groups.workload.user_s")
    ),
    FIO_SYSTEM := _compared(
        "fio_system_s",
        "system CPU time of fio's control group, its launch included; BPF programs run on it",
        at("groups.workload.system_s"),
    ),
    FIO_PEAK := _compared(
        "fio_group_peak_bytes",
        "largest memory of fio's control group, page cache and kernel memory included",
        at("groups.workload.memory_peak_bytes"),
    ),
    FIO_READ := _compared(
        "fio_group_read_bytes",
        "read from block devices on behalf of fio's control group",
        at("groups.workload.read_bytes"),
    ),
    FIO_WRITTEN := _compared(
        "fio_group_written_bytes",
        "written to block devices on behalf of fio's control group until the end of the workload",
        at("groups.workload.written_bytes"),
    ),
    STARTUP := Metric("startup_s", "from the tracer's exec to READY", at("usage.startup_s")),
    STARTUP_CPU := Metric("startup_cpu_s", "CPU time the tracer took until READY", at("usage.startup_cpu_s")),
    DRAIN := Metric(
        "drain_s",
        "from the stopping signal to the tracer's output being flushed, or to the end of one that is a command",
        at("usage.drain_s"),
    ),
    OUTPUT := Metric("output_bytes", "size of the tracer's output", at("summary.bytes")),
    TRACER_TIME := Metric(
        "tracer_ns_per_event",
        "user and system CPU time of the tracer's processes while {target} ran, per event saved; a busy poller polls on"
        " it, too",
        _per(_tracer_cpu_s, _saved, 1e9),
    ),
    BPF_TIME := Metric(
        "bpf_ns_per_event",
        "run time of the tracer's BPF programs, of any task, per event intercepted; in trials of the variant"
        " run-time only",
        _per(bpf_ns, _intercepted),
    ),
    DELAY_P50 := Metric(
        "delay_p50_ms",
        "median delay of delivery: from the end of an event until it could be read in the tracer's output; in trials of"
        " the variant delay only",
        _delay("50"),
    ),
    DELAY_P99 := Metric("delay_p99_ms", "99th percentile of the same", _delay("99")),
    DELAY_P999 := Metric("delay_p999_ms", "99.9th percentile of the same", _delay("99.9")),
    DELAY_MAX := Metric("delay_max_ms", "the longest of the same", _longest_delay),
)
"""All of them where fio is the target, in the order of the documents."""

FIO_ONLY = (THROUGHPUT, FIO_IOS, FIO_USER, FIO_SYSTEM, FIO_PEAK, FIO_READ, FIO_WRITTEN)
"""Those that other targets have others for."""


def _unless_fio(place: str) -> Reading:
    read = at(place)
    return lambda record: None if record.fio else read(record)


DRIVEN = (
    OPERATIONS := Metric("target_operations", "operations, by the driver's count", at("driven.operations")),
    OPERATIONS_RATE := _compared(
        "operations_per_s",
        "operations per second of the target's runtime, by the driver's count",
        _per(at("driven.operations"), _target_s),
    ),
    CALLS := _compared(
        "target_calls",
        "reads and writes that the kernel accounted of all processes of the target",
        _unless_fio("calls.total"),
    ),
    RATE_KEPT := Metric(
        "target_rate_percent",
        "operations done a second, in per cent of the rate offered",
        _per(at("driven.achieved_per_s"), at("driven.rate_per_s"), 100),
    ),
    TARGET_CPU := _compared(
        "target_cpu_percent",
        "CPU time of what is traced, the server or the command, in per cent of one CPU over its runtime",
        _per(at("driven.cpu.workload.total_s"), _target_s, 100),
    ),
    TARGET_USER := _compared(
        "target_user_s",
        "user CPU time of what is traced, the server or the command, while it was driven",
        at("driven.cpu.workload.user_s"),
    ),
    TARGET_SYSTEM := _compared(
        "target_system_s",
        "system CPU time of the same; BPF programs run on it: they and their hooks take what it has more than vanilla",
        at("driven.cpu.workload.system_s"),
    ),
    DRIVER_CPU := _compared(
        "driver_cpu_percent",
        "CPU time of what drives a server, in per cent of one CPU over its runtime",
        _per(at("driven.cpu.driver.total_s"), _target_s, 100),
    ),
    _compared("driver_user_s", "user CPU time of what drives a server", at("driven.cpu.driver.user_s")),
    _compared("driver_system_s", "system CPU time of what drives a server", at("driven.cpu.driver.system_s")),
    _compared(
        "target_group_peak_bytes",
        "largest memory of the control group of what is traced, page cache and kernel memory included",
        _unless_fio("groups.workload.memory_peak_bytes"),
    ),
    _compared(
        "target_group_read_bytes",
        "read from block devices on behalf of the control group of what is traced",
        _unless_fio("groups.workload.read_bytes"),
    ),
    _compared(
        "target_group_written_bytes",
        "written to block devices on behalf of the control group of what is traced until it had ended",
        _unless_fio("groups.workload.written_bytes"),
    ),
)
"""Those of all targets besides fio."""


@functools.cache
def _own(name: str, unit: str, better: Better) -> Metric:
    """Return the metric of a target's own number; the same for all targets that have it."""
    meaning = f"{name}, by the target's own word; {better} is better".replace("{", "{{").replace("}", "}}")
    reading = lambda record: record.driven.values.get(name) if record.driven else None  # noqa: E731
    return Metric(f"target_{name}", meaning, reading, versus_vanilla=True, own=TargetMetric(name, unit, better))


def of(targets: Iterable[DrivenTarget], *, fio: bool) -> tuple[Metric, ...]:
    """Return the metrics of a run with these targets, and with fio or not."""
    own = [_own(one.name, one.unit, one.better) for target in targets for one in target.own_metrics]
    shared = METRICS if fio else tuple(metric for metric in METRICS if metric not in FIO_ONLY)
    return (*shared, *DRIVEN, *dict.fromkeys(own)) if targets else shared


CORRECTNESS = (FIO_IOS, INTERCEPTED, SAVED, LOST)
"""What trials of an emulated machine are summarised by: whether what was intercepted is accounted for."""

LOSS_CAUSES = ("ring_full", "map_full", "recursion", "missed", "output_error")
"""The causes of the tracer contract, so that every CSV has the same columns. Others a tracer reports follow these."""

BY_KEY = {metric.key: metric for metric in METRICS}
"""The same by key."""
