# SPDX-License-Identifier: Apache-2.0
"""Study -> Plan: every trial in its order. Pure: the same study and seed give the same plan anywhere, for ever."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bpfbench import catalogue
from bpfbench.errors import StudyError
from bpfbench.model import BLOCK_BYTES, VANILLA, Study, Tool, TracerConfig, Trial, Workload

SECONDS_PER_GIB = {"read": 1.6, "write": 2.6, "mixed": 2.2}
"""fio's time per GiB in vanilla trials on the 2-CPU development machine, the slowest seen; for time estimates only."""

SLOWDOWN = {None: 1.0, Tool.SYSCOUNT: 1.1, Tool.RW_TRACER: 1.7, Tool.RW_TRACER_ALL: 2.4}
"""fio's time under a tool over vanilla, as above; for time estimates only."""

SECONDS_AROUND_VANILLA = 0.6
SECONDS_AROUND_TRACER = 2.0
"""Preparation, start-up, drain and checks of a trial, as above; for time estimates only."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The study unrolled."""

    trials: tuple[Trial, ...]
    left_out: tuple[str, ...]
    """Combinations no trial is made of, each with the reason."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What running a plan takes."""

    seconds: float
    """A rough estimate."""
    data_bytes: int
    """fio's files, exactly."""
    output_bytes: int
    """The most that tracers can have written at any time."""
    memory_bytes: int
    """fio, a compiling tracer and the largest ring."""


@dataclass(frozen=True, slots=True)
class _Cell:
    setup: str
    config: TracerConfig | None


def unroll(study: Study) -> Plan:
    """Unroll a study into randomised complete blocks.

    A block is one repetition of one workload under one tool: vanilla and every setup x configuration once, in random
    order. Blocks of one repetition come in random order before those of the next, so that a run that is cut short has
    whole repetitions. Random means ordered by SHA-256 of seed and name, which no library version changes.
    """
    left_out: list[str] = []
    blocks: list[list[Trial]] = []
    for repetition in range(1, study.repetitions + 1):
        of_repetition = []
        for workload, tool in itertools.product(_workloads(study), study.factors.tools):
            cells = [_Cell(VANILLA, None), *_cells(study, tool, left_out)]
            of_repetition.append([_trial(cell, tool, workload, repetition) for cell in cells])
        blocks += sorted(of_repetition, key=lambda block: _rank(study.seed, block[0].id))
    trials = [
        replace(trial, block=number)
        for number, block in enumerate(blocks)
        for trial in sorted(block, key=lambda trial: _rank(study.seed, trial.id))
    ]
    numbered = (replace(trial, index=i, id=f"{i + 1:04d}-{_label(trial, study)}") for i, trial in enumerate(trials))
    return Plan(tuple(numbered), tuple(dict.fromkeys(left_out)))


def require_tracers(study: Study, plan: Plan) -> None:
    """Refuse a plan in which every combination was left out, so that vanilla would be compared with nothing.

    Raises:
        StudyError: that is so, though the study names setups; says why each was left out.
    """
    if study.factors.setups and all(trial.is_vanilla for trial in plan.trials):
        raise StudyError(f"study {study.name}: no tracer can run like this: {'; '.join(plan.left_out)}")


def needs(plan: Plan, study: Study) -> Needs:
    """Estimate what running `plan` takes.

    Args:
        plan: the plan.
        study: what it was made from; `output_limit_bytes` bounds a trial's output, `keep_output` adds them all up.
    """
    limit = study.output_limit_bytes
    outputs = [size if limit is None else min(size, limit) for size in map(_output_bytes, plan.trials)]
    rings = [trial.config.ringbuf_bytes or 0 for trial in plan.trials if trial.config]
    return Needs(
        seconds=sum(map(seconds_of, plan.trials)),
        data_bytes=sum(workload.total_bytes for workload in data_sets(plan)),
        output_bytes=sum(outputs) if study.settings.keep_output else max(outputs, default=0),
        memory_bytes=2**30 + max(rings, default=0),
    )


def data_sets(plan: Plan) -> tuple[Workload, ...]:
    """Return one workload for each set of data files the plan needs, largest first; workloads share a set by size."""
    by_size = {(trial.workload.processes, trial.workload.bytes_per_process): trial.workload for trial in plan.trials}
    return tuple(sorted(by_size.values(), key=lambda workload: -workload.total_bytes))


def seconds_of(trial: Trial) -> float:
    """Estimate how long a trial takes."""
    around_s = SECONDS_AROUND_VANILLA if trial.is_vanilla else SECONDS_AROUND_TRACER
    gib = trial.workload.total_bytes / 2**30
    slowdown = SLOWDOWN[None if trial.is_vanilla else trial.tool]
    return around_s + gib * SECONDS_PER_GIB[trial.workload.name] * slowdown


def _workloads(study: Study) -> Iterable[Workload]:
    """Return each workload once, also where two scales come to the same number of blocks."""
    factors = study.factors
    blocks = [round(scale * catalogue.FULL_BYTES_PER_PROCESS / BLOCK_BYTES) for scale in factors.scale]
    sizes = [max(1, n) * BLOCK_BYTES for n in blocks]
    return dict.fromkeys(itertools.starmap(Workload, itertools.product(factors.workloads, factors.processes, sizes)))


def _cells(study: Study, tool: Tool, left_out: list[str]) -> Iterator[_Cell]:
    """Yield each setup x configuration once; factors that the tool does not use are not crossed."""
    factors = study.factors
    uses_ring = tool is not Tool.SYSCOUNT
    uses_payload = tool is Tool.RW_TRACER_ALL
    configs = itertools.product(
        factors.attach,
        factors.format,
        factors.ringbuf_bytes if uses_ring else (None,),
        factors.poll_ms if uses_ring else (None,),
        factors.payload_bytes if uses_payload else (None,),
    )
    setups = catalogue.setups(study)
    for setup, values in itertools.product(factors.setups, tuple(configs)):
        config = TracerConfig(*values)
        if reason := setups[setup].refusal(tool, config):
            left_out.append(f"{tool}: {reason}")
        else:
            yield _Cell(setup, config)


def _trial(cell: _Cell, tool: Tool, workload: Workload, repetition: int) -> Trial:
    """Make a trial that is named, for ranking, by all that distinguishes it; its place in the plan is set later."""
    name = repr((repetition, workload, tool.value, cell.setup, cell.config))
    return Trial(name, 0, 0, repetition, cell.setup, tool, workload, cell.config)


def _label(trial: Trial, study: Study) -> str:
    """Name a trial for people: only what varies in the study, after the usual five."""
    factors, config = study.factors, trial.config
    parts = [trial.workload.name, trial.tool.value, trial.setup]
    if len(factors.processes) * len(factors.scale) > 1:
        parts.append(f"{trial.workload.processes}x{trial.workload.bytes_per_process}")
    if config:
        values = {
            config.attach.value: factors.attach,
            config.format.value: factors.format,
            f"ring{config.ringbuf_bytes}": factors.ringbuf_bytes if config.ringbuf_bytes else (),
            f"poll{config.poll_ms}": factors.poll_ms if config.poll_ms else (),
            f"payload{config.payload_bytes}": factors.payload_bytes if config.payload_bytes else (),
        }
        parts += [part for part, choices in values.items() if len(choices) > 1]
    return "-".join([*parts, f"r{trial.repetition}"])


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def _output_bytes(trial: Trial) -> int:
    if trial.config is None:
        return 0
    events = trial.workload.total_bytes // BLOCK_BYTES
    return events * catalogue.record_bytes(trial.tool, trial.config)
