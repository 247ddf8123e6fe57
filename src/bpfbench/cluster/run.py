# SPDX-License-Identifier: Apache-2.0
"""run, on a cluster: what cli/run.py calls in place of a stage. Who imports this needs Dask, which is an extra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bpfbench.cluster import controller, guard, start
from bpfbench.cluster.client import Cluster
from bpfbench.cluster.connection import Connection
from bpfbench.errors import StudyError
from bpfbench.model import Assignment, Study
from bpfbench.run import campaign
from bpfbench.run.progress import ProgressReporter
from bpfbench.run.stage import Means
from bpfbench.store import Run

execute = controller.execute


def begin(study: Study, connection: Connection, means: Means, path: Path) -> Run:
    """Begin a run: look at the hosts, bring them the image, and make the run directory.

    Raises:
        BpfbenchError: that cannot be done; says why.
    """
    guard.only(guard.NOTHING)
    with Cluster(connection) as cluster:
        hosts = start.present_hosts(cluster, study.hosts)
        study = replace(study, hosts=hosts)
        start.greet(cluster, study, hosts, None)
        image = start.bring_image(cluster, study, hosts, means)
        with ProgressReporter(means.console) as reporter:
            grounds = start.survey(cluster, study, hosts, image, reporter)
        settled, unrolled = start.settle(study, grounds)
        return start.begin(settled, unrolled, image, grounds, path)


def go_on(run: Run, hosts: Sequence[str], means: Means) -> None:
    """Make ready to go on with a run, on these hosts, or those it began on.

    Raises:
        BpfbenchError: that cannot be done, or would compare what cannot be compared; says why.
    """
    guard.only(guard.NOTHING)
    study = run.info.study
    others = set(study.hosts) - set(hosts) if hosts else set()
    if others and study.assignment is Assignment.BY_SETUP:
        raise StudyError(
            f"{run.path}: the setups of {', '.join(sorted(others))} were measured there (assignment by-setup)",
            "resume it with the hosts it began on, or start a new run",
        )
    campaign.same_image(run, means.cache)
