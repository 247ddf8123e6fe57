# SPDX-License-Identifier: Apache-2.0
"""The trial protocol, step by step: prepare, tracer start, READY, idle baseline, fio, SIGINT, drained, verify, record.

Single-threaded: this process samples while fio and tracer run in theirs, and does nothing else meanwhile.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bpfbench.codec import to_json
from bpfbench.errors import StepError
from bpfbench.model import (
    BLOCK_BYTES,
    EVENT_BYTES,
    RECORD_FORMAT,
    Check,
    FioResult,
    Placement,
    Record,
    Status,
    Step,
    SystemLoad,
    TracerSummary,
    TracerUsage,
    TrialSpec,
)
from bpfbench.trial import bpf, fio, leftovers, pagecache, tracer, verify
from bpfbench.trial.monitors import process, series, system
from bpfbench.trial.tracer import TracerProcess
from bpfbench.trial.workload import FioProcess, is_laid_out

SHORT = "absent: fio ran for less than the interval between two samples"

PSS_INTERVAL_S = 1.0
"""PSS is sampled less often than the rest, because reading it costs milliseconds."""

TEMPORARY = Path("/tmp")  # noqa: S108 - private to the trial: a tmpfs of its own

Notify = Callable[[dict[str, Any]], None]


@dataclass
class _Findings:
    """What is known so far; a trial that fails keeps what it has."""

    steps: list[Step] = field(default_factory=list)
    fio: FioResult | None = None
    summary: TracerSummary | None = None
    tracer_status: int | None = None
    usage: TracerUsage | None = None
    idle: SystemLoad | None = None
    load: SystemLoad | None = None
    monitor_cpu_s: float | None = None
    cached_bytes: int = 0
    system_samples: list[system.SystemSample] = field(default_factory=list)
    tracer_samples: list[process.ProcessSample] = field(default_factory=list)
    hooked_before: int = 0
    ring_bytes: tuple[int, ...] = ()
    leftovers: dict[str, frozenset[str]] = field(default_factory=dict)


def run(spec: TrialSpec, notify: Notify) -> Record:
    """Run one trial and write what it leaves into spec.record_dir.

    Args:
        spec: what to do.
        notify: told of every step as it begins, and of every command.

    Returns:
        The record, also of a failed or invalid trial.
    """
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    found = _Findings()
    cpus = place(spec.settings.placement, os.sched_getaffinity(0), with_tracer=spec.tracer_command is not None)
    os.sched_setaffinity(0, cpus["monitor"])
    reason: str | None = None
    checks: tuple[Check, ...] = ()
    try:
        _measure(spec, cpus, found, notify)
        with _step(found, notify, "verify"):
            checks = _verify(spec, found)
    except StepError as error:
        reason = "; ".join([error.message, *(f"{kind} left: {len(items)}" for kind, items in found.leftovers.items())])
        with contextlib.suppress(StepError):  # whatever went wrong, keep the tracer's own account if there is one
            found.summary = found.summary or tracer.read_summary(_file(spec, "summary.json"))
    finally:
        if not spec.settings.keep_output:
            _output(spec).unlink(missing_ok=True)
    return _write_record(spec, started_at, cpus, found, checks, reason)


def place(placement: Placement, allowed: Set[int], *, with_tracer: bool) -> dict[str, Set[int]]:
    """Say which role runs on which CPUs.

    The paper's placement keeps the first CPU for monitors and gives all others to fio and tracer; `auto` is that from 4
    CPUs up, because with fewer the workload would lose too many.
    """
    first = {min(allowed)}
    apart = placement is Placement.PAPER or (placement is Placement.AUTO and len(allowed) >= 4)
    if apart and len(allowed) < 2:
        raise StepError("placement 'paper' needs at least 2 CPUs")
    rest = set(allowed) - first if apart else set(allowed)
    cpus: dict[str, Set[int]] = {"monitor": first if apart else set(allowed), "workload": rest}
    return {**cpus, "tracer": rest} if with_tracer else cpus


def _measure(spec: TrialSpec, cpus: dict[str, Set[int]], found: _Findings, notify: Notify) -> None:
    files = [Path(spec.data_dir) / name for name in fio.data_files(spec.trial.workload)]
    with _step(found, notify, "prepare"):
        if not is_laid_out(spec.trial.workload, Path(spec.data_dir)):
            raise StepError("data files are not laid out")
        found.cached_bytes = pagecache.drop(files)
        before = leftovers.take(TEMPORARY)
        found.hooked_before = len(before.items[leftovers.TRACING_PROGRAMS])
    try:
        with contextlib.ExitStack() as running:
            traced = _start_tracer(spec, cpus, found, notify, running)
            if traced:
                found.ring_bytes = _ring_bytes(before)
            with _step(found, notify, "idle"):
                _idle(spec, found)
            with _step(found, notify, "workload"):
                _run_fio(spec, cpus, found, traced, notify)
            if traced:
                with _step(found, notify, "drain"):
                    _stop_tracer(spec, found, traced)
    finally:
        with _step(found, notify, "leftovers"):
            found.leftovers = leftovers.settled_since(before, TEMPORARY)
    with _step(found, notify, "writeback"):
        # The next trial starts from a quiet disk; data first, so that nothing stays dirty when output is deleted.
        os.sync()


def _start_tracer(
    spec: TrialSpec, cpus: dict[str, Set[int]], found: _Findings, notify: Notify, running: contextlib.ExitStack
) -> TracerProcess | None:
    if spec.tracer_command is None or spec.trial.config is None:
        return None
    options = tracer.arguments(spec.trial.tool, spec.trial.config, _output(spec), _file(spec, "summary.json"))
    command = (*spec.tracer_command, *options)
    notify({"event": "command", "argv": command})
    with _step(found, notify, "start"):
        traced = running.enter_context(
            TracerProcess(command, cpus["tracer"], spec.output_limit_bytes, _file(spec, "tracer.stderr"))
        )
        traced.wait_ready(spec.settings.deadlines.ready_s)
        ready_s = time.monotonic() - traced.started_s
        sample = _sample_tracer(found, traced)
        found.usage = TracerUsage(
            startup_s=ready_s,
            startup_cpu_s=sample.user_s + sample.system_s,
            workload_user_s=None,
            workload_system_s=None,
            drain_s=None,
            pss_peak_bytes=sample.pss_bytes,
        )
    return traced


def _ring_bytes(before: leftovers.Inventory) -> tuple[int, ...]:
    """Return the sizes of the ring buffers that were made since `before`."""
    rings = bpf.ring_buffers()
    return tuple(size for number, size in rings.items() if str(number) not in before.items[leftovers.RING_BUFFERS])


def _idle(spec: TrialSpec, found: _Findings) -> None:
    first = system.sample()
    time.sleep(spec.settings.idle_s)
    last = system.sample()
    found.idle = system.load([first, last], first.monotonic_s, last.monotonic_s)


def _run_fio(
    spec: TrialSpec, cpus: dict[str, Set[int]], found: _Findings, traced: TracerProcess | None, notify: Notify
) -> None:
    command = fio.command(spec.job_file, str(_file(spec, "fio.json")))
    notify({"event": "command", "argv": command})

    pss_due_s = time.monotonic() + PSS_INTERVAL_S

    def tick() -> None:
        nonlocal pss_due_s
        found.system_samples.append(system.sample())
        if traced:
            with_pss = time.monotonic() >= pss_due_s
            _sample_tracer(found, traced, with_pss=with_pss)
            pss_due_s += PSS_INTERVAL_S if with_pss else 0.0

    tick()
    env = fio.environment(spec.trial.workload, spec.data_dir)
    with FioProcess(command, env, cpus["workload"], _file(spec, "fio.stderr")) as workload:
        own_before = _own_cpu_s()
        workload.wait(spec.settings.deadlines.workload_s, spec.settings.sample_interval_s, tick)
        found.monitor_cpu_s = _own_cpu_s() - own_before
    tick()
    try:
        found.fio = fio.parse(_file(spec, "fio.json").read_text())
    except (OSError, ValueError, KeyError) as error:
        raise StepError(f"fio's output cannot be used: {error}") from error
    _sum_up(found, found.fio)


def _sum_up(found: _Findings, result: FioResult) -> None:
    """Take CPU and memory over fio's own span, without its launch and exit, which would dilute short runs."""
    begin_s = result.started_at_s - (time.time() - time.monotonic())
    end_s = begin_s + result.runtime_s
    found.load = system.load(found.system_samples, begin_s, end_s)
    if found.usage:
        samples = found.tracer_samples
        found.usage = replace(
            found.usage,
            workload_user_s=series.increase(samples, begin_s, end_s, lambda sample: sample.user_s),
            workload_system_s=series.increase(samples, begin_s, end_s, lambda sample: sample.system_s),
        )


def _stop_tracer(spec: TrialSpec, found: _Findings, traced: TracerProcess) -> None:
    _sample_tracer(found, traced)
    found.tracer_status = traced.stop(spec.settings.deadlines.drain_s)
    found.summary = tracer.read_summary(_file(spec, "summary.json"))
    times = found.summary.times_ns
    if times.stop is None or times.drained is None:
        raise StepError("tracer's summary says nothing of when it was stopped and when it had drained")
    peaks = [sample.pss_bytes for sample in found.tracer_samples if sample.pss_bytes is not None]
    if found.usage:
        found.usage = replace(
            found.usage, drain_s=(times.drained - times.stop) / 1e9, pss_peak_bytes=max(peaks, default=None)
        )


def _sample_tracer(found: _Findings, traced: TracerProcess, *, with_pss: bool = True) -> process.ProcessSample:
    sample = process.sample(traced.pid_measured or traced.pid, with_pss=with_pss)
    if sample is None or not traced.alive():
        raise StepError(f"tracer died: {traced.last_message()}")
    found.tracer_samples.append(sample)
    return sample


def _verify(spec: TrialSpec, found: _Findings) -> tuple[Check, ...]:
    output, config = _output(spec), spec.trial.config
    if found.fio is None:
        raise StepError("fio left no result")
    events = size = None
    if config is not None:
        try:
            size = output.stat().st_size
        except OSError as error:
            raise StepError(f"tracer left no output: {error.strerror}") from error
        events = tracer.count_events(output, spec.trial.tool, config, EVENT_BYTES)
    return verify.checks(
        verify.Evidence(
            trial=spec.trial,
            machine=platform.machine(),
            block_bytes=BLOCK_BYTES,
            cached_bytes=found.cached_bytes,
            fio=found.fio,
            ring_bytes=found.ring_bytes,
            leftovers=found.leftovers,
            summary=found.summary,
            tracer_status=found.tracer_status,
            output_bytes=size,
            output_events=events,
        )
    )


def _write_record(
    spec: TrialSpec,
    started_at: str,
    cpus: dict[str, Set[int]],
    found: _Findings,
    checks: tuple[Check, ...],
    reason: str | None,
) -> Record:
    status = Status.FAILED if reason is not None else Status.OK
    if broken := [check for check in checks if not check.ok]:
        status, reason = Status.INVALID, "; ".join(f"{check.name}: {check.detail}" for check in broken)
    record = Record(
        format=RECORD_FORMAT,
        trial=spec.trial,
        status=status,
        reason=reason,
        started_at=started_at,
        session=spec.session,
        host=platform.node(),
        steps=tuple(found.steps),
        checks=checks,
        fio=found.fio,
        summary=found.summary,
        usage=found.usage,
        idle=found.idle,
        load=found.load,
        monitor_cpu_s=found.monitor_cpu_s,
        cpus={role: tuple(sorted(numbers)) for role, numbers in cpus.items()},
        notes={
            **({"load": SHORT} if found.fio and not found.load else {}),
            "data and output on one file system": _same_file_system(spec),
            "tracing programs loaded before": str(found.hooked_before),
        },
    )
    _write_samples(_file(spec, "samples.csv"), found)
    _file(spec, "record.json").write_text(to_json(record))
    return record


def _write_samples(path: Path, found: _Findings) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("monotonic_s", "what", "busy_ticks", "total_ticks", "user_s", "system_s", "memory_bytes"))
        for s in found.system_samples:
            writer.writerow((f"{s.monotonic_s:.6f}", "system", s.busy_ticks, s.total_ticks, "", "", s.memory_bytes))
        for t in found.tracer_samples:
            writer.writerow((f"{t.monotonic_s:.6f}", "tracer", "", "", t.user_s, t.system_s, t.pss_bytes))


def _same_file_system(spec: TrialSpec) -> str:
    same = os.stat(spec.data_dir).st_dev == os.stat(spec.output_dir).st_dev  # noqa: PTH116
    return "yes" if same else "no"


def _own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _output(spec: TrialSpec) -> Path:
    return Path(spec.output_dir) / f"{spec.trial.id}.out"


def _file(spec: TrialSpec, name: str) -> Path:
    return Path(spec.record_dir) / name


@contextlib.contextmanager
def _step(found: _Findings, notify: Notify, name: str) -> Iterator[None]:
    notify({"event": "step", "name": name})
    begin_s = time.monotonic()
    try:
        yield
    finally:
        found.steps.append(Step(name, time.monotonic() - begin_s))
