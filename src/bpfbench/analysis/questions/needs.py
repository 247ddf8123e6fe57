# SPDX-License-Identifier: Apache-2.0
"""Which setup for which need: a decision (decision.py) over every case that says something of the need.

A case is what setups are compared in: a workload, a tool, a kernel and a configuration. Differences are those of
logarithms, which are ratios, but for fidelity, which is compared in points. Fidelity comes first: who loses events is
cheap to run. So *all-round* asks for the lowest overhead among those that save enough, at the highest rate of events at
which anybody does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from bpfbench.analysis import metrics
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.decision import Decision, Outcome, against, decide
from bpfbench.analysis.gaps import BlockId, Gap
from bpfbench.analysis.inference import ALPHA, Interval, noise, percent
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.results import Cell, Results, Sample, logarithm
from bpfbench.model import EVENT_TOOLS, VANILLA, Criteria, IoPace, TracerConfig, Variant


@dataclass(frozen=True, slots=True)
class Need:
    """What somebody may want most of a tracer."""

    key: str
    title: str
    metric: Metric
    margin: Callable[[Criteria], float]
    """Up to which differences do not matter, in per cent, or in points."""
    by_points: bool = False
    """Whether values are compared by their difference, more being better; else by their ratio, less being better."""
    tools: tuple[str, ...] = ()
    """Empty: all."""
    limited: bool | None = None
    """Of targets with a limited rate only, or of those without one; None: of all."""
    variant: Variant = Variant.FULL
    """Of which trials it is."""

    def concerns(self, cell: Cell) -> bool:
        """Tell whether a tracer has a part in it."""
        if cell.config is None or cell.config.variant is not self.variant:
            return False
        if self.tools and cell.tool not in self.tools:
            return False
        return self.limited is None or self.limited == (cell.workload.rate_iops is not None)

    def worth(self, value: float) -> float | None:
        """Put a value on the scale on which differences count, more being better; None where it has no place there."""
        if self.by_points:
            return value
        found = logarithm(value)
        return None if found is None else -found

    def noise(self, vanilla: Sample) -> float | None:
        """Return the SD of the difference of two vanilla trials of a block on that scale; None where it is unknown."""
        twins = noise(vanilla.by_block(logs=not self.by_points).values())
        return None if twins is None else twins.sd

    def scaled(self, criteria: Criteria) -> float:
        """Return the margin on that scale."""
        return self.margin(criteria) if self.by_points else math.log1p(self.margin(criteria) / 100)

    def change(self, ahead: float) -> float:
        """Return what being ahead by so much means of the metric: the change in per cent, or in points."""
        return ahead if self.by_points else percent(-ahead)

    def is_constant(self, gap: Gap) -> bool:
        """Tell whether a gap was the same in all rounds, as shares can be: a fact about these, and no interval."""
        return self.by_points and gap.spread.own == 0

    def changes(self, ahead: Interval) -> Interval:
        """Return the same of an interval."""
        ends = self.change(ahead.low), self.change(ahead.high)
        return Interval(min(ends), max(ends))


NEEDS = (
    OVERHEAD := Need("overhead", "Lowest overhead", metrics.RUNTIME, lambda c: c.runtime_margin_percent, limited=False),
    LATENCY := Need(
        "latency", "Lowest latency at a limited rate", metrics.LATENCY, lambda c: c.runtime_margin_percent, limited=True
    ),
    FIDELITY := Need(
        "fidelity",
        "Highest fidelity",
        metrics.SAVED_PERCENT,
        lambda c: c.fidelity_margin_points,
        by_points=True,
        tools=EVENT_TOOLS,
    ),
    CPU := Need("cpu", "Least CPU", metrics.CPU, lambda c: c.cpu_margin_percent),
    MEMORY := Need("memory", "Least memory", metrics.PSS_PEAK, lambda c: c.memory_margin_percent),
    STARTUP := Need("startup", "Fastest start", metrics.STARTUP, lambda c: c.cpu_margin_percent),
    POWER := Need("power", "Least power", metrics.POWER, lambda c: c.cpu_margin_percent),
    DELAY := Need("delay", "Shortest delay", metrics.DELAY_P99, lambda c: c.cpu_margin_percent, variant=Variant.DELAY),
)
"""Memory is the tracer's own: what the whole machine has in use also holds everything else that runs on it. At a
limited rate a target takes the time that its rate wants, whatever the tracer costs, as long as it can keep to it. The
delay is that which 99 of 100 events do not exceed."""

SIZE = Need("size", "Smallest", metrics.CODE, lambda c: c.memory_margin_percent)
"""Of the code that is run: no need by itself, but between equals it decides."""

ALL_ROUND = "all-round"
"""Key of the best all-round choice: two needs at once."""

DAY_S = 24 * 3600
"""Nobody runs a study for longer to decide something."""


@dataclass(frozen=True, slots=True)
class Contest:
    """What setups are compared in."""

    vanilla: Cell
    config: TracerConfig | None

    @classmethod
    def of(cls, cell: Cell) -> Contest:
        """Return the case that a tracer's cell is in, whichever variant of it."""
        return cls(cell.vanilla, cell.config and replace(cell.config, variant=Variant.FULL))

    def of_variant(self, variant: Variant) -> TracerConfig | None:
        """Return the configuration of the trials of a variant."""
        return self.config and replace(self.config, variant=variant)


@dataclass(frozen=True, slots=True)
class Worth:
    """What a setup comes to in a need."""

    low: float
    """The least of its means over the cases, in the metric's unit."""
    high: float
    over_vanilla: Gap | None
    """How far it is ahead of vanilla, by the mean over the cases that all have; None where vanilla lacks the metric."""


@dataclass(frozen=True)
class Answer:
    """What a run says of a need."""

    need: Need
    criteria: Criteria
    decision: Decision[Contest]
    worth: Mapping[str, Worth]
    """By setup."""
    itself: Mapping[Contest, float]
    """By case: the SD of the difference of two vanilla trials of a block, on the need's scale, where it is known."""

    @property
    def margin(self) -> float:
        """Up to which differences do not matter, in per cent, or in points."""
        return self.need.margin(self.criteria)

    @property
    def alike(self) -> bool:
        """Whether those who are named are equal in each trial, as shares can be: which says nothing of others."""
        gaps = self.decision.whole.among(self.decision.named).gaps.values()
        return self.need.by_points and all(self.need.is_constant(gap) and gap.mean == 0 for gap in gaps)

    @property
    def noise(self) -> float | None:
        """Return the same SD of the mean over all cases; None where a case's is unknown."""
        known = [self.itself[case] for case in self.decision.contested if case in self.itself]
        return math.hypot(*known) / len(known) if known and len(known) == len(self.decision.contested) else None


@dataclass(frozen=True, slots=True)
class AtRate:
    """Who saves enough at one pace of events."""

    pace: IoPace
    """Of each of fio's processes."""
    events_per_s: float
    """The most that was offered to a tracer there."""
    saved: Mapping[str, Interval]
    """By setup: the share of events, in per cent, in the case in which it saves least."""
    floor_percent: float
    least: Mapping[str, float]
    """By setup: the mean in that case."""
    lowest: Mapping[str, float]
    """By setup: what the trial saved that saved least. Of those that have three trials in each case."""
    configured_apart: bool = False
    """Whether a setup has several configurations there, each of which is a case."""

    @property
    def holding(self) -> tuple[str, ...]:
        """Those who save enough, in the mean or in each trial."""
        in_each = set(self.in_each)
        return tuple(own for own, share in self.saved.items() if share.low >= self.floor_percent or own in in_each)

    @property
    def in_each(self) -> tuple[str, ...]:
        """Those who saved enough in each trial: a fact about these, which says little of others."""
        return tuple(setup for setup, share in self.lowest.items() if share >= self.floor_percent)

    @property
    def open(self) -> tuple[str, ...]:
        """Those of whom it cannot be told."""
        holding = set(self.holding)
        return tuple(
            own for own, share in self.saved.items() if own not in holding and self.floor_percent <= share.high
        )


@dataclass(frozen=True)
class AllRound:
    """Who is the cheapest of those that save enough."""

    rates: tuple[AtRate, ...]
    """The highest first."""
    answer: Answer | None
    """Among those who hold the floor at the first rate at which anybody does; None where nobody does at any."""

    @property
    def at(self) -> AtRate | None:
        """The rate that the answer is of."""
        return next((rate for rate in self.rates if rate.holding), None)

    def highest(self, setup: str) -> AtRate | None:
        """Return the highest rate at which a setup saves enough."""
        return next((rate for rate in self.rates if setup in rate.holding), None)


@dataclass(frozen=True)
class Answers:
    """What a run says of all needs, on one kernel."""

    kernel: str | None
    needs: tuple[Answer, ...]
    """In the order of NEEDS: those that there are numbers for."""
    all_round: AllRound | None
    """None where no tool could lose events."""
    round_s: float
    """How long a round of the run takes, all of its trials together, in seconds."""
    size: Answer | None = None
    """Whose code is the smallest; None where that was not measured."""
    tools: tuple[str, ...] = ()
    """Which it is about, where those of a run share no setup; empty: all of them."""

    @property
    def of_commands(self) -> bool:
        """Whether a tracer of it is a command, which keeps no contract."""
        cases = (case for answer in self.needs for case in answer.decision.cases)
        return any(case.config is not None and case.config.is_command for case in cases)

    @property
    def each(self) -> tuple[Answer, ...]:
        """All that can be decided: the needs, and the best all-round choice where anybody qualifies."""
        last = self.all_round.answer if self.all_round else None
        return (*self.needs, last) if last else self.needs

    def is_hopeless(self, answer: Answer) -> bool:
        """Tell whether what is open would take more rounds, or time, than anybody gives it, as things look."""
        decision = answer.decision
        if decision.outcome is not Outcome.UNDECIDED or decision.rounds < ROUNDS_LEAST:
            return False
        needed = decision.rounds_needed
        return needed is None or (needed - decision.rounds) * self.round_s > DAY_S

    @property
    def costs(self) -> Answer | None:
        """What it costs the application: runtime, or latency where every target has a limited rate."""
        by_need = {answer.need: answer for answer in self.needs}
        return by_need.get(OVERHEAD) or by_need.get(LATENCY)


def answers(results: Results, criteria: Criteria) -> tuple[Answers, ...]:
    """Answer every need that a run has the numbers for, kernel by kernel. An emulated machine answers none."""
    apart = _apart(results.cells)
    kinds: defaultdict[tuple[str | None, tuple[str, ...]], list[Sample]] = defaultdict(list)
    for sample in results.measured:
        kinds[sample.cell.kernel, next(tools for tools in apart if sample.cell.tool in tools)].append(sample)
    takes_s = round_s(results) or 0.0
    found = (_answers(kernel, own, criteria, takes_s) for (kernel, _), own in kinds.items())
    named = (tools if len(apart) > 1 else () for _, tools in kinds)
    return tuple(replace(own, tools=tools) for own, tools in zip(found, named, strict=True) if own.needs)


def _apart(cells: Iterable[Cell]) -> tuple[tuple[str, ...], ...]:
    """Return tools in such parts that no command of one has a tool of another: who meets nobody is in no contest."""
    members: defaultdict[str, set[str]] = defaultdict(set)
    commands = False
    for cell in cells:
        members[cell.tool] |= set() if cell.is_vanilla else {cell.setup}
        commands |= cell.is_command
    if not commands:
        return (tuple(members),)
    parts: list[tuple[tuple[str, ...], set[str]]] = []
    for tool, setups in members.items():
        joined = [part for part in parts if part[1] & setups]
        tools = (*(own for names, _ in joined for own in names), tool)
        parts = [part for part in parts if part not in joined] + [(tools, setups.union(*(own for _, own in joined)))]
    return tuple(tools for tools, _ in parts)


def round_s(results: Results) -> float | None:
    """Return how long a round of a run takes, all of its trials together, in seconds; None of a run without any."""
    rounds: defaultdict[int, float] = defaultdict(float)
    for record in results.records:
        rounds[record.trial.repetition] += record.seconds
    return fmean(rounds.values()) if rounds else None


def _answers(kernel: str | None, known: Sequence[Sample], criteria: Criteria, takes_s: float) -> Answers:
    found = [_answer(need, known, criteria, need.concerns) for need in NEEDS]
    size = _answer(SIZE, known, criteria, SIZE.concerns)
    return Answers(kernel, tuple(own for own in found if own), _all_round(known, criteria), takes_s, size)


def _of(samples: Sequence[Sample], need: Need, concerned: Callable[[Cell], bool]) -> list[Sample]:
    """Return the samples of a need's metric that are asked for."""
    return [own for own in samples if own.metric is need.metric and concerned(own.cell)]


def _answer(
    need: Need, known: Sequence[Sample], criteria: Criteria, concerned: Callable[[Cell], bool]
) -> Answer | None:
    samples = _of(known, need, concerned)
    values: defaultdict[str, dict[Contest, dict[BlockId, float]]] = defaultdict(dict)
    means: defaultdict[str, list[float]] = defaultdict(list)
    for own in samples:
        if blocks := own.by_round(need.worth):
            values[own.cell.setup][Contest.of(own.cell)] = blocks
            means[own.cell.setup].append(own.spread.mean)
    if not values:
        return None
    contests = dict.fromkeys(contest for own in values.values() for contest in own)
    vanilla, itself = _vanilla(need, known, contests)
    # What is told side by side is of the same cases, where there are any.
    shared = [contest for contest in contests if all(contest in own for own in values.values())] or contests
    beside = {setup: {case: own[case] for case in shared if case in own} for setup, own in values.items()}
    over = against({**beside, VANILLA: vanilla}, VANILLA) if vanilla else {}
    worth = {setup: Worth(min(own), max(own), over.get(setup)) for setup, own in means.items()}
    return Answer(need, criteria, decide(values, need.scaled(criteria), itself), worth, itself)


def _vanilla(
    need: Need, known: Sequence[Sample], contests: Iterable[Contest]
) -> tuple[dict[Contest, dict[BlockId, float]], dict[Contest, float]]:
    """Return vanilla's values in these cases, and by how much its two trials of a block differ, where there are two."""
    by_cell = {own.cell: own for own in known if own.metric is need.metric and own.cell.is_vanilla}
    found: dict[Contest, dict[BlockId, float]] = {}
    itself: dict[Contest, float] = {}
    for contest in contests:
        sample = by_cell.get(contest.vanilla)
        if sample is not None:
            found[contest] = sample.by_round(need.worth)
            if (sd := need.noise(sample)) is not None:
                itself[contest] = sd
    return found, itself


def _all_round(known: Sequence[Sample], criteria: Criteria) -> AllRound | None:
    by_pace: defaultdict[IoPace, list[Sample]] = defaultdict(list)
    for own in _of(known, FIDELITY, FIDELITY.concerns):
        by_pace[own.cell.workload.pace].append(own)
    if not by_pace:
        return None
    order = sorted(by_pace, key=lambda pace: pace.order, reverse=True)
    rates = tuple(_at_pace(pace, by_pace[pace], known, criteria) for pace in order)
    nobody = AllRound(rates, None)
    if (at := nobody.at) is None:
        return nobody
    holding, cheapest = set(at.holding), OVERHEAD if at.pace.rate_iops is None else LATENCY
    named = replace(cheapest, key=ALL_ROUND, title="Best all-round", tools=EVENT_TOOLS)

    def concerned(cell: Cell) -> bool:
        return named.concerns(cell) and cell.workload.pace == at.pace and cell.setup in holding

    return AllRound(rates, _answer(named, known, criteria, concerned))


def _at_pace(pace: IoPace, samples: Sequence[Sample], known: Sequence[Sample], criteria: Criteria) -> AtRate:
    """Say what each setup saves in the case in which it saves least, with an interval for all of them at once."""
    contests: defaultdict[Contest, dict[str, dict[BlockId, float]]] = defaultdict(dict)
    own_samples: defaultdict[str, list[Sample]] = defaultdict(list)
    for own in samples:
        own_samples[own.cell.setup].append(own)
        contests[Contest.of(own.cell)][own.cell.setup] = own.by_round(FIDELITY.worth)
    saved: dict[str, Interval] = {}
    for contest, by_setup in contests.items():
        nothing = {block: 0.0 for blocks in by_setup.values() for block in blocks}
        values = {setup: {contest: blocks} for setup, blocks in {**by_setup, VANILLA: nothing}.items()}
        found = against(values, VANILLA, ALPHA * len(by_setup) / len(samples))
        for setup in by_setup:
            share = found[setup].interval if setup in found else Interval(0.0, 100.0)
            share = Interval(max(0.0, share.low), min(100.0, share.high))
            worst = saved.get(setup, Interval(100.0, 100.0))
            saved[setup] = Interval(min(worst.low, share.low), min(worst.high, share.high))
    cells = {own.cell for own in samples}
    offered = [own.spread.mean for own in known if own.metric is metrics.OFFERED and own.cell in cells]
    alike = {(cell.setup, cell.tool, cell.workload) for cell in cells}
    return AtRate(
        pace,
        max(offered, default=0.0),
        saved,
        criteria.fidelity_floor_percent,
        least={setup: min(own.spread.mean for own in group) for setup, group in own_samples.items()},
        lowest={
            setup: min(own.spread.min for own in group)
            for setup, group in own_samples.items()
            if all(len(set(own.rounds)) >= ROUNDS_LEAST for own in group)
        },
        configured_apart=len(alike) < len(cells),
    )
