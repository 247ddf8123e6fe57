# SPDX-License-Identifier: Apache-2.0
"""The metrics: what is read out of a record, under which name, in which unit.

JSON, CSV and the tidy table have every metric; report/quantities.py says which are shown to people, and how. The key
names the metric there, so it does not change; it ends in the unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bpfbench.model import Energy, Record, TracerSummary

UNITS = {
    "_bytes_per_s": "bytes/s",
    "_events_per_s": "events/s",
    "_ns_per_event": "ns/event",
    "_bytes": "bytes",
    "_events": "events",
    "_ios": "I/Os",
    "_percent": "%",
    "_joules": "J",
    "_s": "s",
    "_us": "us",
    "_w": "W",
}
"""How a key ends -> the unit; the first that fits."""

Reader = Callable[[Record], float | None]
"""Reads a metric; None where this trial does not have it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that every trial may have."""

    key: str
    meaning: str
    read: Reader
    versus_vanilla: bool = False
    """Whether vanilla has it too, so that it can be compared."""
    by_difference: bool = False
    """Compared by the difference, in its unit, and not by the ratio: it may be 0 or less."""

    @property
    def unit(self) -> str:
        """The unit of its values."""
        for ending, unit in UNITS.items():
            if self.key.endswith(ending):
                return unit
        raise ValueError(f"metric {self.key}: the key ends in no unit; UNITS has them")


T = TypeVar("T")


def _of(part: Callable[[Record], T | None]) -> Callable[[Callable[[T], float | None]], Reader]:
    """Return what makes readers of a part of the record, which read nothing where the record lacks the part."""

    def reader(value: Callable[[T], float | None]) -> Reader:
        def read(record: Record) -> float | None:
            found = part(record)
            return None if found is None else value(found)

        return read

    return reader


_fio = _of(lambda record: record.fio)
_load = _of(lambda record: record.load)
_idle = _of(lambda record: record.idle)
_summary = _of(lambda record: record.summary)
_usage = _of(lambda record: record.usage)
_energy = _of(lambda record: record.energy)
_tracer_group = _of(lambda record: record.groups.get("tracer"))
_fio_group = _of(lambda record: record.groups.get("workload"))


def _percentile(key: str) -> Reader:
    return _fio(lambda fio: fio.latency_percentiles_us.get(key))


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


def loss_percent(summary: TracerSummary, cause: str) -> float | None:
    """Events lost by one cause in per cent of those intercepted; None where the tracer cannot count the cause."""
    lost = summary.lost.get(cause)
    return None if lost is None else _ratio(100 * lost, summary.intercepted_total)


def _memory_growth(record: Record) -> float | None:
    if record.idle is None or record.load is None:
        return None
    return record.load.memory_bytes - record.idle.memory_bytes


def _offered_events_per_s(record: Record) -> float | None:
    if record.summary is None or record.fio is None:
        return None
    return _ratio(record.summary.intercepted_total, record.fio.runtime_s)


def _tracer_cpu_percent(record: Record) -> float | None:
    usage = record.usage
    if usage is None or usage.workload_user_s is None or usage.workload_system_s is None or record.fio is None:
        return None
    return _ratio(100 * (usage.workload_user_s + usage.workload_system_s), record.fio.runtime_s)


def _joules(kind: str) -> Reader:
    """Read the energy of all domains of one kind."""

    def value(energy: Energy) -> float | None:
        found = [domain.joules for domain in energy.domains if domain.name.startswith(kind)]
        return sum(found) if found else None

    return _energy(value)


def _idle_w(energy: Energy) -> float | None:
    found = [domain.idle_w for domain in energy.domains if domain.name.startswith("package")]
    return sum(power for power in found if power is not None) if found and None not in found else None


def _tracer_ns_per_event(record: Record) -> float | None:
    usage, summary = record.usage, record.summary
    if usage is None or summary is None or usage.workload_user_s is None or usage.workload_system_s is None:
        return None
    return _ratio(1e9 * (usage.workload_user_s + usage.workload_system_s), summary.saved)


def _bpf_ns_per_event(record: Record) -> float | None:
    if record.summary is None or not record.programs:
        return None
    return _ratio(sum(program.run_ns for program in record.programs), record.summary.intercepted_total)


METRICS = (
    RUNTIME := Metric("runtime_s", "fio's runtime", _fio(lambda fio: fio.runtime_s), versus_vanilla=True),
    THROUGHPUT := Metric(
        "throughput_bytes_per_s",
        "fio's throughput, reads and writes of all processes together",
        _fio(lambda fio: fio.throughput_bytes_per_s),
        versus_vanilla=True,
    ),
    LATENCY := Metric(
        "latency_mean_us",
        "fio's mean latency, submission to completion",
        _fio(lambda fio: fio.latency_mean_us),
        versus_vanilla=True,
    ),
    LATENCY_P50 := Metric(
        "latency_p50_us", "median of fio's completion latency", _percentile("50.000000"), versus_vanilla=True
    ),
    LATENCY_P99 := Metric(
        "latency_p99_us", "99th percentile of fio's completion latency", _percentile("99.000000"), versus_vanilla=True
    ),
    LATENCY_P999 := Metric(
        "latency_p999_us",
        "99.9th percentile of fio's completion latency",
        _percentile("99.900000"),
        versus_vanilla=True,
    ),
    CPU := Metric(
        "cpu_percent",
        "user and system CPU time of the whole machine while fio ran, in per cent of all CPUs",
        _load(lambda load: load.cpu_percent),
        versus_vanilla=True,
    ),
    MEMORY := Metric(
        "memory_bytes",
        "memory in use (used and buffers) on the whole machine while fio ran",
        _load(lambda load: load.memory_bytes),
        versus_vanilla=True,
    ),
    MEMORY_GROWTH := Metric(
        "memory_growth_bytes",
        "memory_bytes less idle_memory_bytes: by how much memory in use grew when fio ran, or shrank. What the tracer"
        " had taken before is not in it",
        _memory_growth,
        versus_vanilla=True,
        by_difference=True,
    ),
    IDLE_CPU := Metric(
        "idle_cpu_percent",
        "cpu_percent before fio started, with the tracer attached",
        _idle(lambda idle: idle.cpu_percent),
        versus_vanilla=True,
    ),
    IDLE_MEMORY := Metric(
        "idle_memory_bytes",
        "memory_bytes before fio started, with the tracer attached",
        _idle(lambda idle: idle.memory_bytes),
        versus_vanilla=True,
    ),
    ENERGY := Metric(
        "energy_joules",
        "energy of all CPU packages while fio ran",
        _energy(lambda energy: energy.packages_joules),
        versus_vanilla=True,
    ),
    POWER := Metric(
        "power_w",
        "mean power of all CPU packages while fio ran",
        _energy(lambda energy: energy.packages_w),
        versus_vanilla=True,
    ),
    IDLE_POWER := Metric(
        "idle_power_w",
        "mean power of all CPU packages before fio started, with the tracer attached",
        _energy(_idle_w),
        versus_vanilla=True,
    ),
    MEMORY_ENERGY := Metric(
        "dram_joules", "energy of all memory while fio ran, where RAPL counts it", _joules("dram"), versus_vanilla=True
    ),
    PLATFORM_ENERGY := Metric(
        "psys_joules",
        "energy of the whole machine while fio ran, where RAPL counts it; the packages' is part of it",
        _joules("psys"),
        versus_vanilla=True,
    ),
    FIO_IOS := Metric("fio_ios", "reads and writes fio counts itself", _fio(lambda fio: fio.ios)),
    INTERCEPTED := Metric(
        "intercepted_events",
        "events the tracer's probes saw; exceeds fio_ios by fio's few own file accesses",
        _summary(lambda summary: summary.intercepted_total),
    ),
    SAVED := Metric("saved_events", "events in the tracer's output", _summary(lambda summary: summary.saved)),
    LOST := Metric(
        "lost_events",
        "events intercepted and not saved, by every cause that could be counted",
        _summary(lambda summary: summary.lost_total),
    ),
    SAVED_PERCENT := Metric(
        "saved_percent",
        "saved_events in per cent of intercepted_events",
        _summary(lambda summary: _ratio(100 * summary.saved, summary.intercepted_total)),
    ),
    LOST_PERCENT := Metric(
        "lost_percent",
        "lost_events in per cent of intercepted_events",
        _summary(lambda summary: _ratio(100 * summary.lost_total, summary.intercepted_total)),
    ),
    OFFERED := Metric("offered_events_per_s", "intercepted_events per second of fio's runtime", _offered_events_per_s),
    TRACER_CPU := Metric(
        "tracer_cpu_percent",
        "CPU time of the tracer's processes while fio ran, in per cent of one CPU over fio's runtime; without the BPF"
        " programs, which run on the time of the task they trace",
        _tracer_cpu_percent,
    ),
    TRACER_USER := Metric(
        "tracer_user_s",
        "user CPU time of the tracer's processes while fio ran",
        _usage(lambda usage: usage.workload_user_s),
    ),
    TRACER_SYSTEM := Metric(
        "tracer_system_s",
        "system CPU time of the tracer's processes while fio ran",
        _usage(lambda usage: usage.workload_system_s),
    ),
    PSS_PEAK := Metric(
        "pss_peak_bytes",
        "largest sampled proportional set size of the tracer's processes",
        _usage(lambda usage: usage.pss_peak_bytes),
    ),
    GROUP_PEAK := Metric(
        "tracer_group_peak_bytes",
        "largest memory of the tracer's control group, page cache and kernel memory included",
        _tracer_group(lambda group: group.memory_peak_bytes),
    ),
    GROUP_CACHE := Metric(
        "tracer_group_cache_bytes",
        "page cache charged to the tracer's control group at the end of the workload",
        _tracer_group(lambda group: group.page_cache_bytes),
    ),
    GROUP_WRITTEN := Metric(
        "tracer_group_written_bytes",
        "written to block devices on behalf of the tracer's control group until the end of the workload",
        _tracer_group(lambda group: group.written_bytes),
    ),
    FIO_USER := Metric(
        "fio_user_s",
        "user CPU time of fio's control group, its launch included",
        _fio_group(lambda group: group.user_s),
        versus_vanilla=True,
    ),
    FIO_SYSTEM := Metric(
        "fio_system_s",
        "system CPU time of fio's control group, its launch included; BPF programs run on it",
        _fio_group(lambda group: group.system_s),
        versus_vanilla=True,
    ),
    FIO_PEAK := Metric(
        "fio_group_peak_bytes",
        "largest memory of fio's control group, page cache and kernel memory included",
        _fio_group(lambda group: group.memory_peak_bytes),
        versus_vanilla=True,
    ),
    FIO_READ := Metric(
        "fio_group_read_bytes",
        "read from block devices on behalf of fio's control group",
        _fio_group(lambda group: group.read_bytes),
        versus_vanilla=True,
    ),
    FIO_WRITTEN := Metric(
        "fio_group_written_bytes",
        "written to block devices on behalf of fio's control group until the end of the workload",
        _fio_group(lambda group: group.written_bytes),
        versus_vanilla=True,
    ),
    STARTUP := Metric("startup_s", "from the tracer's exec to READY", _usage(lambda usage: usage.startup_s)),
    STARTUP_CPU := Metric(
        "startup_cpu_s", "CPU time the tracer took until READY", _usage(lambda usage: usage.startup_cpu_s)
    ),
    DRAIN := Metric(
        "drain_s", "from the stopping signal to the tracer's output being flushed", _usage(lambda usage: usage.drain_s)
    ),
    OUTPUT := Metric("output_bytes", "size of the tracer's output", _summary(lambda summary: summary.bytes)),
    TRACER_TIME := Metric(
        "tracer_ns_per_event",
        "user and system CPU time of the tracer's processes while fio ran, per event saved; a busy poller polls on it,"
        " too",
        _tracer_ns_per_event,
    ),
    BPF_TIME := Metric(
        "bpf_ns_per_event",
        "run time of the tracer's BPF programs, of any task, per event intercepted; in trials of the variant"
        " run-time only",
        _bpf_ns_per_event,
    ),
)
"""All of them, in the order of the documents."""

CORRECTNESS = (FIO_IOS, INTERCEPTED, SAVED, LOST)
"""What trials of an emulated machine are summarised by: whether what was intercepted is accounted for."""

LOSS_CAUSES = ("ring_full", "map_full", "recursion", "missed", "output_error")
"""The causes of the tracer contract, so that every CSV has the same columns. Others a tracer reports follow these."""

BY_KEY = {metric.key: metric for metric in METRICS}
"""The same by key."""
