# SPDX-License-Identifier: Apache-2.0
"""What a trial leaves: record.json, with environment.json and samples.csv beside it."""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bpfbench.codec import to_json
from bpfbench.inside.monitors.energy import SHORT
from bpfbench.inside.monitors.series import Span
from bpfbench.inside.trial.content import TracedOutput
from bpfbench.inside.trial.sampler import Sampler
from bpfbench.model import DrivenResult, FioResult, Record, Status, Step, TrialSpec, blank_record

NO_CALLS = (
    "absent: the kernel does not account the calls of processes, or lets nobody trace the target until it is executed"
)
NO_ORDER = "absent: each CPU has a ring of its own, so that events of a thread that moves come in another order"
NO_FREQUENCY = "absent: no cpufreq driver"

Notify = Callable[[dict[str, Any]], None]


@dataclass
class Gathered:
    """A trial at work: what it is told, and what is known so far. One that fails keeps what it has."""

    spec: TrialSpec
    notify: Notify
    cpus: dict[str, Set[int]]
    """By role."""
    sampler: Sampler
    record: Record
    """As far as it is known."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Of the environment."""
    energy_note: str | None = None
    tracer_status: int | None = None
    cached_bytes: int = 0
    data_bytes: int = 0
    """Of the files that were dropped from the page cache."""
    hooked_before: int = 0
    subject: TracedOutput | None = None
    """The tracer's output, if it has records that can be looked at one by one."""
    span: Span | None = None
    """When the target was at work, by its own account."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of a target besides fio."""
    called: set[str] = field(default_factory=set)
    """What processes of a target besides fio were seen to be called."""
    leftovers: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def printed(self) -> Path:
        """What a tracer that is a command prints."""
        return Path(self.spec.output_dir) / f"{self.spec.trial.id}.printed"

    @property
    def output(self) -> Path:
        """What the tracer writes."""
        return Path(self.spec.output_dir) / f"{self.spec.trial.id}.out"

    def file(self, name: str) -> Path:
        """Return the path of what lies beside the record."""
        return Path(self.spec.record_dir) / name

    def note(self, **found: Any) -> None:
        """Put what was found into the record; what was noted while it was being found stays."""
        self.record = replace(self.record, **found)

    def sum_up(self, fio: FioResult | None = None, driven: DrivenResult | None = None) -> None:
        """Take what was sampled over the target's own span, without its launch and exit, which would dilute short runs.

        Args:
            fio: what came of it.
            driven: what came of another target.
        """
        self.note(fio=fio, driven=driven)
        if (outcome := self.record.outcome) is None:
            return
        begin_s = outcome.started_at_s - (time.time() - time.monotonic())
        span = self.span = begin_s, begin_s + outcome.runtime_s
        energy, self.energy_note = self.sampler.energy(span)
        self.note(load=self.sampler.load(span), energy=energy)
        if usage := self.record.usage:
            user_s, system_s = self.sampler.tracer_cpu_s(span)
            self.note(usage=replace(usage, workload_user_s=user_s, workload_system_s=system_s))

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step of the protocol, and take its time."""
        self.notify({"event": "step", "name": name})
        begin_s = time.monotonic()
        try:
            yield
        finally:
            self.note(steps=(*self.record.steps, Step(name, time.monotonic() - begin_s)))


def begun(spec: TrialSpec, started_at: str, cpus: dict[str, Set[int]]) -> Record:
    """Return the record of a trial of which nothing is known yet; it started at that time, UTC by ISO 8601."""
    by_role = {role: tuple(sorted(numbers)) for role, numbers in cpus.items()}
    return replace(blank_record(spec, started_at, platform.node()), cpus=by_role)


def write(found: Gathered, reason: str | None) -> Record:
    """Write all that a trial leaves into its spec's record_dir. It failed if there is a reason."""
    known = found.record
    status = Status.OK if reason is None else Status.FAILED
    if broken := [check for check in known.checks if not check.ok]:
        status, reason = Status.INVALID, "; ".join(f"{check.name}: {check.detail}" for check in broken)
    accounting, accounting_note = found.sampler.accounting()
    devices = [Path(place).stat().st_dev for place in (found.spec.data_dir, found.spec.output_dir)]
    notes = {
        "load": f"absent: {SHORT}" if known.outcome and not known.load else None,
        "energy": found.energy_note,
        "accounting": accounting_note if known.outcome else None,
        "rate": f"latencies are absent: {_not_kept(known.driven)}"
        if known.driven and not known.driven.kept_rate
        else None,
        "calls": NO_CALLS if known.outcome and not known.calls else None,
        "order": NO_ORDER if known.content and (own := known.trial.config) and not own.ordered else None,
        "cpu frequency": NO_FREQUENCY if known.at_start and known.at_start.cpu_mhz is None else None,
        "data and output on one file system": "yes" if devices[0] == devices[1] else "no",
        "tracing programs loaded before": str(found.hooked_before),
    }
    record = replace(
        known,
        status=status,
        reason=reason,
        notes={name: note for name, note in notes.items() if note is not None},
        accounting=accounting,
        groups=found.sampler.groups,
    )
    found.sampler.write(found.file("samples.csv"))
    found.file("environment.json").write_text(json.dumps({**found.facts, "versions": _versions(record)}, indent=1))
    found.file("record.json").write_text(to_json(record))
    return record


def _not_kept(driven: DrivenResult) -> str:
    return f"of {driven.rate_per_s} operations per second offered, {driven.achieved_per_s:.0f} were done"


def _versions(record: Record) -> dict[str, str]:
    """Return the versions of what ran, as loaded."""
    of_target = {"fio": record.fio.version} if record.fio else record.driven.versions if record.driven else {}
    return {**(record.summary.versions if record.summary else {}), **of_target, "python": platform.python_version()}
