# SPDX-License-Identifier: Apache-2.0
"""What a claim asserts: statements on cells, each true, false, not to be told, or without the data to tell.

Who is said to have more must be told apart: a tie is neither true nor false, however well it is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import Protocol

from bpfbench.analysis.claims.evidence import SETUPS, Cell, Evidence, Known, Missing, Quantity, Scale
from bpfbench.analysis.claims.interval import all_of, at_least
from bpfbench.model import Tool

REST = "rest"
"""In tiers: every setup that no tier names."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One comparison, made."""

    subject: str
    unit: str
    """x for ratios, % for shares, pp for their differences; empty for plain numbers."""
    low: float
    """What is wanted: at least so much, and at most `high`."""
    high: float
    found: Known | Missing
    strict: bool = False
    """What is wanted is more than `low`."""

    @property
    def holds(self) -> bool | None:
        """True or false where it surely is."""
        if isinstance(self.found, Missing):
            return None
        interval = self.found.interval
        return interval.exceeds(self.low) if self.strict else interval.within(self.low, self.high)

    @property
    def margin(self) -> float:
        """By how much all of the interval is within the limits; negative where it is not. In the unit."""
        if isinstance(self.found, Missing):
            return -math.inf
        return min(self.found.interval.low - self.low, self.high - self.found.interval.high)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a predicate."""

    holds: bool | None
    statements: tuple[Statement, ...]
    """All comparisons it is made of, those that could not be made too."""


class Predicate(Protocol):
    """What a claim asserts."""

    def judge(self, evidence: Evidence) -> Outcome:
        """Tell whether all of it holds."""


@dataclass(frozen=True, slots=True)
class Within:
    """A quantity lies within bounds, in each cell or in enough of them.

    Where the hook makes up as much of it as the library, other hooks than the paper's say nothing about it.
    """

    quantity: Quantity
    workloads: tuple[str, ...]
    tools: tuple[Tool | None, ...]
    setups: tuple[str, ...] = SETUPS
    low: float = -math.inf
    high: float = math.inf
    relative: bool = False
    """The quantity over vanilla's, as a factor, instead of the quantity itself in its metric's unit."""
    enough: int | None = None
    """How many cells it must hold for; None: all."""

    def judge(self, evidence: Evidence) -> Outcome:
        """Make one statement of each cell."""
        cells = [Cell(*found) for found in product(self.workloads, self.tools, self.setups)]
        wanted = len(cells) if self.enough is None else self.enough
        evidence = _for_any(evidence, wanted, len(cells))
        statements = tuple(self._statement(evidence, cell) for cell in cells)
        return Outcome(at_least(wanted, [statement.holds for statement in statements]), statements)

    def _statement(self, evidence: Evidence, cell: Cell) -> Statement:
        subject = f"{named(cell)} {self.quantity.name}"
        if self.relative:
            of_the_hook = self.quantity.hooked and cell.tool is not Tool.SYSCOUNT and not evidence.kprobes
            found = Missing("kprobes") if of_the_hook else evidence.factor(self.quantity, cell)
            return Statement(f"{subject} / vanilla", "x", self.low, self.high, found)
        unit = "%" if self.quantity.scale is Scale.DIFFERENCE else ""
        return Statement(subject, unit, self.low, self.high, evidence.level(self.quantity, cell))


@dataclass(frozen=True, slots=True)
class Order:
    """In each place, or in enough of them, every setup of a tier has more than every setup of a later tier."""

    quantity: Quantity
    workloads: tuple[str, ...]
    tools: tuple[Tool, ...]
    tiers: tuple[tuple[str, ...], ...]
    enough: int | None = None
    """How many places it must hold in; None: all."""

    def judge(self, evidence: Evidence) -> Outcome:
        """Make one statement of each place and pair of setups of different tiers."""
        places = list(product(self.workloads, self.tools))
        wanted = len(places) if self.enough is None else self.enough
        evidence = _for_any(evidence, wanted, len(places))
        outcomes = [self._in(place, evidence) for place in places]
        statements = tuple(statement for outcome in outcomes for statement in outcome.statements)
        return Outcome(at_least(wanted, [outcome.holds for outcome in outcomes]), statements)

    def _in(self, place: tuple[str, Tool], evidence: Evidence) -> Outcome:
        return _all(
            _more(evidence, self.quantity, Cell(*place, one), Cell(*place, other)) for one, other in pairs(self.tiers)
        )


@dataclass(frozen=True, slots=True)
class More:
    """Each setup has more in one place than it has in another."""

    quantity: Quantity
    setups: tuple[str, ...]
    place: tuple[str, Tool | None]
    other: tuple[str, Tool | None]
    relative: bool = False
    """Compare the factors over vanilla."""

    def judge(self, evidence: Evidence) -> Outcome:
        """Make one statement of each setup."""
        return _all(
            _more(evidence, self.quantity, Cell(*self.place, s), Cell(*self.other, s), relative=self.relative)
            for s in self.setups
        )


@dataclass(frozen=True, slots=True)
class Every:
    """Several predicates hold together."""

    parts: tuple[Predicate, ...]

    def judge(self, evidence: Evidence) -> Outcome:
        """Judge each part."""
        outcomes = [part.judge(evidence) for part in self.parts]
        statements = tuple(statement for outcome in outcomes for statement in outcome.statements)
        return Outcome(all_of(outcome.holds for outcome in outcomes), statements)


def pairs(tiers: tuple[tuple[str, ...], ...]) -> Iterator[tuple[str, str]]:
    """Yield each pair of setups of which the first is in an earlier tier."""
    listed = {setup for tier in tiers for setup in tier}
    rest = tuple(setup for setup in SETUPS if setup not in listed)
    resolved = [rest if tier == (REST,) else tier for tier in tiers]
    for earlier, later in combinations(resolved, 2):
        yield from product(earlier, later)


def named(cell: Cell) -> str:
    """Name a cell: read rw-tracer libbpf."""
    return " ".join(filter(None, (cell.workload, cell.tool, cell.setup)))


def _for_any(evidence: Evidence, wanted: int, of: int) -> Evidence:
    """Return the evidence for a claim that any so many hold of several, none of them named.

    That all of some hold needs no correction. But where one too few hold, each of the others may seem to by chance.
    """
    return evidence.stricter(of - wanted + 1)


def _all(statements: Iterable[Statement]) -> Outcome:
    made = tuple(statements)
    return Outcome(all_of(statement.holds for statement in made), made)


def _more(evidence: Evidence, quantity: Quantity, one: Cell, other: Cell, *, relative: bool = False) -> Statement:
    if one.place == other.place:
        left, right = f"{named(one)} {quantity.name}", other.setup
    else:
        left = f"{one.setup} {quantity.name}{' over vanilla' if relative else ''}: {_place(one)}"
        right = _place(other)
    by_difference = quantity.scale is not Scale.RATIO
    return Statement(
        f"{left} {'-' if by_difference else '/'} {right}",
        "pp" if by_difference else "x",
        quantity.neutral,
        math.inf,
        evidence.contrast(quantity, one, other, relative=relative),
        strict=True,
    )


def _place(cell: Cell) -> str:
    return " ".join(filter(None, cell.place))
