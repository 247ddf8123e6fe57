# SPDX-License-Identifier: Apache-2.0
"""What setups lack of what a user needs, where none has it all: at which rate each does, and what may help.

A change of the configuration is predicted where the capacity model knows the drain rate of the other one; else it is
one that takes away what the requirement fails by, and has to be measured. The time-out of polling is not among them:
what wakes a consumer up is events.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from bpfbench import catalogue, factors
from bpfbench.analysis import metrics
from bpfbench.analysis.questions.candidates import Assessment, Basis, Candidate, Fit, Wish, predict
from bpfbench.analysis.questions.evidence import Evidence, Quality
from bpfbench.analysis.questions.tuning.aim import TUNABLE
from bpfbench.analysis.results import Cell, goes_without_saying
from bpfbench.model import BLOCK_BYTES, EVENT_BYTES, Format, TracerConfig, Workload

TRIAL_S = 10
"""About what a trial takes that is proposed."""
REPETITIONS = 5
LARGER = 16
"""How many times as large a ring is that is proposed."""
RING_MOST = 2**30
LOOSENED = 3
"""How often limits are loosened in turn: with the fidelity wanted, other trials count for overhead."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change of the configuration that may help."""

    option: str
    """As studies call it."""
    value: object
    helps: Quality
    why: str
    predicted: Evidence | None = None
    """What is saved then; None where nothing predicts it."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a setup lacks."""

    candidate: Candidate
    """It in the configuration that is the nearest to fitting."""
    fits_at_per_s: float | None
    """The highest rate, of those that were measured, at which it fits in some configuration."""
    may_fit_at_per_s: float | None
    """The same of what is undecided there; None where none is higher."""
    loosened: Mapping[Quality, float]
    """Limits at which it fits at the wanted rate; empty where none is known."""
    remedies: tuple[Remedy, ...]
    to_measure: str | None
    """The command that measures it with these remedies, at the wanted rate; None: no target of the run has rates."""

    @property
    def says_anything(self) -> bool:
        """Whether anything is known of it."""
        return self.fits_at_per_s is not None or self.may_fit_at_per_s is not None or self.nearest is not None

    @property
    def nearest(self) -> Assessment | None:
        """Of what is not met for sure, what is the nearest to it; None where nothing is known of any."""
        unmet = [own for own in self.candidate.assessments if not own.fit.qualifies and own.evidence is not None]
        return min(unmet, key=lambda own: own.beyond, default=None)


def shortfalls(basis: Basis, candidates: Iterable[Candidate], wish: Wish) -> tuple[Shortfall, ...]:
    """Say what each setup lacks.

    Args:
        basis: what they are judged by.
        candidates: the best first.
        wish: what is wanted.
    """
    first = {own.setup: own for own in reversed(list(candidates))}
    return tuple(_shortfall(basis, own, wish) for own in sorted(first.values(), key=list(candidates).index))


def _shortfall(basis: Basis, own: Candidate, wish: Wish) -> Shortfall:
    fits = dict[Fit, float]()
    for rate in basis.rates(own.setup):
        there = replace(wish, rate_per_s=rate)
        found = [basis.candidate(setup, config, there).fit for setup, config in basis.cells if setup == own.setup]
        fits.setdefault(min(found, key=lambda fit: fit.rank), rate)
    yes = max((rate for fit, rate in fits.items() if fit.qualifies), default=None)
    may = fits.get(Fit.UNDECIDED)
    remedies = tuple(_remedies(basis, own, wish))
    return Shortfall(
        own,
        yes,
        may if may is not None and may > (yes or 0.0) else None,
        _loosened(basis, own, wish),
        remedies,
        command(basis, [own], wish, remedies),
    )


def _loosened(basis: Basis, own: Candidate, wish: Wish) -> dict[Quality, float]:
    """Return limits at which it fits, each loosened no further than the interval wants it."""
    limits = dict(wish.limits)
    for _ in range(LOOSENED):
        wished = replace(
            wish,
            min_fidelity_percent=limits[Quality.FIDELITY],
            max_overhead_percent=limits[Quality.OVERHEAD],
            max_cpu_percent=limits.get(Quality.CPU),
            max_memory_bytes=limits.get(Quality.MEMORY),
        )
        found = basis.candidate(own.setup, own.config, wished)
        if found.fit.qualifies:
            return {quality: limit for quality, limit in limits.items() if limit != wish.limits[quality]}
        for unmet in found.assessments:
            if not unmet.fit.qualifies and unmet.evidence is not None:
                end = unmet.evidence.low if unmet.requirement.higher_is_better else unmet.evidence.high
                end = end if unmet.evidence.least is None else unmet.evidence.least
                if end is not None:
                    limits[unmet.requirement] = _outward(end, up=not unmet.requirement.higher_is_better)
    return {}


def _outward(end: float, *, up: bool) -> float:
    """Round to two figures, away from what is wanted; a share of events that is not all, to a tenth."""
    if not up:
        return max(0.0, math.floor(10 * end) / 10)
    step = 10.0 ** (math.floor(math.log10(end)) - 1) if end > 0 else 1.0
    return math.ceil(end / step) * step


def _remedies(basis: Basis, own: Candidate, wish: Wish) -> Iterator[Remedy]:
    unmet = {found.requirement for found in own.assessments if found.evidence is not None and found.beyond > 0}
    setup = catalogue.SETUPS.get(own.setup)
    has_binary = own.config.format is Format.TEXT and setup is not None and Format.BINARY in setup.formats
    cells, ring = basis.cells[own.setup, own.config], own.config.ringbuf_bytes or 0
    if Quality.FIDELITY in unmet:
        if has_binary:
            other = replace(own.config, format=Format.BINARY)
            found = predict(own.setup, other, cells, basis.capacity, wish)
            yield Remedy("format", Format.BINARY, Quality.FIDELITY, "records are written as they are", found)
        if ring * LARGER <= RING_MOST:
            yield Remedy("ringbuf_bytes", ring * LARGER, Quality.FIDELITY, f"it bridges waits {LARGER} times as long")
        if wish.event_bytes > EVENT_BYTES:
            half = (wish.event_bytes - EVENT_BYTES) // 2
            less = replace(wish, event_bytes=EVENT_BYTES + half)
            found = predict(own.setup, own.config, cells, basis.capacity, less)
            yield Remedy("payload_bytes", half, Quality.FIDELITY, "fewer bytes an event are to be moved", found)
    if Quality.CPU in unmet and Quality.FIDELITY not in unmet and has_binary:
        yield Remedy("format", Format.BINARY, Quality.CPU, "no text is formatted")
    if Quality.MEMORY in unmet and ring >= 4 * BLOCK_BYTES:
        yield Remedy("ringbuf_bytes", ring // 4, Quality.MEMORY, "the ring is a part of it")


def command(basis: Basis, candidates: Sequence[Candidate], wish: Wish, remedies: Sequence[Remedy] = ()) -> str | None:
    """Return the command that measures candidates at the wanted rate, with remedies crossed with what they have.

    Args:
        basis: of the run, whose targets are taken: fio's workloads where it has some, else those that have rates.
        candidates: at least one.
        wish: what is wanted.
        remedies: of the configuration.
    """
    cells = list(chain.from_iterable(basis.cells.values()))
    works = [cell.workload for cell in cells if cell.workload.is_fio]
    beside = _fio(works, wish) if works or not cells else _driven(basis, cells, wish)
    if beside is None:
        return None
    study, target_options = beside
    payload = wish.event_bytes - EVENT_BYTES

    def values(name: str, given: Iterable[object]) -> dict[object, None]:
        return dict.fromkeys([*given, *(remedy.value for remedy in remedies if remedy.option == name)])

    options = {
        "setups": dict.fromkeys(candidate.setup for candidate in candidates),
        "tools": ["rw-tracer-all" if payload > 0 else "rw-tracer"],
        **target_options,
        **{
            own.flag.removeprefix("--"): values(own.name, (getattr(each.config, own.field) for each in candidates))
            for own in factors.of(TracerConfig)
            if own.field not in ("payload_bytes", "variant")
            and not all(goes_without_saying(own.field, getattr(each.config, own.field)) for each in candidates)
        },
        **({"payload-bytes": values("payload_bytes", [payload])} if payload > 0 else {}),
        "repetitions": [REPETITIONS],
    }
    words = (f"--{name} {','.join(map(str, given))}" for name, given in options.items())
    return f"bpfbench run {study} {' '.join(words)}"


Beside = tuple[str, dict[str, Iterable[object]]]
"""A study, and options that say which target it has, at which rate."""


def _fio(works: Sequence[Workload], wish: Wish) -> Beside:
    works = works or [Workload("mixed", 1, 0)]
    (processes, _), *_ = Counter(work.processes for work in works).most_common(1)
    rate_iops = max(2, math.ceil(wish.rate_per_s / processes))
    ios = 2 ** math.ceil(math.log2(rate_iops * TRIAL_S))
    return "quick", {
        "workloads": dict.fromkeys(work.name for work in works),
        "processes": [processes],
        "scale": [ios * BLOCK_BYTES / catalogue.FULL_BYTES_PER_PROCESS],
        "rate-iops": [rate_iops],
    }


def _driven(basis: Basis, cells: Sequence[Cell], wish: Wish) -> Beside | None:
    """Return declared targets that can be driven at a rate, each at what makes the events that are wanted."""
    rates = _rates(basis, cells, wish)
    if not rates:
        return None
    return _study_of(basis, rates) or "services", {"targets": rates, "rate-iops": sorted(set(rates.values()))}


def _rates(basis: Basis, cells: Sequence[Cell], wish: Wish) -> dict[str, int]:
    """Return at which rate each declared target that has one makes the events that are wanted, by its name."""
    rated = {target.name for target in basis.driven if target.drive_at}
    rates: dict[str, int] = {}
    for cell in (cell.vanilla for cell in cells if cell.workload.name in rated):
        calls, operations = (basis.seen.mean(cell, metric) for metric in (metrics.CALLS, metrics.OPERATIONS))
        if calls and operations:
            rates.setdefault(cell.workload.name, math.ceil(wish.rate_per_s * operations / calls))
    return rates


def _study_of(basis: Basis, targets: Iterable[str]) -> str | None:
    """Return the user's study file, in which targets are declared; None if all are shipped."""
    declared = {target.name: target for target in basis.driven}
    return None if all(declared[name].shipped for name in targets) else "study.toml"


def tuning(basis: Basis, candidates: Sequence[Candidate], wish: Wish) -> str | None:
    """Return the command that looks for a configuration which does what is wanted; None where there is none.

    Args:
        basis: what they were judged by. One target is taken: what is best beside it need not be beside others.
        candidates: those that do not, the best first.
        wish: what is wanted.
    """
    beside = _one_target(basis, list(chain.from_iterable(basis.cells.values())), wish)
    setups = dict.fromkeys(own.setup for own in candidates if own.setup in catalogue.SETUPS)
    if not beside or not setups:
        return None
    payload = wish.event_bytes - EVENT_BYTES
    costs = dict.fromkeys(own.value for own in (wish.prefer, Quality.OVERHEAD, Quality.MEMORY) if own in TUNABLE)
    options = {
        "setups": ",".join(setups),
        "tools": "rw-tracer-all" if payload > 0 else "rw-tracer",
        "attach": candidates[0].config.attach,
        **({"payload-bytes": payload} if payload > 0 else {}),
        **beside,
        "min-fidelity": f"{wish.min_fidelity_percent:g}",
        **({} if wish.max_cpu_percent is None else {"max-cpu": f"{wish.max_cpu_percent:g}"}),
        **({} if wish.max_memory_bytes is None else {"max-memory": round(wish.max_memory_bytes)}),
        "minimise": ",".join(costs),
        "output": "tuned.toml",
    }
    return f"bpfbench tune {' '.join(f'--{name} {given}' for name, given in options.items())}"


def _one_target(basis: Basis, cells: Sequence[Cell], wish: Wish) -> dict[str, object]:
    """Return options that say beside which target is tuned, at which rate: fio first; none where there is none."""
    if works := [cell.workload for cell in cells if cell.workload.is_fio]:
        _, beside = _fio(works, wish)
        return {
            "workloads": works[0].name,
            **{name: next(iter(beside[name])) for name in ("processes", "scale")},
            "rate": f"{wish.rate_per_s:g}",
        }
    for target, rate_iops in _rates(basis, cells, wish).items():
        study = _study_of(basis, [target])
        return {**({"study": study} if study else {}), "targets": target, "rate-iops": rate_iops}
    return {}
