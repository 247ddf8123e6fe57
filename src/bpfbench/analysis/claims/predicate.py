# SPDX-License-Identifier: Apache-2.0
"""What a claim asserts: statements on subjects, each true, false, not to be told, or without the data to tell.

Who is said to have more must be told apart: a tie is neither true nor false, however well it is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from itertools import combinations, product
from typing import Any, TypeAlias

from bpfbench import catalogue
from bpfbench.analysis.claims.evidence import (
    QUANTITIES,
    SETUPS,
    Case,
    Evidence,
    Known,
    Missing,
    Quantity,
    Scale,
    Subject,
    at_least,
)
from bpfbench.model import VANILLA, Tool
from bpfbench.values import Reader, flag, number, one_of, several, whole

REST = "rest"
"""In tiers: every setup that no tier names."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One comparison, made."""

    subject: str
    unit: str
    """x for ratios, % for shares, pp for differences of shares and of spreads."""
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


Groups: TypeAlias = list[list[tuple[Subject, ...]]]
"""What statements are made of: one subject, or two that are compared. A group is true if all of its statements are."""


@dataclass(frozen=True, slots=True)
class Within:
    """A quantity lies within limits, of each subject or of enough of them: a share itself, all else over vanilla's.

    Where the hook makes up as much of it as the library, other hooks than the paper's say nothing about it.
    """

    quantity: Quantity
    workloads: tuple[str, ...]
    tools: tuple[Tool, ...]
    setups: tuple[str, ...] = SETUPS
    low: float = -math.inf
    high: float = math.inf
    slack: float = 1.0
    """By this factor the limits are farther out."""
    enough: int | None = None
    """How many subjects it must hold of; None: all."""

    def groups(self) -> Groups:
        """Return a group for each subject."""
        return [[(Subject(*found),)] for found in product(self.workloads, self.tools, self.setups)]

    def statement(self, evidence: Evidence, subject: Subject) -> Statement:
        """Make the statement on a subject."""
        name, low, high = f"{named(subject)} {self.quantity.name}", self.low / self.slack, self.high * self.slack
        if self.quantity.scale is Scale.DIFFERENCE:
            return Statement(name, "%", low, high, evidence.level(self.quantity, subject))
        of_the_hook = self.quantity.hooked and subject.tool is not Tool.SYSCOUNT and not evidence.kprobes
        found = Missing("kprobes") if of_the_hook else evidence.factor(self.quantity, subject)
        return Statement(f"{name} / vanilla", "x", low, high, found)


@dataclass(frozen=True, slots=True)
class Order:
    """In each case, or in enough of them, every setup of a tier has more than every setup of a later tier."""

    quantity: Quantity
    workloads: tuple[str, ...]
    tools: tuple[Tool, ...]
    tiers: tuple[tuple[str, ...], ...]
    enough: int | None = None
    """How many cases it must hold in; None: all."""

    def groups(self) -> Groups:
        """Return a group for each case: each pair of setups of different tiers."""
        named = {setup for tier in self.tiers for setup in tier}
        rest = tuple(setup for setup in SETUPS if setup not in named)
        tiers = [rest if tier == (REST,) else tier for tier in self.tiers]
        pairs = [pair for earlier, later in combinations(tiers, 2) for pair in product(earlier, later)]
        return [
            [(Subject(*case, one), Subject(*case, other)) for one, other in pairs]
            for case in product(self.workloads, self.tools)
        ]

    def statement(self, evidence: Evidence, one: Subject, other: Subject) -> Statement:
        """Make the statement on two setups."""
        return _more(evidence, self.quantity, one, other)


@dataclass(frozen=True, slots=True)
class More:
    """Each setup has more in a case than it has in a later one."""

    quantity: Quantity
    cases: tuple[Case, ...]
    setups: tuple[str, ...] = SETUPS
    over_vanilla: bool = False
    """Compare the factors over vanilla."""
    enough: None = None

    def groups(self) -> Groups:
        """Return one group: each pair of cases, of each setup."""
        pairs = combinations(self.cases, 2)
        return [[(Subject(*one, s), Subject(*other, s)) for one, other in pairs for s in self.setups]]

    def statement(self, evidence: Evidence, one: Subject, other: Subject) -> Statement:
        """Make the statement on a setup in two cases."""
        return _more(evidence, self.quantity, one, other, over_vanilla=self.over_vanilla)


Predicate: TypeAlias = Within | Order | More


READERS: Mapping[str, Reader] = {
    "quantity": lambda key: QUANTITIES[one_of(tuple(QUANTITIES))(key)],
    "workloads": several(one_of(tuple(catalogue.WORKLOADS))),
    "tools": several(one_of(tuple(Tool))),
    "setups": several(one_of((*SETUPS, VANILLA))),
    "tiers": lambda tiers: tuple(map(several(one_of((*SETUPS, REST))), tiers)),
    "cases": lambda cases: tuple(Case(workload, *map(one_of(tuple(Tool)), tool)) for workload, *tool in cases),
    **dict.fromkeys(("low", "high", "slack"), number(0, math.inf)),
    "enough": whole(1),
    "over_vanilla": flag,
}


def read(table: Mapping[str, Any]) -> Predicate:
    """Take a predicate from a TOML table: with tiers it is an Order, with cases a More, else a Within.

    Raises:
        ValueError: the table is none; says why.
    """
    kind = Order if "tiers" in table else More if "cases" in table else Within
    keys = one_of([field.name for field in fields(kind)])
    try:
        return kind(**{keys(key): READERS[key](value) for key, value in table.items()})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{table}: {error}") from None


def weigh(predicates: Iterable[Predicate], evidence: Evidence) -> tuple[bool | None, tuple[Statement, ...]]:
    """Tell whether all predicates hold, and make all statements that they consist of."""
    parts = [_weigh(predicate, evidence) for predicate in predicates]
    return _all(holds for holds, _ in parts), tuple(statement for _, made in parts for statement in made)


def _weigh(predicate: Predicate, evidence: Evidence) -> tuple[bool | None, list[Statement]]:
    """Weigh one. That any so many hold of several, none of them named, takes stricter evidence.

    That all of some hold needs no correction. But where one too few hold, each of the others may seem to by chance.
    """
    groups = predicate.groups()
    wanted = predicate.enough or len(groups)
    evidence = evidence.stricter(len(groups) - wanted + 1)
    made = [[predicate.statement(evidence, *subjects) for subjects in group] for group in groups]
    holds = at_least(wanted, [_all(statement.holds for statement in group) for group in made])
    return holds, [statement for group in made for statement in group]


def _all(answers: Iterable[bool | None]) -> bool | None:
    found = list(answers)
    return at_least(len(found), found)


def _more(
    evidence: Evidence, quantity: Quantity, one: Subject, other: Subject, *, over_vanilla: bool = False
) -> Statement:
    if one.case == other.case:
        left, right = f"{named(one)} {quantity.name}", other.setup
    else:
        left = f"{one.setup} {quantity.name}{' over vanilla' if over_vanilla else ''}: {named(one.case)}"
        right = named(other.case)
    by_difference = quantity.scale is not Scale.RATIO
    return Statement(
        f"{left} {'-' if by_difference else '/'} {right}",
        "pp" if by_difference else "x",
        quantity.neutral,
        math.inf,
        evidence.contrast(quantity, one, other, over_vanilla=over_vanilla),
        strict=True,
    )


def named(subject: Subject | Case) -> str:
    """Name a subject or a case: read rw-tracer libbpf."""
    return " ".join(filter(None, subject))
