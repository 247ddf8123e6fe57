# SPDX-License-Identifier: Apache-2.0
"""What a trial leaves: record.json, with environment.json and samples.csv beside it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bpfbench.codec import to_json
from bpfbench.inside.trial.sampler import Sampler
from bpfbench.model import (
    RECORD_FORMAT,
    CallAccount,
    Check,
    Conditions,
    Content,
    Energy,
    Environment,
    FioResult,
    Hook,
    ProgramTime,
    Record,
    RingAccount,
    Status,
    Step,
    SystemLoad,
    TracerSummary,
    TracerUsage,
    TrialSpec,
)

NO_CALLS = "absent: the kernel does not account the calls of processes, or lets nobody trace fio until it is executed"
NO_FREQUENCY = "absent: no cpufreq driver"
SHORT = "absent: fio ran for less than the interval between two samples"


@dataclass
class Gathered:
    """What is known so far; a trial that fails keeps what it has."""

    sampler: Sampler
    steps: list[Step] = field(default_factory=list)
    environment: Environment | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """Of the environment."""
    fio: FioResult | None = None
    summary: TracerSummary | None = None
    tracer_status: int | None = None
    usage: TracerUsage | None = None
    idle: SystemLoad | None = None
    load: SystemLoad | None = None
    energy: Energy | None = None
    energy_note: str | None = None
    programs: tuple[ProgramTime, ...] = ()
    monitor_cpu_s: float | None = None
    cached_bytes: int = 0
    hooked_before: int = 0
    since_ns: int = 0
    """CLOCK_MONOTONIC, before the tracer was started."""
    fio_span: tuple[float, float] | None = None
    """When fio did its I/O, in seconds by CLOCK_MONOTONIC."""
    drop_gap_s: float | None = None
    at_start: Conditions | None = None
    at_end: Conditions | None = None
    calls: CallAccount | None = None
    hooks: tuple[Hook, ...] = ()
    rings: tuple[RingAccount, ...] = ()
    written_bytes: int | None = None
    content: Content | None = None
    leftovers: dict[str, frozenset[str]] = field(default_factory=dict)


def write(
    spec: TrialSpec,
    started_at: str,
    cpus: dict[str, Set[int]],
    found: Gathered,
    checks: tuple[Check, ...],
    reason: str | None,
) -> Record:
    """Write all that a trial leaves into spec.record_dir.

    Args:
        spec: what was to be done.
        started_at: UTC, ISO 8601.
        cpus: by role.
        found: what was found.
        checks: of the invariants.
        reason: why the trial failed; None where it did not.
    """
    status = Status.FAILED if reason is not None else Status.OK
    if broken := [check for check in checks if not check.ok]:
        status, reason = Status.INVALID, "; ".join(f"{check.name}: {check.detail}" for check in broken)
    accounting, accounting_note = found.sampler.accounting()
    notes = {
        "load": SHORT if found.fio and not found.load else None,
        "energy": found.energy_note,
        "accounting": accounting_note if found.fio else None,
        "calls": NO_CALLS if found.fio and not found.calls else None,
        "cpu frequency": NO_FREQUENCY if found.at_start and found.at_start.cpu_mhz is None else None,
        "data and output on one file system": _same_file_system(spec),
        "tracing programs loaded before": str(found.hooked_before),
    }
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
        notes={name: note for name, note in notes.items() if note is not None},
        environment=found.environment,
        energy=found.energy,
        accounting=accounting,
        groups=found.sampler.groups,
        programs=found.programs,
        predecessor=spec.predecessor,
        place=spec.place,
        drop_gap_s=found.drop_gap_s,
        at_start=found.at_start,
        at_end=found.at_end,
        calls=found.calls,
        hooks=found.hooks,
        rings=found.rings,
        written_bytes=found.written_bytes,
        content=found.content,
    )
    directory = Path(spec.record_dir)
    found.sampler.write(directory / "samples.csv")
    (directory / "environment.json").write_text(json.dumps({**found.facts, "versions": _versions(found)}, indent=1))
    (directory / "record.json").write_text(to_json(record))
    return record


def _versions(found: Gathered) -> dict[str, str]:
    """Return the versions of what ran, as loaded."""
    of_fio = {"fio": found.fio.version} if found.fio else {}
    return {**(found.summary.versions if found.summary else {}), **of_fio, "python": platform.python_version()}


def _same_file_system(spec: TrialSpec) -> str:
    same = os.stat(spec.data_dir).st_dev == os.stat(spec.output_dir).st_dev  # noqa: PTH116
    return "yes" if same else "no"
