# SPDX-License-Identifier: Apache-2.0
"""The trial protocol, step by step: prepare, tracer start, READY, idle, drop, target, SIGINT, drained, verify, record.

Single-threaded: this process samples while fio and tracer run in theirs, and does nothing else meanwhile.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import shutil
import time
from collections.abc import Callable, Set
from dataclasses import replace
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside import environment, grip, leftovers, tracer
from bpfbench.inside.child import Launch
from bpfbench.inside.command import CommandProcess
from bpfbench.inside.kernel import bpf, pagecache, tasks
from bpfbench.inside.monitors import cgroup, process
from bpfbench.inside.tracer import TracerProcess
from bpfbench.inside.trial import (
    attached,
    commanded,
    conditions,
    content,
    delivery,
    driven,
    fio,
    record,
    variant,
    verify,
)
from bpfbench.inside.trial.counted import CountedProcess
from bpfbench.inside.trial.record import Gathered, Notify
from bpfbench.inside.trial.sampler import Sampler, Traced
from bpfbench.inside.trial.workload import FioProcess, is_laid_out
from bpfbench.model import (
    OWN_COMM,
    Buffer,
    Check,
    Placement,
    Record,
    RingAccount,
    TracerUsage,
    TrialSpec,
    Variant,
    Workload,
)

TEMPORARY = Path("/tmp")  # noqa: S108 - private to the trial: a tmpfs of its own

DROP_GAP_S = 0.05
"""From the data files being dropped from the page cache to fio's launch: what lies between takes less."""


def run(spec: TrialSpec, notify: Notify) -> Record:
    """Run one trial, write what it leaves into spec.record_dir, and return its record, also if it failed.

    Notified is every step as it begins, and every command.
    """
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    sampler = Sampler(f"{spec.session}-{spec.trial.id}")
    cpus = cpus_by_role(spec.settings.placement, os.sched_getaffinity(0), with_tracer=not spec.trial.is_vanilla)
    os.sched_setaffinity(0, cpus["monitor"])
    found = Gathered(spec, notify, cpus, sampler, record.begun(spec, started_at, cpus))
    reason: str | None = None
    try:
        _measure(found)
        with found.step("verify"):
            found.note(checks=_verify(found))
    except StepError as error:
        reason = "; ".join([error.message, *(f"{kind} left: {len(items)}" for kind, items in found.leftovers.items())])
        if found.record.summary is None and found.spec.command is None:
            with contextlib.suppress(StepError):  # whatever went wrong, keep the tracer's own account if there is one
                found.note(summary=tracer.read_summary(found.file("summary.json")))
    finally:
        if not spec.settings.keep_output:
            found.output.unlink(missing_ok=True)
            found.printed.unlink(missing_ok=True)
        if spec.target:
            shutil.rmtree(Path(spec.data_dir) / driven.DATA, ignore_errors=True)
        with found.step("writeback"):
            os.sync()  # the next trial starts from a quiet disk; what is deleted by now need not be written
    return record.write(found, reason)


def cpus_by_role(placement: Placement, allowed: Set[int], *, with_tracer: bool) -> dict[str, Set[int]]:
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


def _measure(found: Gathered) -> None:
    spec, sampler = found.spec, found.sampler
    data_dir = Path(spec.data_dir)
    places = driven.Places.of(spec.target, spec) if spec.target else None
    files = [data_dir / name for name in fio.data_files(spec.trial.workload)]
    with found.step("prepare"):
        found.note(environment=environment.current(spec.accelerator))
        found.facts = environment.facts({"data": spec.data_dir, "output": spec.output_dir})
        if places:
            Path("/proc/self/comm").write_text(OWN_COMM)  # the target may be called python3, too
            driven.prepare(places, data_dir)
            found.versions = driven.versions(found, places)
            files = [] if places.target.keep_cache else driven.data_files(places)
        elif not is_laid_out(spec.trial.workload, data_dir):
            raise StepError("data files are not laid out")
        os.sync()  # only clean pages can be dropped, and the disk is quiet then
        cgroup.sweep(cgroup.hierarchy())
        before = leftovers.take(TEMPORARY)
        found.hooked_before = len(before[leftovers.TRACING_PROGRAMS])
    prepared_s = time.monotonic()
    try:
        with sampler, contextlib.ExitStack() as running:
            read = _read_behind(found, running)
            held = _hold(found, running, places) if spec.command and spec.command.wants_target else None
            traced = _start_tracer(found, running, held, followed=read is not None)
            account = running.enter_context(_rings(spec, traced, before)) if isinstance(traced, TracerProcess) else None
            if traced:
                pids = grip.family(traced.pid) if spec.command else (traced.pid_tracing,)
                found.note(hooks=attached.hooks(before, *pids))
            with found.step("idle"):
                found.note(idle=sampler.idle(spec.settings.idle_s))
            if files and _reads(spec.trial.workload):
                with found.step("rest"):
                    time.sleep(max(0.0, prepared_s + spec.settings.rest_s - time.monotonic()))
            with found.step("drop"):
                pagecache.drop(files)
                dropped_s = time.monotonic()
                found.cached_bytes = pagecache.cached_bytes(files) if files else 0
                found.data_bytes = sum(path.stat().st_size for path in files)
                found.note(at_start=conditions.now(data_dir))
                time.sleep(max(0.0, dropped_s + DROP_GAP_S - time.monotonic()))
            if places:
                started_s = driven.run(found, places, traced, held)
            else:
                with found.step("workload"):
                    started_s = _run_fio(found, traced, held)
            found.note(drop_gap_s=started_s - dropped_s)
            if traced:
                with found.step("drain"):
                    _stop_tracer(found, traced)
            if account:
                found.note(rings=account())
            if read:
                with found.step("follow"):
                    read()
    finally:
        with found.step("leftovers"):
            found.leftovers = leftovers.settled_since(before, TEMPORARY)


def _reads(workload: Workload) -> bool:
    """Tell whether a target reads its files from disk; fio's writes go to the page cache."""
    return not workload.is_fio or workload.name != "write"


def _rings(
    spec: TrialSpec, traced: TracerProcess, before: leftovers.Inventory
) -> contextlib.AbstractContextManager[Callable[[], tuple[RingAccount, ...]]]:
    """Return what tells what has gone through the rings of a tracer, or its perf buffers."""
    config = spec.trial.config
    has_perf = config is not None and config.buffer is Buffer.PERF
    return attached.perf_buffers(traced.pid_tracing) if has_perf else attached.rings(before)


def _read_behind(found: Gathered, running: contextlib.ExitStack) -> Callable[[], None] | None:
    """Have what the tracer writes read meanwhile, if it is: checked, as it may outgrow its share of the disk, or timed.

    Returns:
        What notes what was found, once the tracer has ended.
    """
    spec, config, since_ns = found.spec, found.spec.trial.config, time.monotonic_ns()
    followed = spec.output_disk_bytes is not None
    found.subject = content.subject(spec, found.output, since_ns, followed=followed)
    if found.subject and followed:
        checked = running.enter_context(content.audit(found.subject, spec.output_disk_bytes))
        return lambda: found.note(content=checked.result())
    if config and config.variant is Variant.DELAY:
        timed = running.enter_context(delivery.timed(config, variant.INSTEAD[config.variant], since_ns))
        return lambda: found.note(delivery=timed.result())
    return None


def _hold(found: Gathered, running: contextlib.ExitStack, places: driven.Places | None) -> CountedProcess:
    """Start the target, and hold it before it has done anything, so that a tracer can be told its id."""
    with found.step("hold"):
        if places:
            running.enter_context(places.made())
        held = driven.hold(found, places) if places else FioProcess(_launch_of_fio(found), held=True)
        return running.enter_context(held)


def _start_tracer(
    found: Gathered, running: contextlib.ExitStack, held: CountedProcess | None, *, followed: bool
) -> Traced | None:
    if found.spec.command:
        with found.step("start"):
            traced, ready_s = commanded.start(found, running, held.pid if held else None)
            _note_start(found, traced, ready_s)
        return traced
    return _start_by_contract(found, running, followed=followed)


def _start_by_contract(found: Gathered, running: contextlib.ExitStack, *, followed: bool) -> TracerProcess | None:
    spec, config = found.spec, found.spec.trial.config
    if spec.tracer_command is None or config is None:
        return None
    output = variant.INSTEAD.get(config.variant, found.output)
    options = tracer.arguments(spec.trial.tool, config, output, found.file("summary.json"), spec.comm)
    command = (*spec.tracer_command, *options)
    found.notify({"event": "command", "argv": command})
    join, env = found.sampler.joiner("tracer"), tracer.FOLLOWED if followed else {}
    launch = Launch(command, found.cpus["tracer"], found.file("tracer.stderr"), join, env)
    with found.step("start"):
        traced = running.enter_context(TracerProcess(launch))
        _note_start(found, traced, traced.wait_ready(spec.settings.deadlines.ready_s))
    return traced


def _note_start(found: Gathered, traced: Traced, ready_s: float) -> None:
    sample = found.sampler.watch(traced)
    usage = TracerUsage(
        startup_s=ready_s,
        startup_cpu_s=sample.user_s + sample.system_s,
        workload_user_s=None,
        workload_system_s=None,
        drain_s=None,
        pss_peak_bytes=sample.pss_bytes,
        code_bytes=process.code_bytes(traced.pid_tracing),
    )
    found.note(usage=usage)


def _launch_of_fio(found: Gathered) -> Launch:
    spec = found.spec
    command, env = fio.call(spec.trial.workload, spec.job_file, str(found.file("fio.json")), spec.data_dir)
    found.notify({"event": "command", "argv": command})
    return Launch(command, found.cpus["workload"], found.file("fio.stderr"), found.sampler.joiner("workload"), env)


def _run_fio(found: Gathered, traced: Traced | None, held: CountedProcess | None) -> float:
    """Run fio to its end; return when it was executed, or let go, by CLOCK_MONOTONIC in seconds."""
    spec, sampler = found.spec, found.sampler
    with variant.applied(spec.trial.config, traced) as times:
        sampler.take()
        with held or FioProcess(_launch_of_fio(found)) as workload:
            if held:
                held.let_go()
            own_before_s = time.process_time()
            workload.wait(spec.settings.deadlines.workload_s, spec.settings.sample_interval_s, sampler.take)
            found.note(monitor_cpu_s=time.process_time() - own_before_s)
        sampler.take(over=True)
    found.note(at_end=conditions.now(Path(spec.data_dir)), calls=workload.calls, programs=tuple(times))
    sampler.take_groups()
    try:
        result = fio.parse(found.file("fio.json").read_text())
    except (OSError, ValueError, KeyError) as error:
        raise StepError(f"fio's output cannot be used: {error}") from error
    found.sum_up(fio=result)
    return workload.started_s


def _stop_tracer(found: Gathered, traced: Traced) -> None:
    if isinstance(traced, CommandProcess):
        _note_stop(found, commanded.stop(found, traced))
        return
    found.sampler.watch(traced)
    found.tracer_status = traced.stop(found.spec.settings.deadlines.drain_s)
    found.note(written_bytes=traced.written_bytes)
    summary = tracer.read_summary(found.file("summary.json"))
    exact = found.spec.target is None or not any(found.spec.target.unhooked_percent.values())
    if found.record.calls is not None and found.spec.trial.config is not None and exact:
        summary = verify.completed(summary, found.spec.trial.config.attach, found.record.calls)
    found.note(summary=summary)
    times = summary.times_ns
    if times.stop is None or times.drained is None:
        raise StepError("tracer's summary says nothing of when it was stopped and when it had drained")
    _note_stop(found, (times.drained - times.stop) / 1e9)


def _note_stop(found: Gathered, drain_s: float) -> None:
    peaks = [sample.pss_bytes for sample in found.sampler.tracer if sample.pss_bytes is not None]
    if usage := found.record.usage:
        found.note(usage=replace(usage, drain_s=drain_s, pss_peak_bytes=max(peaks, default=None)))


def _verify(found: Gathered) -> tuple[Check, ...]:
    if found.record.outcome is None:
        raise StepError("the target left no result")
    events, size = _saved(found)
    record, target = found.record, found.spec.target
    proof = verify.Proof(
        record=record,
        unhooked_percent=target.unhooked_percent if target else {},
        called=(tasks.shown(found.spec.comm), tuple(sorted(map(tasks.shown, found.called)))),
        machine=platform.machine(),
        cached_bytes=found.cached_bytes,
        data_bytes=found.data_bytes,
        leftovers=found.leftovers,
        tracer_status=found.tracer_status,
        output_bytes=size,
        output_events=events,
        possible_cpus=bpf.possible_cpus(),
        online_cpus=os.sysconf("SC_NPROCESSORS_ONLN"),
    )
    checks = verify.checks(proof)
    if record.content is None or record.summary is None or found.span is None:
        return checks
    expected = verify.expected_content(record, record.summary, found.span)
    return (*checks, *content.checks(record.content, expected, found.sampler.waited_s))


def _saved(found: Gathered) -> tuple[int | None, int | None]:
    """Return how many events the tracer's output holds, and its size; None for both where there is none."""
    output, trial, timed = found.output, found.spec.trial, found.record.delivery
    if timed is not None:
        return timed.records, timed.output_bytes
    if trial.config is None or trial.config.is_command or not variant.writes(trial.config):
        return None, None
    if not output.exists():
        raise StepError("tracer left no output")
    examined = found.record.content
    if examined is None and found.subject is not None:
        examined = content.audit(found.subject).result()
        found.note(content=examined)
    if examined is not None:
        return examined.records, examined.output_bytes
    return tracer.count_events(output, trial.tool, trial.config), output.stat().st_size
