# SPDX-License-Identifier: Apache-2.0
"""How long a trial takes, roughly, before any has been run: for estimates of time only, which experience corrects."""

from __future__ import annotations

from collections.abc import Callable

from bpfbench.model import BLOCK_BYTES, DrivenTarget, Study, Tool, Trial

SECONDS_PER_GIB = {"read": 1.6, "write": 2.6, "mixed": 2.2}
"""fio's time per GiB in vanilla trials on the 2-CPU development machine, the slowest seen."""
SECONDS_PER_GIB_USUAL = 2.6
"""Of workloads that were not timed there."""

TARGET_SECONDS = 10.0
"""Of a target that does not say (its key `seconds`)."""

SLOWDOWN: dict[str | None, float] = {
    None: 1.0,
    Tool.SYSCOUNT: 1.1,
    Tool.RW_TRACER: 1.7,
    Tool.RW_TRACER_ALL: 2.4,
    Tool.FS_PROFILE: 1.5,
}
"""fio's time under a tool over vanilla, as above."""
SLOWDOWN_USUAL = 1.3
"""Under a command, of which nobody knows."""

SECONDS_AROUND_VANILLA = 0.6
SECONDS_AROUND_TRACER = 2.0
"""Preparation, start-up, drain and checks of a trial, as above."""
SECONDS_AROUND_TARGET = 1.0
"""Besides, of a target: its data copied, its server started and stopped."""

EMULATED_SLOWDOWN = 12.0
BOOT_SECONDS = 12.0
"""Of a virtual machine, as above: how much longer everything takes where its CPU is emulated, and its boot there."""


def seconds(study: Study, *, emulated: bool = False) -> Callable[[Trial], float]:
    """Return what estimates how many seconds each trial of a study takes."""
    targets = {target.name: target for target in study.targets}
    return lambda trial: _seconds(trial, targets.get(trial.workload.name), EMULATED_SLOWDOWN if emulated else 1.0)


def _seconds(trial: Trial, target: DrivenTarget | None, emulated: float) -> float:
    around_s = emulated * (SECONDS_AROUND_VANILLA if trial.is_vanilla else SECONDS_AROUND_TRACER)
    slowdown = emulated * SLOWDOWN.get(None if trial.is_vanilla else trial.tool, SLOWDOWN_USUAL)
    work = trial.workload
    if work.is_fio:
        per_gib = SECONDS_PER_GIB.get(work.name, SECONDS_PER_GIB_USUAL)
        unlimited_s = work.total_bytes / 2**30 * per_gib * slowdown
        limited_s = work.bytes_per_process / BLOCK_BYTES / work.rate_iops if work.rate_iops else 0.0
        return around_s + max(unlimited_s, limited_s)
    around_s += emulated * SECONDS_AROUND_TARGET
    if work.rate_iops and target and target.operations_at:
        return around_s + target.operations_at / work.rate_iops
    return around_s + slowdown * ((target and target.seconds) or TARGET_SECONDS)
