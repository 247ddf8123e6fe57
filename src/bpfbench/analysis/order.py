# SPDX-License-Identifier: Apache-2.0
"""The order of trials: whether one owes anything to its place in the block or to the one before; and a run's own noise.

*Order* is a linear regression of what a trial took, on its logarithm, with fixed effects of block and cell. Two things
are tested in it, each by an F test: the place in the block, and what ran right before. Every trial takes part, vanilla
or not: its cell says what its setup costs, its block what the machine was worth that hour, and what is left over must
not depend on the order. *Noise* is vanilla against vanilla of the same block. docs/statistics.md has the formulae,
docs/validation.md what comes of them in simulation, and by benchmarks/validate_order.py on a real machine.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from bpfbench import factors
from bpfbench.analysis import inference
from bpfbench.analysis.inference import ALPHA, Interval, Matrix, Noise, Paired, Regression, holm, noise, regress
from bpfbench.analysis.metrics import LATENCY, RUNTIME
from bpfbench.analysis.results import Cell, Pairing, Results, in_order, pairing
from bpfbench.model import EMULATED, UNLIMITED, VANILLA, Predecessor, Record, Status, Workload

BLOCKS_LEAST = 6
"""Blocks that a test needs: of so many the first trials are told from the others, and not one of them."""
FREEDOM_LEAST = 8
"""Degrees of freedom that have to be left, so that the interval is not decided by Student's t alone."""
CLASS_LEAST = 3
"""Trials that what ran before has to have preceded, to be a class of its own: of two no scatter is known."""
NEGLIGIBLE = 1e-9
"""Of a column's length: what is left of it when block and cell are taken out of it is rounding."""


class After(StrEnum):
    """What ran on the machine right before a trial."""

    TRACER = "a tracer"
    """Under the same workload, as the next two; what the others are compared with."""
    VANILLA = "vanilla"
    WARM_UP = "a warm-up"
    OTHER = "another workload"
    """Or another size or rate of it."""
    NOTHING = "nothing"
    """The session, or the virtual machine, had just begun."""


@dataclass(frozen=True, slots=True)
class Effect:
    """By how much the trials of a kind differ from the others, block and cell being equal."""

    what: str
    n: int
    """Trials of that kind."""
    ratio: float
    """What they took, over what the others took."""
    interval: Interval
    """95 % confidence, by Student's t on the logarithm."""
    p: float
    """Two-sided, of this effect alone; uncorrected."""


@dataclass(frozen=True, slots=True)
class OrderTest:
    """One question, tested."""

    effects: tuple[Effect, ...] = ()
    f: float | None = None
    """Of all its terms together; None where it cannot be tested, for the reason given."""
    freedom: tuple[int, int] | None = None
    """Degrees of freedom of F."""
    p: float | None = None
    p_corrected: float | None = None
    """After Holm's correction over both questions."""
    reason: str | None = None

    @property
    def found(self) -> bool:
        """Whether there is an effect, at a family-wise error of 5 % over both questions."""
        return self.p_corrected is not None and self.p_corrected <= ALPHA


@dataclass(frozen=True, slots=True)
class Order:
    """What a run says of the order of its trials."""

    trials: int
    """That count: ok, of a machine that is not emulated."""
    blocks: int
    place: OrderTest
    """Terms: first in the block, of each workload; and the place as a number. Effects: first over later, of all
    workloads; of each; and a place later over the one before."""
    predecessor: OrderTest
    """Terms and effects: each class of After over TRACER."""
    notes: tuple[str, ...]

    @property
    def found(self) -> bool:
        """Whether the order of trials made a difference that can be told from noise."""
        return self.place.found or self.predecessor.found


@dataclass(frozen=True, slots=True)
class Twins:
    """Vanilla against itself: the two vanilla trials of each block."""

    paired: Paired
    """The later over the earlier; should be 1."""
    noise: Noise | None
    """Of the same, on logarithms; None of one block."""


@dataclass(frozen=True, slots=True)
class Itself:
    """What a run makes of nothing."""

    workloads: tuple[tuple[Workload, Twins], ...]
    """Of each workload, whatever the tool."""
    pooled: Twins | None
    """Of all; None for the reason given."""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """What a run says of its own trials."""

    order: Order
    itself: Itself


@dataclass(frozen=True, slots=True)
class Timed:
    """A trial as the test of order sees it: what it took, and when it was run."""

    cell: Cell
    record: Record
    log: float
    """Of what it took: the runtime, or at a limited rate, where that is given, the mean latency."""
    place: int
    """In its block, from 1."""
    after: After


def examine(results: Results) -> Examined:
    """Examine a run."""
    found = timed(results)
    return Examined(_order(results, found), _itself(results, found))


def _order(results: Results, found: Sequence[Timed]) -> Order:
    """Test whether place and predecessor made a difference."""
    blocks = len({pairing(item.record) for item in found})
    notes = []
    if any(item.record.place is None for item in found):
        notes.append("Its records do not say what ran before: place and predecessor are those of the plan.")
    if blocks < BLOCKS_LEAST:
        few = f"{blocks} {'block' if blocks == 1 else 'blocks'}; it takes {BLOCKS_LEAST}"
        untested = OrderTest(reason=few if found else _lacking("no trial has a time that could be compared", results))
        return Order(len(found), blocks, untested, untested, tuple(notes))
    place, (predecessor, left_out) = _place(found), _predecessor(found)
    if left_out:
        notes.append(f"Too few to be tested: trials after {', '.join(left_out)}.")
    corrected = holm([place.p, predecessor.p])
    place, predecessor = (replace(test, p_corrected=p) for test, p in zip((place, predecessor), corrected, strict=True))
    return Order(len(found), blocks, place, predecessor, tuple(notes))


def timed(results: Results) -> tuple[Timed, ...]:
    """Return the trials that the test of order looks at, with what it needs to know of them."""
    before = _predecessors(results.records)
    in_block: Counter[int] = Counter()
    found = []
    for cell, record in results.trials:
        in_block[record.trial.block] += 1
        value = (RUNTIME if cell.workload.rate_iops is None else LATENCY).read(record)
        if record.status is Status.OK and value is not None and value > 0 and not cell.emulated:
            place = record.place or in_block[record.trial.block]
            found.append(Timed(cell, record, math.log(value), place, _after(cell.workload, before[record.trial.id])))
    return tuple(found)


def _predecessors(ordered: Iterable[Record]) -> dict[str, Predecessor | None]:
    """Return what ran before each trial, by id: its record's word, and that of the plan where it has none.

    A session runs what it runs in the plan's order; a machine that was booted in between remembers nothing.
    """
    found: dict[str, Predecessor | None] = {}
    last: dict[tuple[str, str], Record] = {}
    for record in ordered:
        where = record.session, record.trial.host
        earlier = last.get(where)
        last[where] = record
        if record.place is not None:
            found[record.trial.id] = record.predecessor
        elif earlier is None or _booted_between(earlier, record):
            found[record.trial.id] = None
        else:
            trial = earlier.trial
            found[record.trial.id] = Predecessor(trial.id, trial.setup, trial.tool, trial.workload, warm_up=False)
    return found


def _booted_between(earlier: Record, later: Record) -> bool:
    boots = {record.environment.boot_id for record in (earlier, later) if record.environment}
    return len(boots) > 1


def _after(workload: Workload, before: Predecessor | None) -> After:
    if before is None:
        return After.NOTHING
    if before.workload != workload:
        return After.OTHER
    if before.warm_up:
        return After.WARM_UP
    return After.VANILLA if before.setup == VANILLA else After.TRACER


Term = tuple[str, Sequence[float]]
"""What its effect is called, and its value for each trial."""


def _place(found: Sequence[Timed]) -> OrderTest:
    first: Term = ("first", [float(item.place == 1) for item in found])
    later: Term = ("a place later", [float(item.place) for item in found])
    workloads = sorted({item.cell.workload for item in found}, key=in_order)
    firsts: list[Term] = [
        (f"first, {label}", [float(item.place == 1 and item.cell.workload == workload) for item in found])
        for workload, label in zip(workloads, labels(workloads), strict=True)
    ]
    each = firsts if len(firsts) > 1 else []
    return _Residuals(found).answer([*firsts, later], [[first], each, [later]])


def _predecessor(found: Sequence[Timed]) -> tuple[OrderTest, tuple[After, ...]]:
    """Test it, and return the classes that too few trials are of."""
    counts = Counter(item.after for item in found)
    rare = tuple(after for after in After if 0 < counts[after] < CLASS_LEAST)
    kept = [item for item in found if item.after not in rare]
    terms: list[Term] = [
        (f"after {after}", [float(item.after is after) for item in kept])
        for after in After
        if after is not After.TRACER and counts[after] >= CLASS_LEAST
    ]
    return _Residuals(kept).answer(terms, [terms]), rare


class _Residuals:
    """What is left of trials when their blocks and cells are taken out, and what it depends on.

    That is done group by group, as blocks and cells lie within groups, which is the same as a regression with a dummy
    for each (Frisch and Waugh 1933, Lovell 1963) and takes seconds off a large run. A workload has a variance of its
    own, by which its trials are weighted: writes may scatter ten times as much as reads.
    """

    def __init__(self, found: Sequence[Timed]) -> None:
        self._items = found
        places: defaultdict[Cell, list[int]] = defaultdict(list)
        for number, item in enumerate(found):
            places[item.cell.vanilla].append(number)
        self._groups = [(own, _Within([found[number] for number in own])) for own in places.values()]
        self.rank = sum(within.rank for _, within in self._groups)
        self._logs = self._taken_out(np.array([item.log for item in found]))
        self._weights = self._weigh()

    def _taken_out(self, values: Matrix) -> Matrix:
        left = np.empty_like(values)
        for own, within in self._groups:
            left[own] = within.taken_out(values[own])
        return left

    def _weigh(self) -> Matrix:
        """Return 1 / variance of each trial's workload; 1 for all where one of them has no scatter at all."""
        squares: defaultdict[Workload, float] = defaultdict(float)
        freedom: Counter[Workload] = Counter()
        for own, within in self._groups:
            workload = self._items[own[0]].cell.workload
            squares[workload] += float(np.sum(self._logs[own] ** 2))
            freedom[workload] += len(own) - within.rank
        variances = {workload: squares[workload] / max(1, freedom[workload]) for workload in squares}
        if min(variances.values(), default=0.0) <= NEGLIGIBLE**2:
            return np.ones(len(self._items))
        return np.array([1 / variances[item.cell.workload] for item in self._items])

    def answer(self, terms: Sequence[Term], shown: Sequence[Sequence[Term]]) -> OrderTest:
        """Test terms together, and estimate what is to be shown, each list by itself."""
        kept, fitted = self._fit(terms)
        if not kept:
            return OrderTest(reason="nothing of it varies within blocks and setups")
        freedom = len(self._items) - self.rank - len(kept)
        if fitted is None or freedom < FREEDOM_LEAST:
            return OrderTest(reason=f"{max(0, freedom)} degrees of freedom are left; it takes {FREEDOM_LEAST}")
        if fitted.f is None:
            return OrderTest(reason="repeated trials do not differ at all")
        effects = tuple(effect for own in shown for effect in self._effects(own))
        return OrderTest(effects, fitted.f, fitted.freedom, fitted.p)

    def _effects(self, terms: Sequence[Term]) -> Iterator[Effect]:
        """Yield the effects of terms that are fitted together, of those that can be."""
        kept, fitted = self._fit(terms)
        if fitted is None:
            return
        for (what, values), (mean, interval, p) in zip(kept, fitted.terms, strict=True):
            yield Effect(what, sum(value > 0 for value in values), math.exp(mean), interval.mapped(math.exp), p)

    def _fit(self, terms: Sequence[Term]) -> tuple[list[Term], Regression | None]:
        """Fit those terms that block and cell, and the terms before them, do not say already; None where it is none."""
        columns: list[Matrix] = []
        kept: list[Term] = []
        for term in terms:
            values = np.array(term[1])
            column = self._taken_out(values)
            if _is_new(column, columns, float(np.linalg.norm(values))):
                columns.append(column)
                kept.append(term)
        return kept, regress(self._logs, columns, self._weights, taken_out=self.rank) if kept else None


class _Within:
    """The blocks and cells of a group, to be taken out of values: blocks by their means, as they share no trial.

    What is left of the cells' dummies, without those means, is spanned by orthonormal columns. Of a trial that nothing
    repeats, nothing is left.
    """

    def __init__(self, group: Sequence[Timed]) -> None:
        trials = Counter(item.cell for item in group)
        self._repeated = np.array([trials[item.cell] > 1 for item in group])
        repeated = [item for item in group if trials[item.cell] > 1]
        self.rank = len(group) - len(repeated)
        if not repeated:
            return
        self._block, blocks = _numbered([pairing(item.record) for item in repeated])
        self._sizes = np.bincount(self._block, minlength=blocks)
        cell, cells = _numbered([item.cell for item in repeated])
        dummies = self._demeaned(np.eye(cells)[cell])
        # By their products: cells are fewer than trials.
        squares, directions = np.linalg.eigh(dummies.T @ dummies)
        kept = squares > NEGLIGIBLE * squares[-1]
        self._basis: Matrix = dummies @ (directions[:, kept] / np.sqrt(squares[kept]))
        self.rank += blocks + self._basis.shape[1]

    def _demeaned(self, values: Matrix) -> Matrix:
        sums = np.zeros((len(self._sizes), *values.shape[1:]))
        np.add.at(sums, self._block, values)
        return np.asarray(values - (sums.T / self._sizes).T[self._block], dtype=np.float64)

    def taken_out(self, values: Matrix) -> Matrix:
        """Return what is left of values."""
        found = np.zeros_like(values)
        if self._repeated.any():
            left = self._demeaned(values[self._repeated])
            found[self._repeated] = left - self._basis @ (self._basis.T @ left)
        return found


def _numbered(keys: Sequence[Hashable]) -> tuple[Any, int]:
    """Return a number for each, the same for the same, and how many there are."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys]), len(numbers)


def _is_new(column: Matrix, others: Sequence[Matrix], length: float) -> bool:
    if others:
        beside = np.column_stack(others)
        column = column - beside @ np.linalg.lstsq(beside, column, rcond=None)[0]
    return float(np.linalg.norm(column)) > NEGLIGIBLE * max(1.0, length)


def _itself(results: Results, found: Sequence[Timed]) -> Itself:
    """Compare vanilla with itself, where blocks have it twice."""
    vanilla: defaultdict[Pairing, list[Timed]] = defaultdict(list)
    for item in found:
        if item.cell.is_vanilla:
            vanilla[pairing(item.record)].append(item)
    pairs: defaultdict[Workload, list[tuple[float, float]]] = defaultdict(list)
    for own in vanilla.values():
        for earlier, later in itertools.pairwise(own):
            pairs[earlier.cell.workload].append((earlier.log, later.log))
    if not pairs:
        return Itself((), None, _lacking("no block has two vanilla trials that count", results))
    each = tuple((workload, _twins(pairs[workload])) for workload in sorted(pairs, key=in_order))
    return Itself(each, _twins(list(itertools.chain.from_iterable(pairs.values()))))


def _lacking(what: str, results: Results) -> str:
    return EMULATED if any(cell.emulated for cell in results.cells) else what


def _twins(pairs: Sequence[tuple[float, float]]) -> Twins:
    logs = [later - earlier for earlier, later in pairs]
    return Twins(inference.ratios([logs])[0], noise(pairs))


def labels(workloads: Sequence[Workload]) -> tuple[str, ...]:
    """Name workloads as briefly as they can be told apart."""
    return tuple(_label(workload, workloads) for workload in workloads)


def _label(workload: Workload, among: Sequence[Workload]) -> str:
    alike = [other for other in among if other.name == workload.name]
    varying = (own for own in factors.of(Workload) if len({getattr(other, own.field) for other in alike}) > 1)
    found = ((own, getattr(workload, own.field)) for own in varying)
    told = ((own, value) for own, value in found if value is None or value != own.usual)
    said = (UNLIMITED if value is None else own.called(value, driven=not workload.is_fio) for own, value in told)
    return " ".join([workload.name, *said])
