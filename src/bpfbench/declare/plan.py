# SPDX-License-Identifier: Apache-2.0
"""The plan of a study: every trial in its order. Pure: the same study and seed give the same plan, for ever."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import astuple, dataclass, fields, replace
from typing import TypeVar

from bpfbench import catalogue, factors
from bpfbench.declare import estimate
from bpfbench.errors import StudyError
from bpfbench.model import (
    BLOCK_BYTES,
    COUNTING_TOOLS,
    EVENT_BYTES,
    LOCAL,
    UNLIMITED,
    VANILLA,
    Assignment,
    Attach,
    Boot,
    Format,
    RateProcess,
    Study,
    Tool,
    TracerConfig,
    Trial,
    TunedValues,
    Variant,
    Workload,
)

T = TypeVar("T")
_Member = tuple[str, TracerConfig]
"""A setup and how it is configured."""

TEXT_EVENT_BYTES = 210
"""No text line of an rw event without payload is longer: integers at their longest in practice, comm and name."""

PRINTED_BYTES = 2**29
"""What a command may print: inside/trial/commanded.py ends it there."""

TWINS_FROM = 4
"""Blocks with so many tracers or more have vanilla twice: its two trials tell what a run's own noise is, and their mean
is a better reference. In smaller blocks that would be too much of the time."""

NAMED = ("name", "processes", "bytes_per_process")
"""What a trial's id has of its workload anyway, by field."""
NOT_DRIVEN = (*NAMED, "burst_ios", "duty_percent", "rate_process")
"""Besides, what targets other than fio have not."""

RINGLESS_VARIANTS = (Variant.FULL, Variant.RUN_TIME)
"""The others say something of a ring's consumer only."""


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
    """fio's files, exactly; of other targets the most they take."""
    output_bytes: int
    """The most that tracers can have written at any time."""
    memory_bytes: int
    """fio, a compiling tracer and the largest rings."""


def resolve(study: Study, hooks: Set[Attach]) -> Study:
    """Put a hook flavour in place of `auto`: kprobe where the kernel has it, as in the paper, else tracepoint.

    Args:
        study: as declared.
        hooks: the flavours that every kernel of the study has.

    Raises:
        StudyError: the study names one that a kernel lacks.
    """
    usual = Attach.KPROBE if Attach.KPROBE in hooks else Attach.TRACEPOINT
    known = catalogue.setups(study)
    wanted = tuple(dict.fromkeys(usual if attach is Attach.AUTO else attach for attach in study.factors.attach))
    if all(known[name].is_command for name in study.factors.setups):
        wanted = tuple(attach for attach in wanted if attach in hooks)  # they have what they have
    if lacking := [attach for attach in wanted if attach not in hooks]:
        has = ", ".join(attach for attach in Attach if attach in hooks) or "none"
        raise StudyError(
            f"study {study.name}: attach {', '.join(lacking)}: the kernel lacks it; it has: {has}",
            "choose --attach auto, or --testbed vm, whose kernels have them all (`bpfbench doctor` tells why)",
        )
    absent = tuple(attach for attach in catalogue.FLAVOURS if attach not in hooks)
    setups = tuple(replace(setup, lacking=absent) if setup.is_command else setup for setup in study.setups)
    return replace(study, factors=replace(study.factors, attach=wanted), setups=setups)


def unroll(study: Study) -> Plan:
    """Unroll a study into randomised complete blocks.

    A block is one repetition of one workload under one tool on one kernel of one host: every setup x configuration
    once and vanilla once or twice, in random order (where setups have hosts of their own, those of the host). Blocks of
    one repetition come in random order before those of the next, so that a run that is cut short has whole repetitions.
    Random means ordered by SHA-256 of seed and name, which no library version changes.
    """
    left_out: list[str] = []
    blocks: list[list[Trial]] = []
    kinds = tuple(itertools.product(study.factors.kernels or (None,), workloads(study, left_out), study.factors.tools))
    for repetition in range(1, study.repetitions + 1):
        of_repetition = []
        for number, (kernel, workload, tool) in enumerate(kinds):
            own = tuple(members(study, tool, left_out))
            for host, share in _shares(study, own, number + repetition - 1):
                vanilla = Trial("", 0, 0, repetition, VANILLA, tool, workload, None, host, kernel)
                if not share and tool not in tuple(Tool):
                    continue  # there is nothing to be compared
                tracers = (replace(vanilla, setup=setup, config=config) for setup, config in share)
                twins = [_named(vanilla, "twin")] if len(share) >= TWINS_FROM else []
                of_repetition.append([_named(vanilla), *map(_named, tracers), *twins])
        blocks += sorted(of_repetition, key=lambda block: _rank(study.seed, block[0].id))
    trials = [
        replace(trial, block=number)
        for number, block in enumerate(blocks)
        for trial in sorted(block, key=lambda trial: _rank(study.seed, trial.id))
    ]
    numbered = (replace(trial, index=i, id=f"{i + 1:04d}-{_label(trial, study)}") for i, trial in enumerate(trials))
    return Plan(tuple(numbered), tuple(dict.fromkeys(left_out)))


def block(study: Study, setup: str, configs: Sequence[TracerConfig], number: int, first: int) -> tuple[Trial, ...]:
    """Return a block beside those of the plan: vanilla twice and a setup as it is configured, in random order.

    It is a repetition by itself, whose block and first trial have these places in the plan, from 0.
    """
    kernel = study.factors.kernels[0] if study.factors.kernels else None
    ((tool,), (workload,)) = study.factors.tools, workloads(study, [])
    vanilla = Trial("", 0, number, number + 1, VANILLA, tool, workload, None, study.hosts[0], kernel)
    tracers = (_named(replace(vanilla, setup=setup, config=config)) for config in configs)
    own = sorted((_named(vanilla), _named(vanilla, "twin"), *tracers), key=lambda trial: _rank(study.seed, trial.id))
    placed = (replace(trial, index=first + at) for at, trial in enumerate(own))
    return tuple(replace(trial, id=f"{trial.index + 1:04d}-{_label(trial, study)}") for trial in placed)


def moved(trial: Trial, host: str, study: Study) -> Trial:
    """Return a trial as another host's."""
    own = replace(trial, host=host)
    return replace(own, id=f"{trial.index + 1:04d}-{_label(own, study)}")


def warm_up(trial: Trial, before: Trial | None) -> Trial | None:
    """Return the trial that has to be run first, and discarded, so that `trial` owes nothing to what was before it.

    It is vanilla under the same workload, whole: what another workload leaves is in the state of every block of the
    data files, on their disk and in whatever caches lie below it. benchmarks/validate_order.py shows what that does.

    Args:
        trial: the one to be run.
        before: the one that was run right before on the same machine; None where there was none.

    Returns:
        None where the trial before left what this one's own repetitions find.
    """
    if before and all(getattr(before, key) == getattr(trial, key) for key in ("host", "kernel", "workload")):
        return None
    return replace(trial, id=f"{trial.id}-warm-up", setup=VANILLA, config=None, warm_up=True)


def warm_ups(trials: Sequence[Trial], study: Study, *, emulated: bool = False) -> tuple[Trial, ...]:
    """Return the warm-ups of a study's trials that are run in one go, as far as they can be foreseen.

    There are none where the CPU is emulated, whose times mean nothing, or where every trial boots a virtual machine.
    One that boots for every block is warmed up for every block, and so is a host of a cluster.
    """
    virtual = study.ground == "vm"
    apart = virtual or study.testbed == "cluster"
    if emulated or (virtual and study.machine.boot is Boot.TRIAL):
        return ()
    found, before = [], None
    for trial in trials:
        if apart and before is not None and before.block != trial.block:
            before = None
        if (discarded := warm_up(trial, before)) is not None:
            found.append(discarded)
        before = trial
    return tuple(found)


def places(trials: Iterable[Trial]) -> dict[str, int]:
    """Return the place of each trial in its block, from 1, by id."""
    found: dict[str, int] = {}
    in_block: Counter[int] = Counter()
    for trial in trials:
        in_block[trial.block] += 1
        found[trial.id] = in_block[trial.block]
    return found


def require_tracers(study: Study, plan: Plan) -> None:
    """Refuse a plan in which every combination was left out, so that vanilla would be compared with nothing.

    Raises:
        StudyError: that is so, though the study names setups; says why each was left out.
    """
    if study.factors.setups and all(trial.is_vanilla for trial in plan.trials):
        raise StudyError(f"study {study.name}: no tracer can run like this: {'; '.join(plan.left_out)}")


def needs(plan: Plan, study: Study, cpus: int = 1, *, emulated: bool = False) -> Needs:
    """Estimate what running `plan` takes.

    Args:
        plan: the plan.
        study: what it was made from; `output_limit_bytes` bounds a trial's output, `keep_output` adds them all up.
        cpus: of the machine it runs on, each of which may have a ring.
        emulated: whether they are.

    Returns:
        On a cluster, of the host that takes the most of each: hosts work side by side.
    """
    shares = list(by_host(plan).values()) if study.testbed == "cluster" else [plan.trials]
    own = [_needs(trials, study, cpus, emulated=emulated) for trials in shares]
    return Needs(*(max(values) for values in zip(*map(astuple, own), strict=True)))


def _needs(trials: Sequence[Trial], study: Study, cpus: int, *, emulated: bool) -> Needs:
    """Estimate what one machine takes to run trials."""
    limit = study.output_limit_bytes
    outputs = [size if limit is None else min(size, limit) for size in map(output_bytes, trials)]
    virtual = study.ground == "vm"
    run = (*trials, *warm_ups(trials, study, emulated=emulated))
    boots = len(trials) if study.machine.boot is Boot.TRIAL else len({trial.block for trial in trials})
    sets = data_sets(Plan(tuple(trials), ()))
    most = {target.name: target.data_bytes for target in study.targets}
    rings = max((trial.config.ring_bytes(cpus) for trial in trials if trial.config), default=0)
    return Needs(
        seconds=sum(map(estimate.seconds(study, emulated=emulated), run)) + virtual * boots * estimate.BOOT_SECONDS,
        data_bytes=sum(most.get(own.name, own.total_bytes) for own in sets) * len({trial.host for trial in trials}),
        output_bytes=sum(outputs) if study.settings.keep_output else max(outputs, default=0),
        memory_bytes=study.machine.memory_bytes if virtual else 2**30 + rings,
    )


def by_host(plan: Plan) -> dict[str, list[Trial]]:
    """Return the trials of each host, in their order."""
    found: defaultdict[str, list[Trial]] = defaultdict(list)
    for trial in plan.trials:
        found[trial.host].append(trial)
    return found


def data_sets(plan: Plan) -> tuple[Workload, ...]:
    """Return one workload for each set of data files the plan needs, largest first; those of fio share them by size."""
    found = {
        (work.processes, work.bytes_per_process, "" if work.is_fio else work.name): work
        for work in (trial.workload for trial in plan.trials)
    }
    return tuple(sorted(found.values(), key=lambda workload: -workload.total_bytes))


def _shares(study: Study, members: tuple[_Member, ...], turn: int) -> Iterator[tuple[str, tuple[_Member, ...]]]:
    """Yield which hosts run which members of a kind of block in one repetition.

    Crossed: one host, another in the next repetition. By setup: every host, each with the setups that are its own.
    """
    hosts = study.hosts
    if study.assignment is Assignment.CROSSED:
        yield hosts[turn % len(hosts)], members
        return
    own = {setup: hosts[number % len(hosts)] for number, setup in enumerate(sorted(study.factors.setups))}
    for host in hosts:
        yield host, tuple(member for member in members if own[member[0]] == host)


def workloads(study: Study, left_out: list[str]) -> Iterable[Workload]:
    """Return each workload once, also where two scales come to the same number of blocks; then other targets."""
    rated = {target.name for target in study.targets if target.drive_at}
    blocks = [round(scale * catalogue.FULL_BYTES_PER_PROCESS / BLOCK_BYTES) for scale in study.factors.scale]
    values = {factor.field: getattr(study.factors, factor.name) for factor in factors.of(Workload)}
    values["bytes_per_process"] = tuple(max(1, n) * BLOCK_BYTES for n in blocks)
    driven = [Workload(name, 0, 0, rate) for name in study.factors.targets for rate in study.factors.rate_iops]
    able = [work for work in driven if work.rate_iops is None or work.name in rated]
    left_out += [f"{work.name} at {work.rate_iops} operations/s: no drive_at" for work in driven if work not in able]
    return dict.fromkeys((*map(_settled, _crossed(Workload, values)), *able))


def _settled(work: Workload) -> Workload:
    """Return a workload as what it is: bursts want a mean rate, more than one I/O, and pauses; chance a rate alone."""
    if work.rate_iops is not None and work.in_bursts and work.duty_percent < 100:
        return replace(work, rate_process=RateProcess.LINEAR)
    process = RateProcess.LINEAR if work.rate_iops is None else work.rate_process
    return replace(work, burst_ios=1, duty_percent=100.0, rate_process=process)


def members(study: Study, tool: str, left_out: list[str]) -> Iterator[_Member]:
    """Yield each setup x configuration once; factors that the tool does not use are not crossed."""
    setups = catalogue.setups(study)
    for setup in (setups[name] for name in study.factors.setups):
        if tool not in setup.tools and (setup.is_command or tool not in tuple(Tool)):
            if not set(setup.tools) & set(study.factors.tools):
                left_out.append(f"{setup.name} has none of the study's tools, only {', '.join(setup.tools)}")
            continue
        for config in _commanded(study) if setup.is_command else _own(study, setup.name, tool):
            if reason := setup.refusal(tool, config):
                left_out.append(f"{tool}: {reason}")
            else:
                yield setup.name, config


def _commanded(study: Study) -> Iterator[TracerConfig]:
    """Yield how a command is run: nothing of it can be configured."""
    return (TracerConfig(None, None, variant=own) for own in study.factors.variants if own in RINGLESS_VARIANTS)


def _configured(study: Study, tool: str) -> Iterator[TracerConfig]:
    """Yield the configurations of a tracer by the contract."""
    own = factors.of(TracerConfig)
    values = {one.field: getattr(study.factors, one.name) if tool in one.tools else (one.usual,) for one in own}
    if tool is Tool.SYSCOUNT:
        values["attach"] = (Attach.TRACEPOINT,)  # it has one hook, as in the paper
        values["variant"] = tuple(variant for variant in study.factors.variants if variant in RINGLESS_VARIANTS)
    return _crossed(TracerConfig, values)


def _own(study: Study, setup: str, tool: str) -> Iterable[TracerConfig]:
    """Return the configurations of a setup: those of all, and as it is tuned."""
    configs = tuple(_configured(study, tool))
    tuned = (as_tuned(config, own, tool) for own in study.tuned if own.setup == setup for config in configs)
    return dict.fromkeys((*configs, *tuned))


def as_tuned(config: TracerConfig, tuned: TunedValues, tool: str) -> TracerConfig:
    """Return a configuration with the values of one that is tuned, as far as a tool uses them."""
    knobs = ((factors.KNOBS[name], own) for name, own in tuned.values.items())
    return replace(config, **{knob.field: own for knob, own in knobs if tool in knob.tools})


def _crossed(make: Callable[..., T], values: Mapping[str, Sequence[object]]) -> Iterator[T]:
    """Make something of every combination of its arguments' values."""
    for combination in itertools.product(*values.values()):
        yield make(**dict(zip(values, combination, strict=True)))


def _named(trial: Trial, *more: str) -> Trial:
    """Name a trial, for ranking, by all that distinguishes it; its id and place in the plan are set later."""
    name = repr((trial.repetition, trial.workload, str(trial.tool), trial.setup, trial.config))
    # What bpfbench could not vary once is in the name only where it is varied: orders stay what they were.
    late = [value for part in (trial.config, trial.workload) if part for value in _late(part)]
    parts = (trial.host, trial.kernel, *late, *more)
    return replace(trial, id=name + "".join(f" {part}" for part in parts if part not in (LOCAL, None)))


def _late(part: TracerConfig | Workload) -> Iterator[object]:
    """Yield the values of fields that are not in repr(), unless they are the default."""
    for field in fields(part):
        if not field.repr and (value := getattr(part, field.name)) != field.default:
            yield value


def _label(trial: Trial, study: Study) -> str:
    """Name a trial for people: only what varies in the study, after the usual five."""
    work = trial.workload
    parts = [work.name, trial.tool, trial.setup]
    if work.is_fio and len(study.factors.processes) * len(study.factors.scale) > 1:
        parts.append(f"{work.processes}x{work.bytes_per_process}")
    parts += _varied(study, work, trial.tool, NAMED if work.is_fio else NOT_DRIVEN)
    parts += [trial.kernel] if trial.kernel and len(study.factors.kernels) > 1 else []
    parts += [trial.host] if len(study.hosts) > 1 else []
    parts += _varied(study, trial.config, trial.tool) if trial.config else []
    return "-".join([*parts, f"r{trial.repetition}"])


def _varied(study: Study, part: Workload | TracerConfig, tool: str, named: Sequence[str] = ()) -> Iterator[str]:
    """Name the values of a part's factors that vary and that a tool uses, but for those `named` otherwise."""
    used = (factor for factor in factors.of(type(part)) if factor.tools == tuple(Tool) or tool in factor.tools)
    for factor in used:
        value = getattr(part, factor.field)
        tuned = {own.values[factor.name] for own in study.tuned if factor.name in own.values}
        if len({*getattr(study.factors, factor.name), *tuned}) > 1 and factor.field not in named:
            if value is not None:
                yield factor.slugged(value)
            elif isinstance(part, Workload):
                yield UNLIMITED


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def output_bytes(trial: Trial) -> int:
    """Return the most that a trial's tracer can write; 0 of tools that count, and of targets of which nobody knows."""
    config = trial.config
    if config is not None and config.is_command:
        return PRINTED_BYTES
    if config is None or trial.tool in COUNTING_TOOLS:
        return 0
    payload = config.payload_bytes or 0
    each = TEXT_EVENT_BYTES + 3 * payload if config.format is Format.TEXT else EVENT_BYTES + payload
    return trial.workload.total_bytes // BLOCK_BYTES * each
