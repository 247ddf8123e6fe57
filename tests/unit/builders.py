# SPDX-License-Identifier: Apache-2.0
"""Builds records, setups and images for tests: plausible in every part, and exact in those a test names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bpfbench.model import (
    RECORD_FORMAT,
    VANILLA,
    Attach,
    Delays,
    Delivery,
    FioResult,
    Format,
    Record,
    Setup,
    Status,
    SystemLoad,
    Tool,
    TracerConfig,
    TracerSummary,
    TracerTimes,
    TracerUsage,
    Trial,
    Workload,
)
from bpfbench.testbed.image import Image

MIB = 1024 * 1024
READ = Workload(name="read", processes=4, bytes_per_process=32 * 1024 * MIB)


def make_config(**factors: Any) -> TracerConfig:
    """A configuration of rw-tracer, the paper's unless a factor is given."""
    paper = {"attach": Attach.KPROBE, "format": Format.BINARY, "ringbuf_bytes": 256 * 1024, "poll_ms": 100}
    return TracerConfig(**{**paper, **factors})


def make_trial(
    setup: str = VANILLA,
    block: int = 0,
    *,
    tool: Tool = Tool.RW_TRACER,
    workload: Workload = READ,
    config: TracerConfig | None = None,
) -> Trial:
    """A trial whose repetition is its block's number from 1; a tracer is configured as the paper's unless told."""
    if config is None and setup != VANILLA:
        config = make_config()
    return Trial(
        id=f"{workload.name}-{tool}-{setup}-{block + 1}",
        index=block * 100,
        block=block,
        repetition=block + 1,
        setup=setup,
        tool=tool,
        workload=workload,
        config=config,
    )


def make_fio(
    *, runtime_s: float = 10.0, ios: int = 1000, throughput_mib_per_s: float = 400.0, latency_us: float = 9.0
) -> FioResult:
    """A reading fio."""
    return FioResult(
        started_at_s=1.0e9,
        version="fio-3.39",
        runtime_s=runtime_s,
        read_ios=ios,
        write_ios=0,
        bytes=round(throughput_mib_per_s * MIB * runtime_s),
        throughput_bytes_per_s=throughput_mib_per_s * MIB,
        iops=ios / runtime_s if runtime_s else 0.0,
        latency_mean_us=latency_us,
        latency_sd_us=1.0,
        latency_percentiles_us={"50.000000": latency_us, "99.000000": 3 * latency_us},
        user_cpu_percent=5.0,
        system_cpu_percent=50.0,
    )


def make_summary(
    trial: Trial,
    *,
    saved: int = 1000,
    lost: Mapping[str, int | None] | None = None,
    unavailable: Mapping[str, str] | None = None,
) -> TracerSummary:
    """A tracer's account that adds up: intercepted is saved + lost."""
    lost = {"ring_full": 0, "map_full": 0, "recursion": 0, "missed": 0, "output_error": 0, **(lost or {})}
    config = trial.config or make_config()
    return TracerSummary(
        contract=1,
        setup=trial.setup,
        tool=trial.tool,
        attach=str(config.attach),
        format=str(config.format),
        intercepted={"read": saved + sum(n or 0 for n in lost.values())},
        saved=saved,
        lost=lost,
        unavailable=dict(unavailable or {}),
        syscalls=None,
        bytes=saved * 156,
        versions={},
        times_ns=TracerTimes(start=1, ready=2, stop=3, drained=4),
        error=None,
    )


def make_usage(*, user_s: float = 1.0, system_s: float = 2.0, pss_peak_bytes: int | None = 5 * MIB) -> TracerUsage:
    """What a tracer burned."""
    return TracerUsage(
        startup_s=0.25,
        startup_cpu_s=0.2,
        workload_user_s=user_s,
        workload_system_s=system_s,
        drain_s=0.05,
        pss_peak_bytes=pss_peak_bytes,
        code_bytes=3 * MIB,
    )


def make_delivery(*, p99_ms: float = 4.0, records: int = 100_000, **wrong: int) -> Delivery:
    """What came out of a tracer's pipe: half of it in half of the time of 99 in 100."""
    p99_ns = round(p99_ms * 1e6)
    delays = Delays(p99_ns // 100, p99_ns // 2, p99_ns, p99_ns * 2, p99_ns * 3)
    faults = {"notices": 0, "torn": 0, "impossible": 0, **wrong}
    return Delivery(records=records, output_bytes=records * 156, delay_ns=delays, **faults)


def make_load(*, cpu_percent: float = 24.0, memory_mib: float = 300.0) -> SystemLoad:
    """The machine over a span."""
    return SystemLoad(seconds=10.0, cpu_percent=cpu_percent, memory_bytes=memory_mib * MIB, samples=40)


def make_record(
    trial: Trial,
    *,
    fio: FioResult | None = None,
    summary: TracerSummary | None = None,
    usage: TracerUsage | None = None,
    load: SystemLoad | None = None,
    status: Status = Status.OK,
    reason: str | None = None,
    session: str = "1",
    started_at: str = "2026-01-02T03:04:05Z",
) -> Record:
    """A record with every part that its trial has; a part given replaces the default one."""
    tracer = not trial.is_vanilla
    return Record(
        format=RECORD_FORMAT,
        trial=trial,
        status=status,
        reason=reason,
        started_at=started_at,
        session=session,
        host="testhost",
        steps=(),
        checks=(),
        fio=fio or make_fio(),
        summary=(summary or make_summary(trial)) if tracer else None,
        usage=(usage or make_usage()) if tracer else None,
        idle=make_load(cpu_percent=1.0, memory_mib=100.0),
        load=load or make_load(),
        monitor_cpu_s=0.1,
        cpus={"monitor": (0,), "workload": (1,), "tracer": (1,)},
        notes={},
    )


def make_failure(trial: Trial, reason: str | None, status: Status = Status.FAILED) -> Record:
    """A trial that must not count: its numbers are absurd, so that a mean with it in shows."""
    absurd = make_fio(runtime_s=1e6, throughput_mib_per_s=1e6, latency_us=1e6)
    return make_record(trial, fio=absurd, load=make_load(cpu_percent=1e6), status=status, reason=reason)


def make_executable(path: Path, content: str = "#!/bin/sh\n") -> Path:
    """A file that may be executed, and that no test does execute."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


def make_brought(name: str = "own", command: tuple[str, ...] = ("/srv/me/tracer",), **values: Any) -> Setup:
    """A setup that a study brings."""
    return Setup(name, "brought by the study", command=command, **values)


def make_image(**values: Any) -> Image:
    """An image that is nowhere, unless a test says where."""
    usual = {
        "name": "trixie",
        "key": "0123456789abcdef",
        "suite": "trixie",
        "built_at": "2026-01-02T03:04:05Z",
        "versions": {},
        "packages": {},
        "kernel_headers": "6.12.43+deb13-amd64",
        "root": "/cache/root",
        "tracers": "/cache/tracers",
    }
    return Image(**{**usual, **values})
