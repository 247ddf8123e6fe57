# SPDX-License-Identifier: Apache-2.0
"""What `tune` is asked for: the goal, and the study in which each knob has the values that are worth a trial. Pure.

A study that is tuned looks at one case (one tool beside one target), and leaves to the tuner what is tuned. Settings
that cannot be, or would say nothing, are left out before anything is run, each with the reason.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from bpfbench import catalogue
from bpfbench.declare import estimate, plan
from bpfbench.declare.plan import Plan
from bpfbench.errors import StudyError, UsageError
from bpfbench.factors import FACTORS, KNOBS, RATE_IOPS_MIN, STUDY, Factor, Knob
from bpfbench.model import (
    EVENT_BYTES,
    EVENT_TOOLS,
    Format,
    Study,
    Tool,
    TracerConfig,
    Trial,
    Workload,
    ring_record_bytes,
)
from bpfbench.model.tuning import HELD_MOST, SEARCH_TRIALS, Tuning, TuningGoal, validation_trials
from bpfbench.units import exactly, plural, size

SEARCH_LEAST = 3
"""Blocks without which there is no search."""
VALIDATION_LEAST = 3
"""Blocks without which there is no validation: fewer have no interval."""
SHARE_OF_VALIDATION = 0.5
"""Of the time, if that is more than its least blocks take."""


def fixed(file: Path | None, options: Collection[str]) -> dict[str, str]:
    """Return the factors that a study's file, or an option, says something of, each with where that is."""
    raw = tomllib.loads(file.read_text()).get("factors", {}) if file else {}
    said = {name: f"{file}: factors.{name}" for name in raw}
    return said | {key.rpartition(".")[2]: f"option --{_option(key)}" for key in options}


def _option(dotted: str) -> str:
    return dotted.rpartition(".")[2].replace("_", "-")


def knobs(named: Sequence[str] | None, tool: str, said: Mapping[str, str]) -> tuple[Factor, ...]:
    """Return what is tuned: what was named, or all that a tool's tracers have.

    Args:
        named: by whom who runs it; None: all.
        tool: which is tuned.
        said: what the study says, as `fixed` has it.

    Raises:
        StudyError: the study says what one of them is to be.
        UsageError: there is none.
    """
    found = tuple(own for own in KNOBS.values() if tool in own.tools and (named is None or own.name in named))
    if named is not None and (unused := [name for name in named if tool not in KNOBS[name].tools]):
        raise UsageError(f"option --knobs: {', '.join(unused)}: {tool} has no use for it")
    if settled := [own.name for own in found if own.name in said]:
        others = ",".join(own.name for own in found if own.name not in settled)
        or_fewer = f", or tune the others: --knobs {others}" if others else ""
        raise StudyError(
            f"{said[settled[0]]}: that is to be tuned, and the study says already what it is",
            f"leave it out{or_fewer}",
        )
    return found


def require_one_case(study: Study) -> None:
    """Refuse a study of several cases: what is best in one need not be in the next.

    Raises:
        StudyError: it has several, or nothing is traced that could be tuned.
        UsageError: it is run where nothing is tuned.
    """
    if study.testbed == "cluster":
        raise UsageError("a cluster has hosts of its own kinds; tune works on one machine", "--testbed host, or vm")
    if not study.factors.setups:
        raise StudyError(f"study {study.name}: vanilla alone has nothing to tune")
    setups = catalogue.setups(study)
    if commands := [name for name in study.factors.setups if setups[name].is_command]:
        raise StudyError(f"study {study.name}: {', '.join(commands)}: a command has no knobs that tune could turn")
    targets = (*study.factors.workloads, *study.factors.targets)
    if len(targets) > 1:
        raise StudyError(
            f"study {study.name}: tune looks at one target, and here are {len(targets)}: {', '.join(targets)}",
            "choose one with --workloads or --targets, and tune the others in runs of their own",
        )
    for factor in FACTORS:
        values = getattr(study.factors, factor.name)
        if factor.name not in ("setups", "workloads", "targets", *KNOBS) and len(values) > 1:
            raise StudyError(
                f"study {study.name}: tune looks at one case, and factors.{factor.name} has {len(values)} values",
                f"choose one with --{factor.name.replace('_', '-')}",
            )
    if study.tuned:
        raise StudyError(f"study {study.name}: [tuned.{study.tuned[0].setup}]: that is what tune finds; leave it out")
    _require_margins(study)
    (tool,) = study.factors.tools
    if not any(tool in knob.tools and knob.name != "format" for knob in KNOBS.values()):
        with_ring = ", ".join(own for own in Tool if own in KNOBS["ringbuf_bytes"].tools)
        raise StudyError(f"study {study.name}: {tool} has no ring, and saves every count", f"choose from: {with_ring}")


def _require_margins(study: Study) -> None:
    """Refuse a margin of 0, by which nothing can be divided."""
    for key in STUDY:
        if key.table == "criteria" and "margin" in key.name and not getattr(study.criteria, key.name):
            raise StudyError(
                f"study {study.name}: {key.dotted} is 0: tune weighs one cost against another by their margins",
                f"say up to which difference it does not matter, more than 0: {key.flag}",
            )


def rate_iops(events_per_s: float, processes: int) -> int:
    """Return the rate of each process with which all of them do so many I/Os per second."""
    return max(RATE_IOPS_MIN, -(-round(events_per_s) // processes))


def varied(study: Study, tuned: Sequence[Factor], free_bytes: int, goal: TuningGoal) -> tuple[Study, tuple[str, ...]]:
    """Return a study in which each knob has all values that may be tried, and what was left out, each with the reason.

    Args:
        study: of one case.
        tuned: what is tuned.
        free_bytes: of memory, with room for the target and its tracer taken off.
        goal: what is wanted.

    Raises:
        StudyError: nothing is left to be tuned.
        UsageError: no configuration can do what is wanted.
    """
    _require_each_turned_or_one(study, tuned)
    _require_memory(study, tuned, goal)
    offered, left_out, values = offered_bytes(study), list[str](), {}
    for factor in tuned:
        kept = tuple(_feasible(factor, free_bytes, offered, study.factors.scale[0], left_out))
        values[factor.name] = tuple(dict.fromkeys((*getattr(study.factors, factor.name), *kept)))
    if all(len(own) < 2 for own in values.values()):
        raise StudyError(f"study {study.name}: there is nothing to choose from: {'; '.join(left_out)}")
    return replace(study, factors=replace(study.factors, **values)), tuple(left_out)


def _require_each_turned_or_one(study: Study, tuned: Sequence[Factor]) -> None:
    """Refuse several values of a knob that is not tuned: what one of them gains would be taken for another knob's."""
    (tool,) = study.factors.tools
    for factor in KNOBS.values():
        values = getattr(study.factors, factor.name)
        if factor not in tuned and tool in factor.tools and len(values) > 1:
            named, option = ",".join((*(own.name for own in tuned), factor.name)), _option(factor.name)
            raise StudyError(
                f"study {study.name}: factors.{factor.name} is not tuned, and has {len(values)} values: "
                f"{', '.join(map(str, values))}",
                f"choose one with --{option}, or have it tuned: no --{option}, and --knobs {named}",
            )


def _require_memory(study: Study, tuned: Sequence[Factor], goal: TuningGoal) -> None:
    """Refuse a limit that even the smallest ring, tuned or not, is beyond."""
    (tool,), ring = study.factors.tools, KNOBS["ringbuf_bytes"]
    sizes = [*study.factors.ringbuf_bytes, *(ring.knob.values if ring.knob and ring in tuned else ())]
    least = min(sizes) if tool in ring.tools else 0
    if goal.max_memory_bytes is not None and goal.max_memory_bytes < least:
        raise UsageError(
            f"option --max-memory: no configuration can do with {size(round(goal.max_memory_bytes))}: the smallest "
            f"ring alone takes {size(least)}"
        )


def offered_bytes(study: Study) -> int | None:
    """Return what the events of a trial take in rings, pauses or not; None of targets of which only trials tell."""
    ios, event = workload(study).ios, EVENT_BYTES
    if Tool.RW_TRACER_ALL in study.factors.tools:
        event += study.factors.payload_bytes[0]
    return None if ios is None else ios * ring_record_bytes(event)


def events_per_s(study: Study) -> float | None:
    """Return at which rate events come; None where only trials tell: of no limit, bursts, and other targets."""
    work = workload(study)
    return work.processes * work.rate_iops if work.is_fio and work.rate_iops and not work.in_bursts else None


def ring_bytes_most(study: Study, free_bytes: int) -> int:
    """Return what a tracer's rings may take together: no more than is free, or holds a tenth of a trial's events."""
    offered = offered_bytes(study)
    return free_bytes if offered is None else min(free_bytes, round(HELD_MOST * offered))


def delayed(study: Study, known: Tuning) -> tuple[str, ...]:
    """Say how many configurations let events wait for longer than they may, and are not tried.

    Args:
        study: in which each knob has the values that may be tried.
        known: what they are tuned for.

    Raises:
        UsageError: all do, or the tool sends no events one by one.
    """
    most, (tool,) = known.goal.max_delay_ms, study.factors.tools
    if most is None:
        return ()
    if tool not in EVENT_TOOLS:
        raise UsageError(f"option --max-delay: {tool} delivers sums, not events", "leave it out")
    configs = [own for found in spaces(study, known.has_room).by_setup.values() for own in found]
    delays = [own.delay_ms(known.events_per_s, known.cpus) for own in configs]
    at = f"at {known.events_per_s:,.0f} events/s " if known.events_per_s else ""
    if delays and min(delays) > most:
        raise UsageError(
            f"option --max-delay: no configuration can do with {most:g} ms: {at}the least that the settings allow for "
            f"is {min(delays):.3g} ms"
        )
    late = sum(delay > most for delay in delays)
    if not late:
        return ()
    return (f"{late:,} of {plural(len(delays), 'configuration')}: {at}they would let events wait beyond {most:g} ms",)


def workload(study: Study) -> Workload:
    """Return what a study of one case is beside."""
    return next(iter(plan.workloads(study, [])))


def _feasible(factor: Factor, free_bytes: int, offered: int | None, scale: float, left_out: list[str]) -> Iterator[Any]:
    knob = factor.knob or Knob(())
    too_much = [value for value in knob.values if knob.locks(value) > free_bytes]
    too_long = [value for value in knob.values if offered is not None and knob.holds(value) > HELD_MOST * offered]
    if too_much:
        called = ", ".join(map(factor.called, too_much))
        left_out.append(f"{called}: more memory than the {size(free_bytes)} that are free would be locked")
    if said := [value for value in too_long if value not in too_much]:
        times = 2 ** math.ceil(math.log2(min(map(knob.holds, said)) / (HELD_MOST * (offered or 1))))
        left_out.append(
            f"{', '.join(map(factor.called, said))}: more than a tenth of a trial's events ({size(offered or 0)}) "
            "would fit, and be saved however slow the tracer is; the smallest of them may be tried with "
            f"--scale {scale * times:.10g}"
        )
    yield from (value for value in knob.values if value not in (*too_much, *too_long))


class Spaces(NamedTuple):
    """What may be tried: tens of thousands of configurations, where every knob is turned."""

    by_setup: Mapping[str, tuple[TracerConfig, ...]]
    left_out: tuple[str, ...]
    """What a library cannot be set to, each with the reason."""


def spaces(study: Study, allowed: Callable[[TracerConfig], bool] = lambda _: True) -> Spaces:
    """Return every allowed configuration of each setup that its library can be set to."""
    (tool,), left_out = study.factors.tools, list[str]()
    found: dict[str, list[TracerConfig]] = {setup: [] for setup in study.factors.setups}
    for setup, config in plan.members(study, tool, left_out):
        if allowed(config):
            found[setup].append(config)
    return Spaces({setup: tuple(own) for setup, own in found.items() if own}, tuple(dict.fromkeys(left_out)))


def turned(study: Study, found: Spaces, wanted: Iterable[str]) -> tuple[str, ...]:
    """Return those of these knobs that have several values which some setup may be tried with.

    Raises:
        StudyError: there is none.
    """

    def turns(name: str) -> bool:
        field = KNOBS[name].field
        return any(len({getattr(config, field) for config in configs}) > 1 for configs in found.by_setup.values())

    if names_ := tuple(filter(turns, wanted)):
        return names_
    raise StudyError(f"study {study.name}: there is nothing to choose from: {'; '.join(_kinds(found.left_out))}")


def tunable(study: Study, found: Spaces, known: Tuning, *, strict: bool) -> tuple[Study, tuple[str, ...]]:
    """Return a study of those setups that can be tuned, and which others there are, each with the reason.

    Args:
        study: in which each knob has the values that may be tried.
        found: what may be tried.
        known: what they are tuned for.
        strict: whether others are refused.

    Raises:
        StudyError: there are others, and they are, or there is nobody else.
    """
    tuned, others = [], []
    for setup in study.factors.setups:
        configs, usual_ = found.by_setup.get(setup, ()), known.usual.get(setup)
        if usual_ in configs and len(configs) > 1:
            tuned.append(setup)
        elif usual_ is not None and not known.has_room(usual_):
            most, taken = size(known.ring_bytes_most or 0), size(usual_.ring_bytes(known.cpus))
            others.append(
                f"{setup}: by default its rings take {taken}, and more than {most} would be more than is free, or hold "
                "more than a tenth of a trial's events; a larger --scale has more of them"
            )
        else:
            own = _kinds(reason for reason in found.left_out if f" {setup} " in f" {reason}")
            others.append(f"{setup}: there is nothing to choose from{''.join(f'; {reason}' for reason in own)}")
    if others and (strict or not tuned):
        hint = f"tune the others: --setups {','.join(tuned)}" if tuned else None
        raise StudyError(f"study {study.name}: {others[0]}", hint)
    return replace(study, factors=replace(study.factors, setups=tuple(tuned))), tuple(others)


def _kinds(reasons: Iterable[str]) -> list[str]:
    """Return one of these for each option that they are about, whatever its value."""
    return list({reason.partition(" = ")[0]: reason for reason in reversed(tuple(reasons))}.values())


def demanding(study: Study, found: Spaces, cpus: int) -> Plan:
    """Return a plan of the trials that take the most room, of each setup those with the most output, and rings."""
    trials: list[Trial] = []
    for setup, configs in found.by_setup.items():
        rings = max(configs, key=lambda own: own.ring_bytes(cpus))
        output = max(configs, key=lambda own: own.format is Format.TEXT)
        trials += plan.block(study, setup, (rings, output), 0, len(trials))
    return Plan(tuple(trials), found.left_out)


def usual(study: Study) -> dict[str, TracerConfig]:
    """Return the configuration of each setup that all others are compared with: that of the study, or the library's.

    Args:
        study: before it was varied.
    """
    found = dict(spaces(study).by_setup)
    for name in study.factors.setups:
        setup = catalogue.setups(study)[name]
        if name not in found and (setup.poll_ms or set(study.factors.format) - set(setup.formats)):
            polls = setup.poll_ms or study.factors.poll_ms
            own = replace(study.factors, setups=(name,), poll_ms=polls[:1], format=setup.formats[:1])
            found |= spaces(replace(study, factors=own)).by_setup
    return {setup: own[0] for setup, own in found.items()}


def least_s(study: Study, goal: TuningGoal) -> float:
    """Return how long it takes to search and validate at all, in seconds: as many trials as that may be, by estimate.

    Args:
        study: of one case, in which some setup can be configured.
        goal: what each of its setups is tuned for.
    """
    (tool,) = study.factors.tools
    setup, config = next(plan.members(study, tool, []))
    each_s = max(map(estimate.seconds(study), plan.block(study, setup, (config,), 0, 0)))
    return (SEARCH_LEAST * SEARCH_TRIALS + VALIDATION_LEAST * validation_trials(len(goal.knobs))) * each_s


def require_time(study: Study, goal: TuningGoal, setups: int = 1) -> None:
    """Refuse a time in which nothing can be validated.

    Args:
        study: of one case, in which some setup can be configured.
        goal: what each of its setups is tuned for.
        setups: how many there are.

    Raises:
        UsageError: so it is; says how much it takes.
    """
    needed_s = least_s(study, goal)
    if goal.seconds < needed_s:
        minutes = math.ceil(needed_s / 60)
        raise UsageError(
            f"option --for: {exactly(goal.seconds)} is too short: a search and its validation take "
            f"{plural(SEARCH_LEAST + VALIDATION_LEAST, 'block')}, for a setup {minutes} min at most, by estimate",
            f"choose {minutes}min or more, or a smaller --scale"
            + (f"; it is for each of {setups} setups, one after the other" if setups > 1 else ""),
        )


def names(configs: Sequence[TracerConfig], tuned: Sequence[str]) -> dict[TracerConfig, str]:
    """Call configurations by the values of these knobs.

    Raises:
        StudyError: two differ by something else.
    """
    knobs_ = [KNOBS[name] for name in tuned]
    found = {own: "-".join(knob.slugged(getattr(own, knob.field)) for knob in knobs_) for own in configs}
    if len(set(found.values())) < len(configs):
        raise StudyError("configurations differ by what is not tuned, and would be taken for one another")
    return found
