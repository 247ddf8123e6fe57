# SPDX-License-Identifier: Apache-2.0
"""run: a study, or what is left of one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench import store
from bpfbench.cli import extras, runs
from bpfbench.cli.app import DEFAULT_RUNS, RunsDir, StudyName, Verbose, Wait, stderr
from bpfbench.cli.means import PATIENCE, ClusterOptions, SourceOptions, means
from bpfbench.cli.options import GoalOptions, StudyOptions, with_hosts
from bpfbench.cli.summary import print_summary
from bpfbench.declare import plan, study
from bpfbench.declare.hosts import Hosts
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED_REMARK, Status, Study
from bpfbench.run import campaign, rounds, tune
from bpfbench.run.progress import ProgressReporter, logged_to, set_up_logging
from bpfbench.run.stage import Means, Stage, foreseen
from bpfbench.store import Run


def run(
    name: StudyName | None = None,
    /,
    *,
    resume: Annotated[str | None, Parameter(help="Finish this run instead of starting a new one.")] = None,
    retry_failed: Annotated[
        bool, Parameter(help="With --resume: run failed and invalid trials again.", negative="")
    ] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    run_dir: Annotated[
        Path | None, Parameter(help="Directory of the new run (default: named by date, in --runs-dir).")
    ] = None,
    goal: GoalOptions = GoalOptions(),
    options: StudyOptions = StudyOptions(),
    cluster: ClusterOptions = ClusterOptions(),
    source_options: SourceOptions = SourceOptions(),
    wait: Wait = False,
    verbose: Verbose = False,
) -> int:
    """Run a study, or resume a run, and print its summary.

    Trials are run in rounds. After each round, the run so far is a complete study.

    Exit status: 0, all trials are ok; 1, one is not, or could not be run.
    """
    set_up_logging(stderr, verbose=verbose)
    if (name is None) == (resume is None):
        raise UsageError("give either a study, or --resume and a run", "`bpfbench list` shows the studies")
    again = _again(options if resume else None, goal, cluster, retry_failed=retry_failed, wait=wait)
    options, hosts = with_hosts(options, resumes=resume is not None)
    overrides = options.overrides()
    if resume is not None and overrides.keys() - {"repetitions", "hosts"}:
        raise UsageError("--resume goes on with the study as it was; of its options it takes --repetitions and --hosts")
    if retry_failed and resume is None:
        raise UsageError("--retry-failed goes with --resume")
    decided, limit_s = goal.needs(), goal.limit_s()
    begun = None if resume is None else store.find(runs_dir, resume)
    if begun is not None:
        with begun.locked():
            pass  # who is running it already is not waited for
        if begun.tunes and not tune.is_over(begun):
            raise UsageError(f"{begun.path}: this run tunes", f"go on with it by: {runs.going_on(begun)}")
        chosen = begun.info.study
        repetitions = study.given("repetitions", overrides) or chosen.repetitions
    else:
        chosen = study.load(study.find(str(name)), overrides)
        repetitions = chosen.repetitions if "repetitions" in overrides or not goal.open_ended else 1
        chosen = replace(chosen, repetitions=repetitions)
    path = run_dir or runs_dir / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{chosen.name}"
    wanted = _Wanted(begun, path, rounds.Goal(repetitions, decided, limit_s), retry_failed)
    given = means(source_options, wait=wait)
    with runs.resumable(begun.path if begun else path, "run", *again):
        if chosen.testbed == "cluster":
            named = study.given("hosts", overrides) or ()
            opened = _on_cluster(chosen, wanted, given, cluster, hosts, named)
        else:
            cluster.refuse()
            if begun is not None and "hosts" in overrides:
                raise UsageError("option --hosts: this run is on no cluster, and goes on where it began")
            opened = _here(chosen, wanted, given)
    finished = runs.read(opened)
    print_summary(finished, runs_dir)
    stderr.print(f"Results: {opened.path}", highlight=False, soft_wrap=True)
    called = runs.called(opened, runs_dir, "" if resume else "latest")
    stderr.print(f"next: {runs.command('report', called)}", highlight=False, soft_wrap=True)
    complete = len(finished.results.records) == opened.info.trials_planned
    if not complete:
        _say(f"not all trials could be run; go on with: {runs.going_on(opened, *again)}")
    return 0 if complete and all(record.status is Status.OK for record in finished.results.records) else 1


def _again(
    resumed: StudyOptions | None, goal: GoalOptions, cluster: ClusterOptions, *, retry_failed: bool, wait: bool
) -> tuple[str, ...]:
    """Return the options by which a run that goes on is asked for the same again.

    Args:
        resumed: what is said in place of the study of a run that goes on already; None: it is new, and keeps its own.
        goal: when there are enough rounds.
        cluster: how patient with it; the run keeps where it is.
        retry_failed: whether failed trials are run again.
        wait: whether others that measure are waited for.
    """
    own = vars(resumed) if resumed else {}
    given = {
        "--retry-failed": retry_failed,
        "--repetitions": own.get("repetitions"),
        "--hosts": own.get("hosts"),
        "--host-patience": None if cluster.host_patience == PATIENCE else cluster.host_patience,
        "--for": goal.time,
        "--until": goal.until,
        "--at-most": goal.at_most,
        "--wait": wait,
    }
    return tuple(
        word
        for option, value in given.items()
        if value
        for word in ((option,) if value is True else (option, str(value)))
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be run."""

    begun: Run | None
    """A run to go on with; None: one is to begin."""
    path: Path
    """Where one that is to begin is kept."""
    goal: rounds.Goal
    retry_failed: bool


def _here(chosen: Study, wanted: _Wanted, given: Means) -> Run:
    """Run a study on this machine."""
    begun, same_image = wanted.begun, None
    if begun is not None:
        unrolled = plan.Plan(begun.plan(), begun.info.left_out)
        same_image = partial(campaign.same_image_completed, begun, given)
    else:
        # To be said before minutes go into an image.
        store.require_place(wanted.path)
        chosen = foreseen(chosen)
        unrolled = plan.unroll(chosen)
        plan.require_tracers(chosen, unrolled)
    with Stage(chosen, given, campaign.disks(chosen, unrolled), same_image) as stage:
        if begun is not None:
            campaign.require_same_machine(begun, stage.testbed)
        opened = begun or campaign.start(stage.study, unrolled, stage.testbed, wanted.path)
        if stage.testbed.emulated:
            _say(EMULATED_REMARK)
        with logged_to(opened.log_file), ProgressReporter(stderr) as reporter:
            more = rounds.Extension(opened, wanted.goal, reporter)
            campaign.execute(opened, stage.testbed, reporter, retry_failed=wanted.retry_failed, further=more)
    return opened


def _on_cluster(
    chosen: Study,
    wanted: _Wanted,
    given: Means,
    cluster: ClusterOptions,
    hosts: Hosts | None,
    named: tuple[str, ...],
) -> Run:
    """Run a study on the hosts of a cluster; `hosts` are those of a file, `named` those of an option."""
    extras.require("cluster", "testbed cluster")
    from bpfbench.cluster import run as on_hosts

    connection = cluster.connection(hosts, wanted.begun.path if wanted.begun else None)
    opened = wanted.begun
    if opened is not None:
        names = tuple(host.name for host in hosts.hosts) if hosts else named
        on_hosts.go_on(opened, connection, names, given, _say)
    else:
        store.require_place(wanted.path)
        kinds = {host.name: host.kind for host in hosts.hosts} if hosts else {}
        opened = on_hosts.begin(chosen, connection, kinds, given, wanted.path)
    if opened.info.machine.get("emulated"):
        _say(EMULATED_REMARK)
    _say(f"how it is going: bpfbench status --follow {opened.path}, or {opened.path}/live.html in a browser")
    with logged_to(opened.log_file), ProgressReporter(stderr) as reporter:
        on_hosts.execute(
            opened,
            connection,
            reporter,
            retry_failed=wanted.retry_failed,
            patience_s=cluster.patience_s(),
            further=rounds.Extension(opened, wanted.goal, reporter),
        )
    return opened


def _say(message: str) -> None:
    stderr.print(f"bpfbench: {message}", highlight=False, soft_wrap=True)
