# SPDX-License-Identifier: Apache-2.0
"""capacity: what a run's setups save, predicted and measured."""

from __future__ import annotations

from bpfbench.analysis.questions.capacity import Capacity
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir
from bpfbench.cli.runs import DrainFile, benched, opened
from bpfbench.cli.show import Form, show
from bpfbench.report.documents import capacity as report


def capacity(
    name: RunName = "latest",
    /,
    *,
    drain: DrainFile = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: Form = Form(),
) -> int:
    """Show how many events each setup saves at a given rate or in bursts, predicted and measured.

    For each target with a rate of its own, the prediction leaves that target
    out. It is made from the others of the run, or with --drain from what
    `bench drain` measured.
    """
    bench = benched(drain) if drain is not None else ()
    _, results, about, _ = opened(runs_dir, name)
    found = Capacity.of(results, bench)
    show(form, "capacity", report.document(found, about), report.data(found), about)
    return 0
