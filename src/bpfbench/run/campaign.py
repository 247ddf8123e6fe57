# SPDX-License-Identifier: Apache-2.0
"""A campaign: the one loop from plan, store and testbed to records. Whatever has a record is not run again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bpfbench import __version__, store
from bpfbench.declare import estimate, plan
from bpfbench.declare.plan import Needs, Plan
from bpfbench.errors import LostError, MachineError, StoreError, StudyError
from bpfbench.machine import facts
from bpfbench.model import Placement, Predecessor, Record, Setup, Status, Study, Trial, TrialSpec
from bpfbench.run.progress import Pace, ProgressReporter
from bpfbench.run.stage import Means
from bpfbench.store import RUN_FORMAT, Run, RunInfo
from bpfbench.testbed import image as images
from bpfbench.testbed.base import Sizes, Testbed, data_name
from bpfbench.testbed.carried import own_files
from bpfbench.testbed.image import Image, layers
from bpfbench.testbed.image.layers import Progress
from bpfbench.units import gib

MEMORY_FILESYSTEMS = ("tmpfs", "ramfs", "zfs")
"""File systems that keep their data in memory of their own, whatever is asked of the page cache."""


def execute(
    run: Run,
    testbed: Testbed,
    reporter: ProgressReporter,
    *,
    retry_failed: bool = False,
    further: Callable[[], Sequence[Trial]] = tuple,
) -> None:
    """Run every trial that has no record yet. May be interrupted anywhere; only the trial in flight is lost.

    Args:
        run: the run.
        testbed: where trials run, on the stage.
        reporter: who is told.
        retry_failed: set aside the records of failed and invalid trials first, so that they are run again.
        further: asked for more once all is done, which it has added to the plan; nothing: that was all.

    Raises:
        StepError: data files could not be written.
        StoreError: the run directory cannot be written, or another campaign is running in it.
    """
    with run.locked():
        run.discard_partial()
        if retry_failed:
            for record in run.records():
                if record.status is not Status.OK:
                    run.forget(record.trial.id)
        try:
            _run_all(run, testbed, reporter, further)
        finally:
            run.discard_partial()


def _run_all(run: Run, testbed: Testbed, reporter: ProgressReporter, further: Callable[[], Sequence[Trial]]) -> None:
    done = run.done()
    left: Sequence[Trial] = [trial for trial in run.plan() if trial.id not in done]
    loop, pace = _Loop(run, testbed, reporter), Pace(estimate.seconds(run.info.study))
    before: Trial | None = None
    usual = True  # whether `before` left what trials like it leave
    while left or (left := further()):
        trials = run.plan()
        places = plan.places(trials)
        foreseen = plan.warm_ups(left, run.info.study, emulated=testbed.emulated)
        ahead = {trial.id: trial for trial in (*left, *foreseen)}
        for number, trial in enumerate(left, len(trials) - len(left)):
            if before is not None and testbed.boots_blocks and (before.block != trial.block or not usual):
                before = None
            if testbed.warms_up and (warm_up := plan.warm_up(trial, before if usual else None)) is not None:
                reporter.trial_began(warm_up, number, len(trials), pace.left_s(ahead.values()))
                pace.add(warm_up, loop.run(warm_up, before, None)[1])
                ahead.pop(warm_up.id, None)
                before = warm_up
            reporter.trial_began(trial, number, len(trials), pace.left_s(ahead.values()))
            record, seconds = loop.run(trial, before, places[trial.id])
            pace.add(ahead.pop(trial.id), seconds)
            before, usual = trial, not _cut_short(record)
            reporter.trial_ended(record, seconds, number + 1, len(trials), pace.left_s(ahead.values()))
        left = ()


def _cut_short(record: Record) -> bool:
    """Tell whether the target began, or may have begun, and did not end: it, or the machine, was lost on the way."""
    return record.outcome is None and (not record.steps or any(step.name == "workload" for step in record.steps))


class _Loop:
    """Runs trial after trial of a run, each on data files that are laid out."""

    def __init__(self, run: Run, testbed: Testbed, reporter: ProgressReporter) -> None:
        self._run, self._testbed, self._reporter = run, testbed, reporter
        self._laid_out: set[tuple[str, str]] = set()
        """By host and name."""

    def run(self, trial: Trial, before: Trial | None, place: int | None) -> tuple[Record, float]:
        """Run a trial, commit its record, and return that with the time it took in seconds."""
        began_s = time.monotonic()
        directory = self._run.begin(trial)
        record = self._record(trial, before, place, directory)
        if record.status is Status.FAILED:
            self._laid_out.clear()  # whatever it was, they may have suffered
        self._run.commit(trial)
        return record, time.monotonic() - began_s

    def _record(self, trial: Trial, before: Trial | None, place: int | None, directory: Path) -> Record:
        study = self._run.info.study
        spec = TrialSpec(
            trial,
            study.settings,
            output_disk_bytes=output_disk_bytes(trial, study),
            predecessor=predecessor(before) if before else None,
            place=place,
        )
        work = trial.workload
        files = (trial.host, data_name(work) if work.is_fio else work.name)
        if files not in self._laid_out:
            self._reporter.laying_out(trial.workload, 0)
            report = lambda event: self._reporter.laying_out(trial.workload, event.get("bytes", 0))  # noqa: E731
            try:
                self._testbed.lay_out(spec, report)
            except LostError as error:
                return self._testbed.give_up(spec, error.message, directory)
            self._laid_out.add(files)
        tell = lambda event: self._reporter.trial_event(trial, event)  # noqa: E731
        return self._testbed.run(spec, directory, tell)


def predecessor(trial: Trial) -> Predecessor:
    """Return what the record of the next trial says of this one."""
    return Predecessor(trial.id, trial.setup, trial.tool, trial.workload, trial.warm_up)


FOLLOWED_LEAST_BYTES = 256 * 2**20
"""The least that an output which outgrows it may be bound to: a fast tracer writes half of it before giving blocks back
has an effect."""


def require_bound(study: Study, trials: Iterable[Trial]) -> None:
    """Refuse a bound of what outputs take of the disk that cannot be kept.

    Raises:
        StudyError: it is too small, or outputs are to be kept.
    """
    if not any(output_disk_bytes(trial, study) for trial in trials):
        return
    where = f"study {study.name}: output_limit_bytes"
    if study.settings.keep_output:
        raise StudyError(
            f"{where}: what outgrows it is given back to the disk, and settings.keep_output keeps it", "choose one"
        )
    if (study.output_limit_bytes or 0) < FOLLOWED_LEAST_BYTES:
        raise StudyError(
            f"{where}: {study.output_limit_bytes} is less than the {FOLLOWED_LEAST_BYTES} bytes that a tracer needs "
            "whose output outgrows it",
            "choose more, or a smaller --scale",
        )


def output_disk_bytes(trial: Trial, study: Study) -> int | None:
    """Return what a trial's output may take of the disk; None where it cannot outgrow what the study allows."""
    limit = study.output_limit_bytes
    if trial.config is None or trial.config.is_command:
        return None
    unknown = not trial.workload.is_fio
    return limit if limit is not None and (unknown or plan.output_bytes(trial) > limit) else None


def require_room(needs: Needs, data_dir: Path, output_dir: Path, laid_out_bytes: int) -> None:
    """Refuse a plan that disk or memory cannot hold, where so much of its data files is there already.

    Raises:
        MachineError: with the numbers.
    """
    data, output = facts.storage(data_dir), facts.storage(output_dir)
    data_bytes = max(0, needs.data_bytes - laid_out_bytes)
    demands = [(data, data_bytes), (output, needs.output_bytes)]
    if data.device_number == output.device_number:
        demands = [(data, data_bytes + needs.output_bytes)]
    for disk, wanted in demands:
        if wanted > disk.free_bytes:
            raise MachineError(
                f"{disk.path} has {gib(disk.free_bytes)} free; this study wants {gib(wanted)} there "
                f"(data files {gib(data_bytes)} more, tracer output up to {gib(needs.output_bytes)})",
                "choose a smaller --scale, another disk (--data-dir, --output-dir), or set output_limit_bytes",
            )
    available = facts.memory_available_bytes()
    if needs.memory_bytes > available:
        raise MachineError(
            f"{gib(available)} of memory is available; this study wants {gib(needs.memory_bytes)}",
            "choose a smaller ringbuf_bytes, or free memory",
        )


def start(study: Study, unrolled: Plan, testbed: Testbed, path: Path, *, empty: bool = False) -> Run:
    """Make the run directory of a study, after making sure that there is room for it.

    Args:
        study: what is run.
        unrolled: its plan.
        testbed: where.
        path: of the directory.
        empty: whether it has no trials to begin with, and gets some of those of the plan as it goes.

    Raises:
        MachineError: disk or memory cannot hold it.
        StoreError: the directory cannot be made.
        StudyError: it bounds what outputs take of the disk, and the bound cannot be kept.
    """
    require_bound(study, unrolled.trials)
    data_dir, output_dir = testbed.data_dir, testbed.output_dir
    _require_fit(study, testbed)
    laid_out_bytes = sum(path.stat().st_blocks * 512 for path in testbed.data_files(plan.data_sets(unrolled)))
    require_room(plan.needs(unrolled, study, testbed.cpus), data_dir, output_dir, laid_out_bytes)
    storage = facts.storage_facts({"data": data_dir, "output": output_dir, "run": path})
    begun = replace(unrolled, trials=()) if empty else unrolled
    return made(study, begun, testbed.image, {**testbed.facts, "storage": storage}, path)


def made(study: Study, unrolled: Plan, image: Image, machine: dict[str, Any], path: Path) -> Run:
    """Make the run directory of a study, on an image and a machine of these facts.

    Raises:
        StoreError: the directory cannot be made.
        StudyError: a tracer that the study brings cannot be read.
    """
    info = RunInfo(
        format=RUN_FORMAT,
        id=path.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bpfbench_version=__version__,
        study=study,
        trials_planned=len(unrolled.trials),
        left_out=unrolled.left_out,
        image=asdict(image),
        machine=machine,
        executables=digests(study),
    )
    return store.create(path, info, unrolled.trials)


def disks(study: Study, unrolled: Plan) -> Sizes:
    """Return what the disks of each virtual machine of a study must hold."""
    data_bytes = sum(workload.total_bytes for workload in plan.data_sets(unrolled) if workload.is_fio)
    data_bytes += sum(target.data_bytes for target in study.targets)
    return Sizes(data_bytes, plan.needs(unrolled, study).output_bytes)


def _require_fit(study: Study, testbed: Testbed) -> None:
    """Refuse what every trial would fail by."""
    filesystem = facts.storage(testbed.data_dir).filesystem
    if filesystem in MEMORY_FILESYSTEMS:
        raise MachineError(
            f"{testbed.data_dir} is on {filesystem}, whose pages cannot be dropped: reads would never reach a disk",
            "choose a directory on a disk with --data-dir",
        )
    if study.settings.placement is Placement.PAPER and testbed.cpus == 1:
        which = "the virtual machine" if testbed.accelerator else "this machine"
        raise MachineError(f"placement 'paper' keeps a CPU for the monitors, and {which} has one", "--placement shared")


def digests(study: Study) -> dict[str, str]:
    """Return the SHA-256 of what a study brings: of each setup's files, by setup, and of what is a target's, by path.

    That is the folder of its files, or where it shares it with the study, each file that its commands name.

    Raises:
        StudyError: one cannot be read.
    """
    brought: dict[str, tuple[str, Iterable[bytes]]] = {
        setup.name: (f"setup {setup.name}", map(Path.read_bytes, _files_of(setup))) for setup in study.setups
    }
    for target in (own for own in study.targets if own.files and not own.shipped):
        whose, folder, files = f"target {target.name}", Path(target.files or ""), own_files(target)
        if target.shares_files:
            brought |= {str(path): (whose, map(Path.read_bytes, (path,))) for path in files}
        else:
            brought[str(folder)] = whose, layers.contents(files, folder)
    found = {}
    for name, (whose, pieces) in brought.items():
        try:
            digest = hashlib.sha256()
            for piece in pieces:
                digest.update(piece)
            found[name] = digest.hexdigest()
        except OSError as error:
            raise StudyError(f"{whose}: {error.filename} cannot be read: {error.strerror}") from error
    return found


def _files_of(setup: Setup) -> Iterable[Path]:
    """Return the files of the user's own that a setup runs, as far as they are named."""
    if not setup.is_command:
        return (Path(setup.command[0]),)
    named = (word for own in setup.commands.values() for word in own.command if word.startswith("{files}/"))
    return (Path(word.replace("{files}", setup.files or "")) for word in named)


def same_image(run: Run, cache: Path) -> Image:
    """Return the image a run began with, and refuse to go on with other tracers.

    Raises:
        StoreError: the image is gone, or an executable or a target's file is another: trials would not compare.
    """
    for name, digest in digests(run.info.study).items():
        if run.info.executables.get(name, digest) != digest:  # runs of old do not know the files of targets
            what = f"content of {name}" if name.startswith("/") else f"executable of setup {name}"
            raise StoreError(f"{run.path}: began with another {what}", "start a new run")
    image = images.with_key(cache, run.info.image["key"])
    if image is None:
        key = run.info.image["key"]
        raise StoreError(f"{run.path}: began with image {key}, which is not in {cache} any more", "start a new run")
    return image


def same_image_completed(run: Run, means: Means, progress: Progress) -> Image:
    """Return the image a run began with, and build what its setups and targets want of it, should that be gone.

    Raises:
        StoreError: as `same_image`.
        ImageError: it could not be built.
    """
    image, parts = same_image(run, means.cache), run.info.parts
    kept = images.with_key(means.cache, image.key, parts) if parts else None
    setups, targets, packages = run.info.study.wants
    wanted = (setups, (), ()) if kept else (setups, targets, packages)
    found = images.completed(means.cache, image, means.sources, progress, *wanted)
    if parts and not kept and found.parts != parts:
        gone = ", ".join(set(parts) - set(found.parts))
        raise StoreError(f"{run.path}: began with {gone}, which {means.cache} has no more", "start a new run")
    return replace(found, parts=parts) if kept else found


def require_same_machine(run: Run, testbed: Testbed) -> None:
    """Refuse to go on where a run did not begin.

    Raises:
        StoreError: kernel, host, CPUs or accelerator are not those it began with: its trials would not compare.
    """
    began, here = run.info.machine, testbed.facts
    own_kernels = here.get("kernels", {})
    compared = ("host", "cpus", "cpu_model", "accelerator") if own_kernels else ("host", "kernel", "cpus", "cpu_model")
    for what in compared:
        if began.get(what) != here.get(what):
            raise StoreError(
                f"{run.path}: began with {what} {began.get(what)}, here is {here[what]}", "start a new run"
            )
    for name, kernel in own_kernels.items():
        if kernel["key"] != began.get("kernels", {}).get(name, {}).get("key"):
            raise StoreError(f"{run.path}: began with another build of kernel {name}", "start a new run")
