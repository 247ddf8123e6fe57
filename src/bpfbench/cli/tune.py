# SPDX-License-Identifier: Apache-2.0
"""tune: which configuration of a setup does what is wanted at the least cost, and what of it is more than luck."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench import catalogue, store
from bpfbench.analysis.questions.tuning.aim import TUNABLE
from bpfbench.cli import extras, place, runs
from bpfbench.cli.app import DEFAULT_RUNS, RunsDir, Verbose, Wait, stderr
from bpfbench.cli.means import SourceOptions, means
from bpfbench.cli.options import DECIMAL, PERCENT, SIZES, StudyOptions, chosen, quantity
from bpfbench.cli.show import Form, show
from bpfbench.declare import plan, study, tuning
from bpfbench.declare.study import Override
from bpfbench.errors import UsageError
from bpfbench.factors import KNOBS
from bpfbench.model import EMULATED_BECAUSE, Study
from bpfbench.model.tuning import TUNING_FORMAT, Tuning, TuningGoal
from bpfbench.report.documents import tune as report
from bpfbench.run import campaign, memory
from bpfbench.run import tune as running
from bpfbench.run.progress import ProgressReporter, logged_to, set_up_logging
from bpfbench.run.stage import Means, Stage, foreseen
from bpfbench.store import Run
from bpfbench.units import duration
from bpfbench.values import seconds

KIND = "tune"
ALL = "all"
StudyOrOption = Annotated[str, Parameter(name="--study", help="A shipped study, or the path of a study file.")]
TIMES_MS = {"": 1, "ms": 1, "s": 1000}
WITHOUT_STUDY = {"tools": "rw-tracer", "workloads": "write", "scale": 0.00390625}
"""What is traced where no study says it: 128 MiB a process, as in `quick`."""


def tune(
    name: StudyOrOption | None = None,
    *,
    rate: Annotated[str | None, Parameter(help="Events per second of all processes, e.g. 200k: --rate-iops.")] = None,
    min_fidelity: Annotated[
        str | None, Parameter(help="Per cent of the events that must be saved (default: 99).")
    ] = None,
    max_memory: Annotated[str | None, Parameter(help="Most memory (PSS) the tracer may take, e.g. 20MiB.")] = None,
    max_cpu: Annotated[str | None, Parameter(help="Most CPU time the tracer may take, in per cent of one CPU.")] = None,
    max_delay: Annotated[
        str | None, Parameter(help="How long the settings may let an event wait, by arithmetic, e.g. 50ms.")
    ] = None,
    minimise: Annotated[
        str | None,
        Parameter(
            help="What to keep low, the most important first: overhead, memory, cpu, latency, energy, … (default: "
            "overhead,memory)."
        ),
    ] = None,
    knobs: Annotated[str | None, Parameter(help="Knobs to tune (default: all that there are).")] = None,
    time: Annotated[
        str | None,
        Parameter(
            "--for",
            help="How long each setup is tuned, validation included (default: 15min). With --resume: in all, "
            "including the time already used.",
        ),
    ] = None,
    output: Annotated[
        Path | None, Parameter(help="Write a study of what was found to this file: default and tuned, side by side.")
    ] = None,
    resume: Annotated[str | None, Parameter(help="Go on with this run instead of starting one.")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
    run_dir: Annotated[
        Path | None, Parameter(help="The new run's directory (default: by date, in --runs-dir).")
    ] = None,
    options: StudyOptions = StudyOptions(),
    source_options: SourceOptions = SourceOptions(),
    wait: Wait = False,
    verbose: Verbose = False,
    form: Form = Form(),
) -> int:
    """Find the configuration of a setup that loses nothing at the least cost, and say what of that is sure.

    Configurations are tried in blocks, along with the default and vanilla. What
    looks best is then measured anew, in fresh blocks, against the default,
    against others that look good, and with each knob set back. Only what these
    say is reported. Several setups, or --setups all, are tuned one after the
    other, in one run. docs/tune.md explains how.
    """
    extras.require("tune", KIND)
    set_up_logging(stderr, verbose=verbose)
    place.require_file(output, kinds=(".toml",))
    given = means(source_options, wait=wait)
    overrides = options.overrides()
    again = (*(() if output is None else ("--output", str(output))), *(("--wait",) if wait else ()))
    if resume is not None:
        asked_now: dict[str, object] = {
            "--study": name,
            "--rate": rate,
            "--min-fidelity": min_fidelity,
            "--max-memory": max_memory,
            "--max-cpu": max_cpu,
            "--max-delay": max_delay,
            "--minimise": minimise,
            "--knobs": knobs,
            "--run-dir": run_dir,
            **{own.option: own for own in overrides.values()},
        }
        if others := [option for option, value in asked_now.items() if value is not None]:
            raise UsageError(
                f"--resume goes on with the study as it was, and what it was to come to: {', '.join(others)} cannot be "
                "given with it",
                "start a new run for that; --for can be given, and is the time in all, what was used included",
            )
        run = store.find(runs_dir, resume)
        if run.tuning() is None:
            raise UsageError(f"{run.path}: this run tunes nothing", f"go on with it by: {runs.going_on(run)}")
        if time is not None:
            running.extend(run, _seconds(time))
        if not running.is_over(run):
            with runs.resumable(run.path, KIND, *again):
                _go_on(run, given)
    else:
        goal = TuningGoal(
            minimise=_costs("overhead,memory" if minimise is None else minimise),
            min_fidelity_percent=quantity(
                "--min-fidelity", "99" if min_fidelity is None else min_fidelity, PERCENT, most=100
            ),
            max_memory_bytes=None if max_memory is None else quantity("--max-memory", max_memory, SIZES, least=1),
            max_cpu_percent=None if max_cpu is None else quantity("--max-cpu", max_cpu, PERCENT),
            knobs=(),
            seconds=_seconds("15min" if time is None else time),
            max_delay_ms=None if max_delay is None else quantity("--max-delay", max_delay, TIMES_MS, least=1e-3),
        )
        named = None if knobs is None else chosen("--knobs", knobs, tuple(KNOBS))
        wanted = _study(name, overrides, rate)
        said = tuning.fixed(None if name is None else study.find(name), overrides)
        asked = _Asked(goal, named, said, everybody=_everybody(overrides))
        path = run_dir or runs_dir / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{KIND}"
        store.require_place(path)
        with runs.resumable(path, KIND, *again):
            run = _begin(wanted, asked, path, given)
    found = running.read(run)
    about = runs.read(run).about
    show(form, KIND, report.document(found), report.data(found), about, schema=report.SCHEMA)
    result = running.result(run, found)
    if output is not None and result.tuned:
        place.write(output, study.to_toml(result))
    stderr.print(f"Results: {run.path}", highlight=False, soft_wrap=True)
    if output is not None:
        follows = (
            f"next: {runs.command('run', str(output))}"
            if result.tuned
            else f"{output} is not written: there is no gain"
        )
        stderr.print(follows, highlight=False, soft_wrap=True)
    return 0 if all(own.validation or own.is_searched for own in found) else 1


def _costs(given: str) -> tuple[str, ...]:
    """Return what is to be low, in the order in which it was said."""
    names = [own.strip() for own in given.split(",") if own.strip()]
    if "fidelity" in names:
        raise UsageError("option --minimise: fidelity is no cost", "how much of the events is saved: --min-fidelity")
    chosen("--minimise", given, TUNABLE)
    return tuple(dict.fromkeys(names))


def _seconds(given: str) -> float:
    try:
        return seconds(given)
    except ValueError as error:
        raise UsageError(f"option --for: {error}") from None


def _study(name: str | None, overrides: dict[str, Override], rate: str | None) -> Study:
    """Return the study that is tuned; without one, the options say it all."""
    file = None if name is None else str(study.find(name))
    without = {} if file else WITHOUT_STUDY
    own = {f"factors.{key}": Override(f"--{key}", value) for key, value in without.items()}
    if "factors.targets" in overrides:
        own.pop("factors.workloads", None)
    given = {**own, **overrides}
    if _everybody(given):
        known = catalogue.SETUPS | {brought.name: brought for brought in study.brought_by(file)}
        names = [setup for setup in catalogue.usual(known) if not known[setup].is_command]
        given["factors.setups"] = Override(given["factors.setups"].option, names)
    if rate is not None:
        if "factors.rate_iops" in overrides:
            raise UsageError("options --rate and --rate-iops say the same: choose one")
        unrated = study.around(KIND, given, file)
        if not unrated.factors.workloads:
            raise UsageError(_no_events_of(unrated))
        each = tuning.rate_iops(quantity("--rate", rate, DECIMAL, least=1e-3), unrated.factors.processes[0])
        given["factors.rate_iops"] = Override("--rate", each)
    return study.around(KIND, given, file)


def _no_events_of(wanted: Study) -> str:
    """Say what to do in place of --rate where no fio is traced."""
    names, driven = wanted.factors.targets, [own.name for own in wanted.targets if own.drive_at]
    if kept := [name for name in names if name in driven]:
        instead = f"for {', '.join(kept)} say --rate-iops, its operations per second"
    else:
        instead = f"{', '.join(names)} keeps no rate (it has no drive_at): leave it out"
    return f"--rate is events per second of fio's processes; {instead}"


def _everybody(overrides: Mapping[str, Override]) -> bool:
    """Tell whether every setup is asked for that can be tuned."""
    return "factors.setups" in overrides and overrides["factors.setups"].value == [ALL]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for."""

    goal: TuningGoal
    """But for the knobs."""
    knobs: tuple[str, ...] | None
    """None: all that there are."""
    fixed: Mapping[str, str]
    """What the study says of factors, and where, as `tuning.fixed` has it."""
    everybody: bool
    """Whether it is for every setup that can be tuned, and for no others by name."""


def _begin(wanted: Study, asked: _Asked, path: Path, given: Means) -> Run:
    """Check what is asked for, and tune."""
    tuning.require_one_case(wanted)
    (tool,) = wanted.factors.tools
    tuned = tuning.knobs(asked.knobs, tool, asked.fixed)
    goal = replace(asked.goal, knobs=tuple(knob.name for knob in tuned))
    wanted = foreseen(wanted)
    usual = tuning.usual(wanted)
    free_bytes = memory.free_bytes(wanted, running.BESIDE_BYTES)
    varied, left_out = tuning.varied(wanted, tuned, free_bytes, goal)
    known = Tuning(
        TUNING_FORMAT,
        goal,
        usual,
        ring_bytes_most=tuning.ring_bytes_most(wanted, free_bytes),
        cpus=wanted.machine.cpus if wanted.ground == "vm" else os.cpu_count() or 1,
        events_per_s=tuning.events_per_s(wanted),
    )
    left_out = (*left_out, *tuning.delayed(varied, known))
    found = tuning.spaces(varied, known.allows)
    known = replace(known, goal=replace(goal, knobs=tuning.turned(varied, found, goal.knobs)))
    varied, not_tuned = tuning.tunable(varied, found, known, strict=not asked.everybody)
    tuning.require_time(varied, known.goal, len(varied.factors.setups))
    unrolled = tuning.demanding(varied, found, known.cpus)
    plan.require_tracers(varied, unrolled)
    unrolled = replace(unrolled, left_out=(*not_tuned, *left_out, *unrolled.left_out))
    for what, reasons in (("tuned", not_tuned), ("tried", left_out)):
        for reason in reasons:
            stderr.print(f"bpfbench: not {what}: {reason}", highlight=False, soft_wrap=True)
    if (setups := len(varied.factors.setups)) > 1:
        each, whole = duration(known.goal.seconds), duration(setups * known.goal.seconds)
        stderr.print(f"bpfbench: {setups} setups, one after the other: {each} each, {whole} in all", highlight=False)
    with Stage(varied, given, campaign.disks(varied, unrolled)) as stage:
        if stage.testbed.emulated:
            raise UsageError(f"there is nothing to tune here: {EMULATED_BECAUSE}", "choose a machine with KVM")
        run = campaign.start(replace(stage.study, repetitions=1), unrolled, stage.testbed, path, empty=True)
        run.keep_tuning(known)
        _tune(run, stage)
    return run


def _go_on(run: Run, given: Means) -> None:
    """Go on where a run was."""
    with run.locked():
        known = run.tuning()  # who is running it already is not waited for
    if known is None:
        return
    study_, same_image = run.info.study, partial(campaign.same_image_completed, run, given)
    unrolled = tuning.demanding(study_, tuning.spaces(study_, known.allows), known.cpus)
    with Stage(study_, given, campaign.disks(study_, unrolled), same_image) as stage:
        campaign.require_same_machine(run, stage.testbed)
        _tune(run, stage)


def _tune(run: Run, stage: Stage) -> None:
    from bpfbench.analysis.questions.tuning.estimator import most_promising  # with optuna, which is an extra

    with logged_to(run.log_file), ProgressReporter(stderr) as reporter:
        campaign.execute(run, stage.testbed, reporter, further=running.Tuner(run, reporter, most_promising))
