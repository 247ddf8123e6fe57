# SPDX-License-Identifier: Apache-2.0
"""plan: what a study is going to run."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter

from bpfbench.cli.app import StudyName, cache_dir
from bpfbench.cli.options import StudyOptions, with_hosts
from bpfbench.cli.show import Form, show
from bpfbench.declare import plan, study
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED, Accelerator, Attach, Study
from bpfbench.report.document import Bullets, Paragraph, table
from bpfbench.run.stage import expected_accelerator, foreseen
from bpfbench.units import duration, gib


def plan_(
    name: StudyName,
    /,
    *,
    trials: Annotated[bool, Parameter(negative="", help="Show every trial, in order.")] = False,
    options: StudyOptions = StudyOptions(),
    form: Form = Form(),
) -> int:
    """Show what a study takes and which trials it has. Runs nothing.

    Times and sizes are those of `run`; `tune` takes as long as its --for says.
    """
    chosen = study.load(study.find(name), with_hosts(options, resumes=False)[0].overrides())
    if not chosen.hosts:
        raise UsageError("testbed cluster: which hosts?", "--hosts hosts.toml, or their names: --hosts alpha,beta")
    depends = Attach.AUTO in chosen.factors.attach or any(setup.is_command for setup in chosen.setups)
    chosen = foreseen(chosen) if depends else chosen
    unrolled = plan.unroll(chosen)
    plan.require_tracers(chosen, unrolled)
    expected = expected_accelerator(chosen, cache_dir()) if chosen.ground == "vm" else None
    emulated = expected is Accelerator.TCG
    needs = plan.needs(unrolled, chosen, os.cpu_count() or 1, emulated=emulated)
    takes = _needs_text(unrolled, needs, len(plan.warm_ups(unrolled.trials, chosen, emulated=emulated)))
    rows = [(str(trial.block + 1), trial.id) for trial in unrolled.trials]
    document = (
        Paragraph(takes),
        Paragraph(_testbed_text(chosen, expected)),
        Bullets(tuple(f"left out: {reason}" for reason in unrolled.left_out)),
        table(("block", "trial"), rows, texts=2) if trials else Paragraph("--trials shows each of them, in order."),
    )
    data = {"study": chosen, "needs": needs, "trials": unrolled.trials, "left_out": unrolled.left_out}
    show(form, "plan", document, data)
    return 0


def _testbed_text(chosen: Study, expected: Accelerator | None) -> str:
    """Say where a study is going to be measured, by which accelerator if in virtual machines."""
    cluster = chosen.testbed == "cluster"
    if expected is None:
        return f"on the kernels of {', '.join(chosen.hosts)}, side by side" if cluster else "on this machine's kernel"
    vm = chosen.machine
    hosts = f"{len(chosen.hosts)} virtual machines, one at a time" if len(chosen.hosts) > 1 else "a virtual machine"
    if cluster:
        hosts = f"a virtual machine on each of {', '.join(chosen.hosts)}, side by side"
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
