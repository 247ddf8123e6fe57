# SPDX-License-Identifier: Apache-2.0
"""Progress: a bar on a terminal, dated lines elsewhere, and the same in the run's log; durations and sizes in words."""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bpfbench.model import Record, Status, TracerSummary, Trial, Workload
from bpfbench.units import duration, size

LOG = logging.getLogger("bpfbench")
COMMANDS = logging.getLogger("bpfbench.command")

TIMED = logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S")
DATED = logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")


def set_up_logging(console: Console, *, verbose: bool) -> None:
    """Send messages to the console; commands too, if `verbose`."""
    LOG.setLevel(logging.DEBUG)
    handler: logging.Handler
    if console.is_terminal:
        handler = _ConsoleHandler(console)
        handler.setFormatter(TIMED)
    else:
        handler = logging.StreamHandler(console.file)
        handler.setFormatter(DATED)
    handler.setLevel(logging.DEBUG if verbose else logging.INFO)
    LOG.handlers[:] = [handler]


class _ConsoleHandler(logging.Handler):
    """Prints above the progress bar, and never breaks a line: commands are there to be pasted."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), soft_wrap=True, markup=False, highlight=False)


@contextlib.contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Keep everything, commands included, in a file as well."""
    handler = logging.FileHandler(path)
    handler.setFormatter(DATED)
    LOG.addHandler(handler)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        handler.close()


class ProgressReporter:
    """Shows how a campaign or an image build goes. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = self._kind = ""
        self._trials = (0, 0, 0.0)
        """How many are done, of how many, and how many seconds are left."""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", left="", visible=False)

    def __enter__(self) -> ProgressReporter:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def building(self, what: str, share: float) -> None:
        """An image build does `what`; `share` of it is done."""
        self._show("image", f"image: {what}", share, 1.0)
        self._say_once(f"image: {what}")

    def checking(self, case: str, done: int, total: int) -> None:
        """The conformance suite is at a case, the `done`th of `total`."""
        self._show("check", f"{done}/{total} {case}", done - 1, total)
        self._say_once(f"{done}/{total} {case}")

    def laying_out(self, workload: Workload, done_bytes: int) -> None:
        """Data files are being written."""
        each = f"{workload.processes} x {size(workload.bytes_per_process)}"
        what = f"data files: {each if workload.is_fio else workload.name}"
        self._show("data", what, done_bytes, max(1, workload.total_bytes))
        self._say_once(what)

    def trial_began(self, trial: Trial, done: int, total: int, left_s: float) -> None:
        """A trial begins."""
        self._trials = (done, total, left_s)
        self._show("trials", f"{done + 1}/{total} {name(trial)}", *self._trials)
        COMMANDS.debug("%s %s", "warm-up" if trial.warm_up else "trial", trial.id)

    def trial_event(self, trial: Trial, event: dict[str, Any]) -> None:
        """The trial runner says something."""
        if event["event"] == "command":
            COMMANDS.debug("in the image: %s", shlex.join(event["argv"]))
        elif event["event"] == "step":
            done, total, _ = self._trials
            self._show("trials", f"{done + 1}/{total} {name(trial)}: {event['name']}", *self._trials)

    def trial_ended(self, record: Record, seconds: float, done: int, total: int, left_s: float) -> None:
        """A trial has its record."""
        self._progress.update(self._task, completed=done)
        left = f", about {duration(left_s)} left" if done < total else ""
        LOG.info("%s%s", describe(record, seconds, done, total), left)

    def round_ended(self, said: str) -> None:
        """All trials of the plan have their records; what comes next is said."""
        LOG.info("%s", said)

    def measuring(self, what: str, done: int, total: int, left_s: float | None) -> None:
        """A measurement begins that is of no study's plan."""
        self._show("measurements", f"{done + 1}/{total} {what}", done, total, left_s)

    def measured(self, what: str) -> None:
        """It has ended."""
        LOG.info("%s", what)

    def _show(self, kind: str, what: str, done: float, total: float, left_s: float | None = None) -> None:
        """Move the bar; the time that is left is what it took to come so far, where nobody knows better."""
        if kind != self._kind:
            self._kind = kind
            self._progress.reset(self._task, visible=True)
        if left_s is None and done > 0.05 * total:
            left_s = (self._progress.tasks[0].elapsed or 0.0) * (total - done) / done
        left = "" if left_s is None else f"about {duration(left_s)} left"
        self._progress.update(self._task, completed=done, total=total, description=what, left=left)

    def _say_once(self, what: str) -> None:
        if what != self._said:
            self._said = what
            (COMMANDS.debug if self._console.is_terminal else LOG.info)("%s", what)


T = TypeVar("T")


class Pace(Generic[T]):
    """Scales estimates of how long things take by how long they really take.

    Args:
        estimate: says of a thing, before there is experience, how many seconds it takes.
    """

    def __init__(self, estimate: Callable[[T], float]) -> None:
        self._estimate = estimate
        self._estimated_s = self._taken_s = 0.0

    def add(self, thing: T, seconds: float) -> None:
        """Learn from one."""
        self._estimated_s += self._estimate(thing)
        self._taken_s += seconds

    def left_s(self, things: Iterable[T]) -> float:
        """Estimate how long things take."""
        return self.scaled(sum(map(self._estimate, things)))

    def scaled(self, estimate_s: float) -> float:
        """Return an estimate as experience has it."""
        return estimate_s * (self._taken_s / self._estimated_s if self._estimated_s else 1.0)


def describe(record: Record, seconds: float, done: int, total: int) -> str:
    """Say in one line how a trial went."""
    head = f"{done}/{total} {name(record.trial)}:"
    if record.status is not Status.OK or record.outcome is None:
        return f"{head} {record.status.upper()}: {record.reason}"
    if record.emulated:
        return f"{head} {_accounted(record.summary)} ({seconds:.1f} s)"
    parts = [*_achieved(record)]
    if record.summary is not None and record.summary.intercepted_total:
        parts.append(f"saved {100 * record.summary.saved / record.summary.intercepted_total:.1f} %")
    return f"{head} {', '.join(parts)} ({seconds:.1f} s)"


def _achieved(record: Record) -> Iterator[str]:
    """Say what the target has done."""
    if record.fio:
        yield f"{record.fio.throughput_bytes_per_s / 2**20:.0f} MiB/s"
    elif record.outcome:
        yield f"{record.outcome.runtime_s:.2f} s"
        if record.outcome.operations:
            yield f"{record.outcome.operations / record.outcome.runtime_s:.0f} operations/s"
    if record.outcome and record.outcome.latency_mean_us is not None:
        yield f"{record.outcome.latency_mean_us:.2f} us"


def _accounted(summary: TracerSummary | None) -> str:
    """Say of a trial on an emulated machine what it proves."""
    if summary is None:
        return "ok"
    return f"intercepted {summary.intercepted_total} = saved {summary.saved} + lost {summary.lost_total}"


def name(trial: Trial) -> str:
    """Name a trial for people."""
    return trial.id.split("-", 1)[-1]
