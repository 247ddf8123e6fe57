# SPDX-License-Identifier: Apache-2.0
"""run: a study, or what is left of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench import store
from bpfbench.cli import runs
from bpfbench.cli.app import DEFAULT_RUNS, RunsDir, StudyName, Verbose, Wait, cache_dir, stderr
from bpfbench.cli.options import GoalOptions, SourceOptions, StudyOptions, means
from bpfbench.cli.summary import print_summary
from bpfbench.declare import plan, study
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED_REMARK, Status
from bpfbench.run import campaign, rounds
from bpfbench.run.progress import ProgressReporter, logged_to, set_up_logging
from bpfbench.run.stage import Stage, foreseen


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
    print_summary(finished, runs_dir)
    stderr.print(f"Results: {opened.path}", highlight=False, soft_wrap=True)
    called = runs.called(opened, runs_dir, "" if resume else "latest")
    stderr.print(f"next: bpfbench report {called}", highlight=False, soft_wrap=True)
    return 0 if all(record.status is Status.OK for record in finished.results.records) else 1
