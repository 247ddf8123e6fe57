# SPDX-License-Identifier: Apache-2.0
"""plan, run, status and summary: from a study to its results."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench import store
from bpfbench.analysis.summary import summarise
from bpfbench.cli import runs
from bpfbench.cli.app import (
    DEFAULT_RUNS,
    RunName,
    RunsDir,
    StudyName,
    Verbose,
    Wait,
    app,
    cache_dir,
    stderr,
)
from bpfbench.cli.options import GoalOptions, SourceOptions, StudyOptions, means
from bpfbench.cli.show import Form, TableForm, show
from bpfbench.declare import plan, study
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED, EMULATED_REMARK, Accelerator, Attach, Status, Study
from bpfbench.report.document import Block, Bullets, Code, Heading, Paragraph, table
from bpfbench.report.documents import summary as summary_report
from bpfbench.report.write import csv
from bpfbench.run import campaign
from bpfbench.run.progress import ProgressReporter, logged_to, set_up_logging
from bpfbench.run.stage import Stage, expected_accelerator, foreseen
from bpfbench.units import duration, gib


@app.command(name="plan")
def plan_(name: StudyName, /, *, options: StudyOptions = StudyOptions(), form: Form = Form()) -> int:
    """Show the trials of a study in their order, and what they take. Runs nothing."""
    chosen = study.load(study.find(name), options.overrides())
    chosen = foreseen(chosen) if Attach.AUTO in chosen.factors.attach else chosen
    unrolled = plan.unroll(chosen)
    plan.require_tracers(chosen, unrolled)
    expected = expected_accelerator(chosen, cache_dir()) if chosen.testbed == "vm" else None
    emulated = expected is Accelerator.TCG
    needs = plan.needs(unrolled, chosen, emulated=emulated)
    takes = _needs_text(unrolled, needs, len(plan.warm_ups(unrolled.trials, chosen, emulated=emulated)))
    rows = [(str(trial.block + 1), trial.id) for trial in unrolled.trials]
    document = (
        table(("block", "trial"), rows, texts=2),
        Bullets(tuple(f"left out: {reason}" for reason in unrolled.left_out)),
        Paragraph(_testbed_text(chosen, expected)),
        Paragraph(takes),
    )
    data = {"study": chosen, "needs": needs, "trials": unrolled.trials, "left_out": unrolled.left_out}
    show(form, "plan", document, data)
    return 0


@app.command
def run(
    name: StudyName | None = None,
    /,
    *,
    resume: Annotated[str | None, Parameter(help="Finish this run instead of starting one.")] = None,
    retry_failed: Annotated[
        bool, Parameter(help="With --resume: run failed and invalid trials again.", negative="")
    ] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    run_dir: Annotated[
        Path | None, Parameter(help="The new run's directory (default: by date, in --runs-dir).")
    ] = None,
    goal: GoalOptions = GoalOptions(),
    options: StudyOptions = StudyOptions(),
    source_options: SourceOptions = SourceOptions(),
    wait: Wait = False,
    verbose: Verbose = False,
) -> int:
    """Run a study, or go on with a run, and print its summary.

    Trials are run in rounds: after each, what is there is a complete study.
    """
    from bpfbench.run import rounds  # with numpy and scipy, which plan and status do not wait for

    set_up_logging(stderr, verbose=verbose)
    if (name is None) == (resume is None):
        raise UsageError("give either a study, or --resume and a run", "`bpfbench list` shows the studies")
    overrides = options.overrides()
    if resume is not None and overrides.keys() - {"repetitions"}:
        raise UsageError("--resume goes on with the study as it was; of its options it takes --repetitions alone")
    if retry_failed and resume is None:
        raise UsageError("--retry-failed goes with --resume")
    decided, limit_s = goal.needs(), goal.limit_s()
    if resume is not None:
        opened = store.find(runs_dir, resume)
        with opened.locked():
            pass  # who is running it already is not waited for
        chosen, unrolled = opened.info.study, plan.Plan(opened.plan(), opened.info.left_out)
        repetitions = study.given("repetitions", overrides) or chosen.repetitions
    else:
        chosen = foreseen(study.load(study.find(str(name)), overrides))
        repetitions = chosen.repetitions if "repetitions" in overrides or not goal.open_ended else 1
        chosen = replace(chosen, repetitions=repetitions)
        unrolled = plan.unroll(chosen)
        plan.require_tracers(chosen, unrolled)  # to be said before minutes go into an image
    same_image = partial(campaign.same_image, opened, cache_dir()) if resume is not None else None
    with Stage(chosen, means(source_options, wait=wait), campaign.disks(chosen, unrolled), same_image) as stage:
        if resume is not None:
            campaign.require_same_machine(opened, stage.testbed)
        else:
            path = run_dir or runs_dir / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{chosen.name}"
            opened = campaign.start(stage.study, unrolled, stage.testbed, path)
        if stage.testbed.emulated:
            stderr.print(f"bpfbench: {EMULATED_REMARK}", highlight=False, soft_wrap=True)
        with logged_to(opened.log_file), ProgressReporter(stderr) as reporter:
            more = rounds.Extension(opened, rounds.Goal(repetitions, decided, limit_s), reporter)
            campaign.execute(opened, stage.testbed, reporter, retry_failed=retry_failed, further=more)
    finished = runs.read(opened)
    _show_summary(finished)
    stderr.print(f"Results: {opened.path}", highlight=False, soft_wrap=True)
    stderr.print(f"next: bpfbench report {_called(opened, runs_dir)}", highlight=False, soft_wrap=True)
    return 0 if all(record.status is Status.OK for record in finished.results.records) else 1


def _called(run: store.Run, runs_dir: Path) -> str:
    """Return what a run is called on a command line."""
    return "latest" if run.path.parent.resolve() == DEFAULT_RUNS.resolve() == runs_dir.resolve() else str(run.path)


@app.command
def status(
    name: RunName = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: Form = Form(),
) -> int:
    """Say how far a run is."""
    run, results, about = runs.opened(runs_dir, name)
    records = results.records
    counts = {status.value: sum(record.status is status for record in records) for status in Status}
    running = run.is_locked()
    data = {"path": run.path, "testbed": run.info.study.testbed, **counts, "running": running}
    state = "running" if running else "complete" if about.trials_done == about.trials_planned else "interrupted"
    detail = ", ".join(f"{count} {what}" for what, count in counts.items())
    blocks: list[Block] = [
        Heading(f"{run.path}: study {about.study}, {state}"),
        *([Paragraph(EMULATED_REMARK)] if about.emulated else []),
        Paragraph(f"{about.trials_done} of {about.trials_planned} trials done: {detail}"),
        Bullets(tuple(f"{r.trial.id}: {r.status}: {r.reason}" for r in records if r.status is not Status.OK)),
    ]
    if state == "interrupted":
        blocks += [Paragraph("Finish it with:"), Code((f"bpfbench run --resume {run.path}",))]
    show(form, "status", tuple(blocks), data, about)
    return 0


@app.command
def summary(
    name: RunName = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: TableForm = TableForm(),
) -> int:
    """Print what a run found: a table per workload and tool."""
    _show_summary(runs.opened(runs_dir, name), form)
    return 0


def _testbed_text(chosen: Study, expected: Accelerator | None) -> str:
    """Say where a study is going to be measured, by which accelerator if in virtual machines."""
    if expected is None:
        return "on this machine's kernel"
    vm = chosen.machine
    hosts = f"{len(chosen.hosts)} virtual machines, one at a time" if len(chosen.hosts) > 1 else "a virtual machine"
    how = EMULATED if expected is Accelerator.TCG else f"accelerator {expected}"
    each = f"{vm.cpus} CPUs and {gib(vm.memory_bytes)} each"
    return f"in {hosts}, {each}, kernels: {', '.join(chosen.factors.kernels)}; {how}"


def _needs_text(unrolled: plan.Plan, needs: plan.Needs, warm_ups: int) -> str:
    blocks = unrolled.trials[-1].block + 1
    discarded = f" and {warm_ups} warm-ups" if warm_ups else ""
    return (
        f"{len(unrolled.trials)} trials in {blocks} blocks{discarded}, about {duration(needs.seconds)}; data files "
        f"{gib(needs.data_bytes)}, tracer output at most {gib(needs.output_bytes)} at a time"
    )


def _show_summary(run: runs.Opened, form: TableForm = TableForm()) -> None:
    """Print a run's summary as tables, or as what was asked for."""
    from bpfbench.report.documents import (
        order,  # imports numpy, scipy and statsmodels, which no other verb here waits for
    )

    found, about = summarise(run.results), run.about
    if form.csv:
        sys.stdout.write(csv.data(*summary_report.flat(found)))
        return
    said = order.said(run.results)
    answer = summary_report.document(found, about, said), summary_report.data(found, said)
    show(form, "summary", *answer, about, schema=summary_report.SCHEMA)
