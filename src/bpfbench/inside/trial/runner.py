# SPDX-License-Identifier: Apache-2.0
"""The trial protocol, step by step: prepare, tracer start, READY, idle, drop, fio, SIGINT, drained, verify, record.

Single-threaded: this process samples while fio and tracer run in theirs, and does nothing else meanwhile.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from bpfbench.errors import StepError
from bpfbench.inside import environment, leftovers, tracer
from bpfbench.inside.kernel import pagecache
from bpfbench.inside.monitors import cgroup
from bpfbench.inside.tracer import TracerProcess
from bpfbench.inside.trial import attached, conditions, content, fio, record, variant, verify
from bpfbench.inside.trial.attached import Rings
from bpfbench.inside.trial.record import Gathered
from bpfbench.inside.trial.sampler import Sampler
from bpfbench.inside.trial.workload import FioProcess, is_laid_out
from bpfbench.model import (
    BLOCK_BYTES,
    EVENT_BYTES,
    Check,
    FioResult,
    Placement,
    ProgramTime,
    Record,
    Step,
    Tool,
    TracerUsage,
    Trial,
    TrialSpec,
)

TEMPORARY = Path("/tmp")  # noqa: S108 - private to the trial: a tmpfs of its own

DROP_GAP_S = 0.05
"""From the data files being dropped from the page cache to fio's launch: what lies between takes less."""

Notify = Callable[[dict[str, Any]], None]


def run(spec: TrialSpec, notify: Notify) -> Record:
    """Run one trial and write what it leaves into spec.record_dir.

    Args:
        spec: what to do.
        notify: told of every step as it begins, and of every command.

    Returns:
        The record, also of a failed or invalid trial.
    """
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    found = Gathered(Sampler(f"{spec.session}-{spec.trial.id}"))
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
        with _step(found, notify, "writeback"):
            # The next trial starts from a quiet disk. What is deleted by now need not be written.
            pagecache.write_back()
    return record.write(spec, started_at, cpus, found, checks, reason)


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


def _measure(spec: TrialSpec, cpus: dict[str, Set[int]], found: Gathered, notify: Notify) -> None:
    files = [Path(spec.data_dir) / name for name in fio.data_files(spec.trial.workload)]
    with _step(found, notify, "prepare"):
        found.environment = environment.current(spec.accelerator)
        found.facts = environment.facts({"data": spec.data_dir, "output": spec.output_dir})
        if not is_laid_out(spec.trial.workload, Path(spec.data_dir)):
            raise StepError("data files are not laid out")
        pagecache.write_back()
        cgroup.sweep(cgroup.hierarchy())
        before = leftovers.take(TEMPORARY)
        found.hooked_before = len(before.items[leftovers.TRACING_PROGRAMS])
    try:
        with found.sampler, contextlib.ExitStack() as running:
            found.since_ns = time.monotonic_ns()
            follower = _follower(spec, found, running)
            traced = _start_tracer(spec, cpus, found, notify, running, followed=follower is not None)
            rings = running.enter_context(Rings(before)) if traced else None
            if traced:
                found.hooks = attached.hooks(before, traced.pid_measured or traced.pid)
            with _step(found, notify, "idle"):
                found.idle = found.sampler.idle(spec.settings.idle_s)
            with _step(found, notify, "drop"):
                pagecache.drop(files)
                dropped_s = time.monotonic()
                found.cached_bytes = pagecache.cached_bytes(files)
                found.at_start = conditions.now(Path(spec.data_dir))
                time.sleep(max(0.0, dropped_s + DROP_GAP_S - time.monotonic()))
            with _step(found, notify, "workload"):
                started_s = _run_fio(spec, cpus, found, traced, notify)
                found.drop_gap_s = started_s - dropped_s
            if traced and rings:
                with _step(found, notify, "drain"):
                    _stop_tracer(spec, found, traced)
                found.rings = rings.account()
            if follower:
                with _step(found, notify, "follow"):
                    found.content = follower.finish()
    finally:
        with _step(found, notify, "leftovers"):
            found.leftovers = leftovers.settled_since(before, TEMPORARY)


def _follower(spec: TrialSpec, found: Gathered, running: contextlib.ExitStack) -> content.Follower | None:
    """Have the output checked and given back while the tracer writes it, where it may outgrow its share of the disk."""
    if spec.output_disk_bytes is None or not _has_records(spec.trial):
        return None
    return running.enter_context(content.Follower(_subject(spec, found, followed=True), spec.output_disk_bytes))


def _has_records(trial: Trial) -> bool:
    """Tell whether a trial leaves an output of records that can be looked at one by one."""
    return trial.config is not None and trial.tool is not Tool.SYSCOUNT and variant.writes(trial.config)


def _subject(spec: TrialSpec, found: Gathered, *, followed: bool = False) -> content.TracedOutput:
    ios = spec.trial.workload.total_bytes // BLOCK_BYTES
    return content.subject(spec.trial, _output(spec), Path(spec.data_dir), found.since_ns, ios, followed=followed)


def _start_tracer(
    spec: TrialSpec,
    cpus: dict[str, Set[int]],
    found: Gathered,
    notify: Notify,
    running: contextlib.ExitStack,
    *,
    followed: bool,
) -> TracerProcess | None:
    if spec.tracer_command is None or spec.trial.config is None:
        return None
    config = spec.trial.config
    output = _output(spec) if variant.writes(config) else Path(variant.NOWHERE)
    options = tracer.arguments(spec.trial.tool, config, output, _file(spec, "summary.json"))
    command = (*spec.tracer_command, *options)
    notify({"event": "command", "argv": command})
    with _step(found, notify, "start"):
        traced = running.enter_context(
            TracerProcess(
                command,
                cpus["tracer"],
                None,
                _file(spec, "tracer.stderr"),
                found.sampler.joiner("tracer"),
                content.FOLLOWED if followed else None,
            )
        )
        traced.wait_ready(spec.settings.deadlines.ready_s)
        ready_s = time.monotonic() - traced.started_s
        sample = found.sampler.watch(traced)
        found.usage = TracerUsage(
            startup_s=ready_s,
            startup_cpu_s=sample.user_s + sample.system_s,
            workload_user_s=None,
            workload_system_s=None,
            drain_s=None,
            pss_peak_bytes=sample.pss_bytes,
        )
    return traced


def _run_fio(
    spec: TrialSpec, cpus: dict[str, Set[int]], found: Gathered, traced: TracerProcess | None, notify: Notify
) -> float:
    """Run fio to its end; return when it was executed, by CLOCK_MONOTONIC in seconds."""
    command, env = fio.call(spec.trial.workload, spec.job_file, str(_file(spec, "fio.json")), spec.data_dir)
    notify({"event": "command", "argv": command})
    sampler, join = found.sampler, found.sampler.joiner("workload")
    with _variant(spec, traced) as times:
        sampler.take()
        with FioProcess(command, env, cpus["workload"], _file(spec, "fio.stderr"), join) as workload:
            own_before = _own_cpu_s()
            workload.wait(spec.settings.deadlines.workload_s, spec.settings.sample_interval_s, sampler.take)
            found.monitor_cpu_s = _own_cpu_s() - own_before
        sampler.take()
    found.at_end = conditions.now(Path(spec.data_dir))
    found.calls = workload.calls
    found.programs = tuple(times)
    sampler.take_groups()
    try:
        found.fio = fio.parse(_file(spec, "fio.json").read_text())
    except (OSError, ValueError, KeyError) as error:
        raise StepError(f"fio's output cannot be used: {error}") from error
    _sum_up(found, found.fio)
    return workload.started_s


def _variant(spec: TrialSpec, traced: TracerProcess | None) -> contextlib.AbstractContextManager[list[ProgramTime]]:
    if traced is None or spec.trial.config is None:
        return contextlib.nullcontext([])
    return variant.applied(spec.trial.config.variant, traced)


def _sum_up(found: Gathered, result: FioResult) -> None:
    """Take what was sampled over fio's own span, without its launch and exit, which would dilute short runs."""
    begin_s = result.started_at_s - (time.time() - time.monotonic())
    span = found.fio_span = begin_s, begin_s + result.runtime_s
    found.load = found.sampler.load(span)
    found.energy, found.energy_note = found.sampler.energy(span)
    if found.usage:
        user_s, system_s = found.sampler.tracer_cpu_s(span)
        found.usage = replace(found.usage, workload_user_s=user_s, workload_system_s=system_s)


def _stop_tracer(spec: TrialSpec, found: Gathered, traced: TracerProcess) -> None:
    found.sampler.watch(traced)
    found.tracer_status = traced.stop(spec.settings.deadlines.drain_s)
    found.written_bytes = traced.written_bytes
    found.summary = tracer.read_summary(_file(spec, "summary.json"))
    if found.calls is not None and spec.trial.config is not None:
        found.summary = verify.completed(found.summary, spec.trial.config.attach, found.calls)
    times = found.summary.times_ns
    if times.stop is None or times.drained is None:
        raise StepError("tracer's summary says nothing of when it was stopped and when it had drained")
    peaks = [sample.pss_bytes for sample in found.sampler.tracer if sample.pss_bytes is not None]
    if found.usage:
        found.usage = replace(
            found.usage, drain_s=(times.drained - times.stop) / 1e9, pss_peak_bytes=max(peaks, default=None)
        )


def _verify(spec: TrialSpec, found: Gathered) -> tuple[Check, ...]:
    if found.fio is None:
        raise StepError("fio left no result")
    events, size = _saved(spec, found)
    checks = verify.checks(
        verify.Proof(
            trial=spec.trial,
            machine=platform.machine(),
            block_bytes=BLOCK_BYTES,
            cached_bytes=found.cached_bytes,
            fio=found.fio,
            calls=found.calls,
            hooks=found.hooks,
            rings=found.rings,
            written_bytes=found.written_bytes,
            leftovers=found.leftovers,
            summary=found.summary,
            tracer_status=found.tracer_status,
            output_bytes=size,
            output_events=events,
        )
    )
    if found.content is None or found.summary is None or found.fio_span is None:
        return checks
    expected = verify.expected_content(spec, found.fio, found.calls, found.summary, found.fio_span)
    waited_s = lambda begin_s, end_s: found.sampler.waited_s((begin_s, end_s))  # noqa: E731
    return (*checks, *content.checks(found.content, expected, waited_s))


def _saved(spec: TrialSpec, found: Gathered) -> tuple[int | None, int | None]:
    """Return how many events the tracer's output holds, and its size; None for both where there is none."""
    output, config = _output(spec), spec.trial.config
    if config is None or not variant.writes(config):
        return None, None
    if not output.exists():
        raise StepError("tracer left no output")
    if not _has_records(spec.trial):
        return tracer.count_events(output, spec.trial.tool, config, EVENT_BYTES), output.stat().st_size
    if found.content is None:
        found.content = content.examine(_subject(spec, found))
    return found.content.records, found.content.output_bytes


def _own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _output(spec: TrialSpec) -> Path:
    return Path(spec.output_dir) / f"{spec.trial.id}.out"


def _file(spec: TrialSpec, name: str) -> Path:
    return Path(spec.record_dir) / name


@contextlib.contextmanager
def _step(found: Gathered, notify: Notify, name: str) -> Iterator[None]:
    notify({"event": "step", "name": name})
    begin_s = time.monotonic()
    try:
        yield
    finally:
        found.steps.append(Step(name, time.monotonic() - begin_s))
