# SPDX-License-Identifier: Apache-2.0
"""The metrics: what is read out of a record, under which name, in which unit.

JSON, CSV and the tidy table have every metric; report/quantities.py says which are shown to people, and how. The key
names the metric there, so it does not change; it ends in the unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bpfbench.model import EnergyDomain, Record, TracerSummary

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

Reading = Callable[[Record], float | None]
"""Reads a metric; None where this trial does not have it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that every trial may have."""

    key: str
    meaning: str
    read: Reading
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


def _compared(key: str, meaning: str, read: Reading, *, by_difference: bool = False) -> Metric:
    """Return a metric that vanilla has too."""
    return Metric(key, meaning, read, versus_vanilla=True, by_difference=by_difference)


def at(place: str) -> Callable[[Record], Any]:
    """Return what reads a place of the record, such as `fio.runtime_s`; None where part of the way to it is lacking."""
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


def _percentile(key: str) -> Reading:
    return lambda record: record.fio.latency_percentiles_us.get(key) if record.fio else None


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


def _bpf_ns(record: Record) -> float | None:
    return sum(program.run_ns for program in record.programs) if record.programs else None


_fio_s, _intercepted, _saved = at("fio.runtime_s"), at("summary.intercepted_total"), at("summary.saved")

METRICS = (
    RUNTIME := _compared("runtime_s", "fio's runtime", _fio_s),
    THROUGHPUT := _compared(
        "throughput_bytes_per_s",
        "fio's throughput, reads and writes of all processes together",
        at("fio.throughput_bytes_per_s"),
    ),
    LATENCY := _compared("latency_mean_us", "fio's mean latency, submission to completion", at("fio.latency_mean_us")),
    LATENCY_P50 := _compared("latency_p50_us", "median of fio's completion latency", _percentile("50.000000")),
    LATENCY_P99 := _compared("latency_p99_us", "99th percentile of fio's completion latency", _percentile("99.000000")),
    LATENCY_P999 := _compared(
        "latency_p999_us", "99.9th percentile of fio's completion latency", _percentile("99.900000")
    ),
    CPU := _compared(
        "cpu_percent",
        "user and system CPU time of the whole machine while fio ran, in per cent of all CPUs",
        at("load.cpu_percent"),
    ),
    MEMORY := _compared(
        "memory_bytes",
        "memory in use (used and buffers) on the whole machine while fio ran",
        at("load.memory_bytes"),
    ),
    MEMORY_GROWTH := _compared(
        "memory_growth_bytes",
        "memory_bytes less idle_memory_bytes: by how much memory in use grew when fio ran, or shrank. What the tracer"
        " had taken before is not in it",
        _memory_growth,
        by_difference=True,
    ),
    IDLE_CPU := _compared(
        "idle_cpu_percent", "cpu_percent before fio started, with the tracer attached", at("idle.cpu_percent")
    ),
    IDLE_MEMORY := _compared(
        "idle_memory_bytes", "memory_bytes before fio started, with the tracer attached", at("idle.memory_bytes")
    ),
    ENERGY := _compared(
        "energy_joules", "energy of all CPU packages while fio ran", _domains("package", lambda domain: domain.joules)
    ),
    POWER := _compared(
        "power_w", "mean power of all CPU packages while fio ran", _domains("package", lambda domain: domain.mean_w)
    ),
    IDLE_POWER := _compared(
        "idle_power_w",
        "mean power of all CPU packages before fio started, with the tracer attached",
        _domains("package", lambda domain: domain.idle_w),
    ),
    MEMORY_ENERGY := _compared(
        "dram_joules",
        "energy of all memory while fio ran, where RAPL counts it",
        _domains("dram", lambda domain: domain.joules),
    ),
    PLATFORM_ENERGY := _compared(
        "psys_joules",
        "energy of the whole machine while fio ran, where RAPL counts it; the packages' is part of it",
        _domains("psys", lambda domain: domain.joules),
    ),
    FIO_IOS := Metric("fio_ios", "reads and writes fio counts itself", at("fio.ios")),
    INTERCEPTED := Metric(
        "intercepted_events",
        "events the tracer's probes saw; exceeds fio_ios by fio's few own file accesses",
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
        "offered_events_per_s", "intercepted_events per second of fio's runtime", _per(_intercepted, _fio_s)
    ),
    SAVED_RATE := Metric(
        "saved_events_per_s",
        "saved_events per second of fio's runtime; where a full ring lost events, what the tracer drains beside fio",
        _per(_saved, _fio_s),
    ),
    TRACER_CPU := Metric(
        "tracer_cpu_percent",
        "CPU time of the tracer's processes while fio ran, in per cent of one CPU over fio's runtime; without the BPF"
        " programs, which run on the time of the task they trace",
        _per(_tracer_cpu_s, _fio_s, 100),
    ),
    TRACER_USER := Metric(
        "tracer_user_s", "user CPU time of the tracer's processes while fio ran", at("usage.workload_user_s")
    ),
    TRACER_SYSTEM := Metric(
        "tracer_system_s", "system CPU time of the tracer's processes while fio ran", at("usage.workload_system_s")
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
    DRAIN := Metric("drain_s", "from the stopping signal to the tracer's output being flushed", at("usage.drain_s")),
    OUTPUT := Metric("output_bytes", "size of the tracer's output", at("summary.bytes")),
    TRACER_TIME := Metric(
        "tracer_ns_per_event",
        "user and system CPU time of the tracer's processes while fio ran, per event saved; a busy poller polls on it,"
        " too",
        _per(_tracer_cpu_s, _saved, 1e9),
    ),
    BPF_TIME := Metric(
        "bpf_ns_per_event",
        "run time of the tracer's BPF programs, of any task, per event intercepted; in trials of the variant"
        " run-time only",
        _per(_bpf_ns, _intercepted),
    ),
)
"""All of them, in the order of the documents."""

CORRECTNESS = (FIO_IOS, INTERCEPTED, SAVED, LOST)
"""What trials of an emulated machine are summarised by: whether what was intercepted is accounted for."""

LOSS_CAUSES = ("ring_full", "map_full", "recursion", "missed", "output_error")
"""The causes of the tracer contract, so that every CSV has the same columns. Others a tracer reports follow these."""

BY_KEY = {metric.key: metric for metric in METRICS}
"""The same by key."""
