# SPDX-License-Identifier: Apache-2.0
"""Everything that is sampled beside a trial, in one place: the machine, its energy, the tracer, the control groups."""

from __future__ import annotations

import contextlib
import csv
import time
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.command import CommandProcess
from bpfbench.inside.monitors import cgroup, energy, process, series, system
from bpfbench.inside.monitors.series import Span
from bpfbench.inside.tracer import TracerProcess
from bpfbench.model import CpuTime, Energy, GroupUsage, SystemLoad

Traced = TracerProcess | CommandProcess
"""The tracer of a trial, by the contract or a command."""

_Used = process.ProcessSample | cgroup.GroupSample

COLUMNS = ("monotonic_s", "what", "busy_ticks", "total_ticks", "user_s", "system_s", "memory_bytes", "joules")


class Sampler:
    """What was sampled so far of the trial of that name. A context manager: it keeps control groups and counters."""

    def __init__(self, name: str) -> None:
        self.idle_span: Span | None = None
        self.groups: dict[str, GroupUsage] = {}
        """By role, once fio has ended."""
        self.tracer: list[process.ProcessSample] = []
        self._system = system.SystemReader()
        self._tracer_group: list[cgroup.GroupSample] = []
        self._meter = energy.Meter()
        self._groups = cgroup.ControlGroups(cgroup.hierarchy(), name)
        self._traced: Traced | None = None
        self._pss_due_s = 0.0
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Sampler:
        self._open.enter_context(self._system)
        self._open.enter_context(self._meter)
        self._open.enter_context(self._groups)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def joiner(self, role: str) -> Callable[[], None]:
        """Return what a process calls to join the control group of its role."""
        return self._groups.joiner(role)

    def watch(self, traced: Traced) -> process.ProcessSample:
        """Sample a tracer that is READY, with its PSS, and go on with it from now on.

        Raises:
            StepError: it has died.
        """
        self._traced = traced
        return self._take_tracer(traced, with_pss=True)

    def idle(self, seconds: float) -> SystemLoad | None:
        """Wait so long, and return what the machine did meanwhile."""
        begin_s = self._take_machine()
        time.sleep(seconds)
        self.idle_span = begin_s, self._take_machine()
        return self.load(self.idle_span)

    def take(self, *, over: bool = False) -> None:
        """Sample everything; PSS only if it is due. When the target is `over`, a command may have ended with it.

        Raises:
            StepError: the tracer has died.
        """
        self._take_machine()
        if over and isinstance(self._traced, CommandProcess) and not self._traced.alive():
            self._take_tracer_group()
        elif self._traced is not None:
            self._take_tracer(self._traced, with_pss=self._pss_due_s <= time.monotonic())

    def take_groups(self) -> None:
        """Read what the groups have used, at the end of the workload."""
        found = {role: usage for role in cgroup.ROLES if (usage := self._groups.usage(role)) is not None}
        wanted = {"tracer", "workload"} if self._traced else {"workload"}
        self.groups = found if wanted <= found.keys() else {}

    def used(self, role: str, pid: int) -> CpuTime | None:
        """Return the CPU time used so far: by the group of a role, or where it has none by a process and its children.

        None where it is gone.
        """
        found = self._groups.sample(role) or process.sample(pid, with_pss=False)
        return CpuTime(found.user_s, found.system_s) if found else None

    def load(self, span: Span) -> SystemLoad | None:
        """Return what the machine did over a span; None where no sample lies in it."""
        return system.load(self._system.samples(), *span)

    def tracer_cpu_s(self, span: Span) -> tuple[float, float]:
        """Return user and system CPU time of the tracer over a span, by its group if it has one."""
        samples: Sequence[_Used] = self._tracer_group if self.groups else self.tracer
        user_s, system_s = (series.increase(samples, span, attrgetter(name)) for name in ("user_s", "system_s"))
        return user_s, system_s

    def waited_s(self, span: Span) -> float:
        """Return how long the tracer was kept from running over a span: by others on its CPUs, and by its disk.

        That a thread of it waits for its disk is known of the moments it was sampled at.
        """
        delayed_s = series.increase(self.tracer, span, lambda sample: sample.delayed_s)
        samples = [sample for sample in self.tracer if span[0] <= sample.monotonic_s <= span[1]]
        blocked = sum(sample.blocked for sample in samples) / len(samples) if samples else 0.0
        return delayed_s + blocked * (span[1] - span[0])

    def energy(self, span: Span) -> tuple[Energy | None, str | None]:
        """Return what was consumed over a span, and what is missing of it."""
        return self._meter.sum_up(self.idle_span or span, span)

    def accounting(self) -> tuple[str, str | None]:
        """Return where resources are from, and what is missing there."""
        if not self.groups:
            return "proc", self._groups.reason or "a process did not join its control group"
        usage = self.groups["workload"]
        absent = {"memory": usage.memory_peak_bytes, "io": usage.written_bytes}
        missing = [name for name, value in absent.items() if value is None]
        return "cgroup-v2", f"controllers not in this hierarchy: {', '.join(missing)}" if missing else None

    def write(self, path: Path) -> None:
        """Write all samples as CSV; energy is what was consumed since the first of them."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for s in self._system.samples():
                writer.writerow((_time(s), "system", s.busy_ticks, s.total_ticks, "", "", s.memory_bytes, ""))
            for t in self.tracer:
                writer.writerow((_time(t), "tracer", "", "", t.user_s, t.system_s, t.pss_bytes, ""))
            for g in self._tracer_group:
                writer.writerow((_time(g), "tracer group", "", "", g.user_s, g.system_s, "", ""))
            consumptions, _ = self._meter.consumption()
            for domain, consumption in consumptions.items():
                for c in consumption:
                    writer.writerow((_time(c), domain, "", "", "", "", "", f"{c.joules:.6f}"))

    def _take_machine(self) -> float:
        now_s = self._system.take()
        self._meter.take()
        return now_s

    def _take_tracer(self, traced: Traced, *, with_pss: bool) -> process.ProcessSample:
        if with_pss:
            self._pss_due_s = time.monotonic() + process.PSS_INTERVAL_S
        if isinstance(traced, CommandProcess):
            traced.require_alive("before the target had")
        sample = process.sample(traced.pid_tracing, with_pss=with_pss)
        if sample is None or not traced.alive():
            raise StepError(f"tracer died: {traced.last_message()}")
        self.tracer.append(sample)
        self._take_tracer_group()
        return sample

    def _take_tracer_group(self) -> None:
        if (group := self._groups.sample("tracer")) is not None:
            self._tracer_group.append(group)


def _time(sample: series.Stamped) -> str:
    return f"{sample.monotonic_s:.6f}"
