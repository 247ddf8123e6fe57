# SPDX-License-Identifier: Apache-2.0
"""Runs whose truth is known: blocks that drift, reads and writes in random order, setups that differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from builders import READ, make_fio, make_record, make_trial

from bpfbench.model import Predecessor, Record, Trial

WRITE = dataclasses.replace(READ, name="write")
SETUPS = ("vanilla", "vanilla", "bcc", "libbpf", "ebpf-go", "aya-async")
SDS = {"read": 0.03, "write": 0.15}


def simulated(
    seed: int,
    *,
    blocks: int = 18,
    first: float = 1.0,
    after_other: float = 1.0,
    setups: Sequence[str] = SETUPS,
    warm_ups: bool = True,
    rate_iops: int | None = None,
) -> list[Record]:
    """A run of the present format: drifting blocks, reads and writes in random order, setups that differ.

    Args:
        seed: of all that is random.
        blocks: how many.
        first: what the first read trial of each block takes over what it would take later.
        after_other: the same of a trial after another workload.
        setups: of each block.
        warm_ups: whether a block after another workload is preceded by one.
        rate_iops: of the workloads.
    """
    rng = np.random.default_rng(seed)
    workloads = [dataclasses.replace(work, rate_iops=rate_iops) for work in (READ, WRITE)]
    levels = dict(zip(dict.fromkeys(setups), rng.lognormal(0, 0.3, len(setups)), strict=False))
    found: list[Record] = []
    before: Trial | None = None
    index = 0
    for block, workload in enumerate(rng.permutation(np.arange(blocks) % 2)):
        drift = rng.lognormal(0, 0.3)
        for place, number in enumerate(rng.permutation(len(setups)), 1):
            setup = setups[number]
            trial = make_trial(setup, block, workload=workloads[workload])
            trial = dataclasses.replace(trial, index=index, id=f"{trial.id}-{number}")
            other = before is None or before.workload != trial.workload
            seconds = drift * levels[setup] * rng.lognormal(0, SDS[trial.workload.name])
            seconds *= first if place == 1 and trial.workload.name == "read" else 1.0
            seconds *= after_other if other else 1.0
            predecessor = None if before is None else preceding(before)
            if other and warm_ups:
                predecessor = dataclasses.replace(preceding(trial), setup="vanilla", warm_up=True)
            fio = make_fio(runtime_s=seconds, latency_us=1e3 * seconds)
            if rate_iops is not None:
                fio = dataclasses.replace(fio, runtime_s=10.0)
            record = make_record(trial, fio=fio)
            found.append(dataclasses.replace(record, place=place, predecessor=predecessor))
            before, index = trial, index + 1
    return found


def preceding(trial: Trial) -> Predecessor:
    """What the next trial says of this one."""
    return Predecessor(trial.id, trial.setup, trial.tool, trial.workload, warm_up=False)


def as_of_old(records: Sequence[Record]) -> list[Record]:
    """The same, without what formats 1 to 3 lack."""
    return [dataclasses.replace(record, format=3, place=None, predecessor=None) for record in records]
