# SPDX-License-Identifier: Apache-2.0
"""run, on a cluster: what cli/run.py calls in place of a stage. Who imports this needs Dask, which is an extra."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bpfbench.cluster import controller, guard, ledger, start
from bpfbench.cluster.client import Cluster
from bpfbench.cluster.connection import Connection
from bpfbench.errors import MachineError, StudyError
from bpfbench.model import Assignment, Study
from bpfbench.run import campaign
from bpfbench.run.progress import ProgressReporter
from bpfbench.run.stage import Means
from bpfbench.store import Run

execute = controller.execute


def begin(study: Study, connection: Connection, kinds: Mapping[str, str], means: Means, path: Path) -> Run:
    """Begin a run: look at the hosts, bring them the image, and make the run directory.

    Args:
        study: on testbed cluster; without hosts: on all that are there.
        connection: to the cluster.
        kinds: what the user calls the kinds of hosts, by host, where that was said.
        means: what the image is made with.
        path: of the run directory.

    Raises:
        BpfbenchError: that cannot be done; says why.
    """
    guard.only(guard.NOTHING)
    with Cluster(connection) as cluster:
        hosts = start.present_hosts(cluster, study.hosts)
        study = replace(study, hosts=hosts)
        start.remark(start.greet(cluster, study, hosts, None))
        image = start.bring_image(cluster, study, hosts, means)
        with ProgressReporter(means.console) as reporter:
            grounds = start.survey(cluster, study, hosts, image, reporter)
        settled, unrolled = start.settle(study, grounds)
        return campaign.made(settled, unrolled, image, start.together(grounds, kinds), path)


def go_on(run: Run, connection: Connection, hosts: Sequence[str], means: Means, tell: Callable[[str], None]) -> None:
    """Make ready to go on with a run.

    Args:
        run: the run.
        connection: to the cluster.
        hosts: those to go on with; none: those it was begun on.
        means: what the image is made with.
        tell: is told, in a line, what is changed.

    Raises:
        BpfbenchError: that cannot be done, or would compare what cannot be compared; says why.
    """
    guard.only(guard.NOTHING)
    study = run.info.study
    image = replace(campaign.same_image(run, means.cache), parts=run.info.parts)
    if not hosts or set(hosts) == set(study.hosts):
        return  # who is not there is waited for
    if study.assignment is Assignment.BY_SETUP and (others := set(study.hosts) - set(hosts)):
        raise StudyError(
            f"{run.path}: {', '.join(sorted(others))} cannot be left out: setups were assigned to them (by-setup)",
            "resume it with the hosts it began on, or start a new run",
        )
    if study.assignment is Assignment.BY_SETUP:
        return
    machine = dict(run.info.machine)
    with run.locked(), Cluster(connection) as cluster:
        start.present_hosts(cluster, hosts)
        start.remark(start.greet(cluster, study, hosts, image))
        if new := [host for host in hosts if host not in machine["hosts"]]:
            with ProgressReporter(means.console) as reporter:
                grounds = start.survey(cluster, study, new, image, reporter)
            _require_hooks(run, grounds)
            facts = {host: ground["facts"] for host, ground in grounds.items()}
            machine["hosts"] = {**machine["hosts"], **facts}
        moved = ledger.onto(run, hosts, machine)
    tell(f"goes on with {', '.join(hosts)}; blocks given to another host than planned: {moved}")


def _require_hooks(run: Run, grounds: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse hosts that cannot attach as the run does."""
    for host, ground in grounds.items():
        if lacking := [attach for attach in run.info.study.factors.attach if attach not in ground["hooks"]]:
            raise MachineError(f"host {host} cannot attach by {', '.join(lacking)}, as this run does", "leave it out")
