# SPDX-License-Identifier: Apache-2.0
"""Claims of the paper's sections 3 and 4: statements on contestants, each true, false, not to be told, or without data.

data/claims.toml has them, and says how. Who is said to have more must be told apart: a tie is neither true nor false,
however well it is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from itertools import combinations, product
from typing import Any, TypeAlias

from bpfbench import catalogue
from bpfbench.analysis.questions.claims.witness import (
    MEASURES,
    PAPER_SETUPS,
    Contestant,
    Known,
    Measure,
    Missing,
    Scale,
    Task,
    Witness,
    at_least,
)
from bpfbench.model import PAPER_TOOLS, VANILLA, Tool
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


Groups: TypeAlias = list[list[tuple[Contestant, ...]]]
"""What statements are made of: a contestant, or two that are compared. A group is true if all of its statements are."""


@dataclass(frozen=True, slots=True)
class Within:
    """A measure lies within limits, of each contestant or of enough of them: a share itself, all else over vanilla's.

    Where the hook makes up as much of it as the library, other hooks than the paper's say nothing about it.
    """

    measure: Measure
    workloads: tuple[str, ...]
    tools: tuple[Tool, ...]
    setups: tuple[str, ...] = PAPER_SETUPS
    low: float = -math.inf
    high: float = math.inf
    slack: float = 1.0
    """By this factor the limits are farther out."""
    enough: int | None = None
    """How many contestants it must hold of; None: all."""

    def groups(self) -> Groups:
        """Return a group for each contestant."""
        return [[(Contestant(*found),)] for found in product(self.workloads, self.tools, self.setups)]

    def statement(self, witness: Witness, contestant: Contestant) -> Statement:
        """Make the statement on a contestant."""
        name, low, high = f"{named(contestant)} {self.measure.name}", self.low / self.slack, self.high * self.slack
        if self.measure.scale is Scale.DIFFERENCE:
            return Statement(name, "%", low, high, witness.level(self.measure, contestant))
        of_the_hook = self.measure.hooked and contestant.tool is not Tool.SYSCOUNT and not witness.kprobes
        found: Known | Missing = Missing("kprobes")
        if not of_the_hook:
            found = witness.contrast(self.measure, contestant, contestant.vanilla, over_vanilla=False)
        return Statement(f"{name} / vanilla", "x", low, high, found)


@dataclass(frozen=True, slots=True)
class Ranking:
    """At each task, or in enough of them, every setup of a tier has more than every setup of a later tier."""

    measure: Measure
    workloads: tuple[str, ...]
    tools: tuple[Tool, ...]
    tiers: tuple[tuple[str, ...], ...]
    enough: int | None = None
    """How many tasks it must hold at; None: all."""

    def groups(self) -> Groups:
        """Return a group for each task: each pair of setups of different tiers."""
        listed = {setup for tier in self.tiers for setup in tier}
        rest = tuple(setup for setup in PAPER_SETUPS if setup not in listed)
        tiers = [rest if tier == (REST,) else tier for tier in self.tiers]
        pairs = [pair for earlier, later in combinations(tiers, 2) for pair in product(earlier, later)]
        return [
            [(Contestant(*task, one), Contestant(*task, other)) for one, other in pairs]
            for task in product(self.workloads, self.tools)
        ]

    def statement(self, witness: Witness, one: Contestant, other: Contestant) -> Statement:
        """Make the statement on two setups."""
        return _more(witness, self.measure, one, other)


@dataclass(frozen=True, slots=True)
class More:
    """Each setup has more at a task than it has at a later one."""

    measure: Measure
    tasks: tuple[Task, ...]
    setups: tuple[str, ...] = PAPER_SETUPS
    over_vanilla: bool = False
    """Compare the factors over vanilla."""
    enough: None = None

    def groups(self) -> Groups:
        """Return one group: each pair of tasks, of each setup."""
        pairs = combinations(self.tasks, 2)
        return [[(Contestant(*one, s), Contestant(*other, s)) for one, other in pairs for s in self.setups]]

    def statement(self, witness: Witness, one: Contestant, other: Contestant) -> Statement:
        """Make the statement on a setup at two tasks."""
        return _more(witness, self.measure, one, other, over_vanilla=self.over_vanilla)


Predicate: TypeAlias = Within | Ranking | More


READERS: Mapping[str, Reader] = {
    "measure": lambda key: MEASURES[one_of(tuple(MEASURES))(key)],
    "workloads": several(one_of(tuple(catalogue.WORKLOADS))),
    "tools": several(one_of(PAPER_TOOLS)),
    "setups": several(one_of((*PAPER_SETUPS, VANILLA))),
    "tiers": lambda tiers: tuple(map(several(one_of((*PAPER_SETUPS, REST))), tiers)),
    "tasks": lambda tasks: tuple(Task(workload, *map(one_of(PAPER_TOOLS), tool)) for workload, *tool in tasks),
    **dict.fromkeys(("low", "high", "slack"), number(0, math.inf)),
    "enough": whole(1),
    "over_vanilla": flag,
}


def read(table: Mapping[str, Any]) -> Predicate:
    """Take a predicate from a TOML table: with tiers it is a Ranking, with tasks a More, else a Within.

    Raises:
        ValueError: the table is none; says why.
    """
    kind = Ranking if "tiers" in table else More if "tasks" in table else Within
    keys = one_of([field.name for field in fields(kind)])
    try:
        return kind(**{keys(key): READERS[key](value) for key, value in table.items()})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{table}: {error}") from None


@dataclass(frozen=True, slots=True)
class Claim:
    """What the paper found."""

    id: str
    section: str
    text: str
    holds: tuple[Predicate, ...]
    """All of them must."""
    contradicted: str | None = None
    """By which of its own numbers the paper contradicts it; None for all it does not."""
    unprinted: str | None = None
    """What the paper prints too little of to tell by its own numbers; None where it prints enough."""


@cache
def claims() -> tuple[Claim, ...]:
    """Return all claims, in the order of the paper's text."""
    found = catalogue.claims().items()
    return tuple(Claim(name, **entry | {"holds": tuple(map(read, entry["holds"]))}) for name, entry in found)


@dataclass(frozen=True, slots=True)
class Remark:
    """What can be said of a statement of the paper's without any run; counted in no verdict."""

    id: str
    section: str
    statement: str
    """What the paper says."""
    remark: str


def remarks(paper: Mapping[str, Any]) -> tuple[Remark, ...]:
    """Return all of them; `paper` is data/paper.toml."""
    return tuple(Remark(**own) for own in paper["remarks"])


def weigh(predicates: Iterable[Predicate], witness: Witness) -> tuple[bool | None, tuple[Statement, ...]]:
    """Tell whether all predicates hold, and make all statements that they consist of."""
    parts = [_weigh(predicate, witness) for predicate in predicates]
    return _all(holds for holds, _ in parts), tuple(statement for _, made in parts for statement in made)


def _weigh(predicate: Predicate, witness: Witness) -> tuple[bool | None, list[Statement]]:
    """Weigh one. That any so many hold of several, none of them named, takes stricter evidence.

    That all of some hold needs no correction. But where one too few hold, each of the others may seem to by chance.
    """
    groups = predicate.groups()
    wanted = predicate.enough or len(groups)
    witness = witness.stricter(len(groups) - wanted + 1)
    made = [[predicate.statement(witness, *contestants) for contestants in group] for group in groups]
    holds = at_least(wanted, [_all(statement.holds for statement in group) for group in made])
    return holds, [statement for group in made for statement in group]


def _all(answers: Iterable[bool | None]) -> bool | None:
    found = list(answers)
    return at_least(len(found), found)


def _more(
    witness: Witness, measure: Measure, one: Contestant, other: Contestant, *, over_vanilla: bool = False
) -> Statement:
    if one.task == other.task:
        left, right = f"{named(one)} {measure.name}", other.setup
    else:
        left = f"{one.setup} {measure.name}{' over vanilla' if over_vanilla else ''}: {named(one.task)}"
        right = named(other.task)
    by_difference = measure.scale is not Scale.RATIO
    return Statement(
        f"{left} {'-' if by_difference else '/'} {right}",
        "pp" if by_difference else "x",
        measure.neutral,
        math.inf,
        witness.contrast(measure, one, other, over_vanilla=over_vanilla),
        strict=True,
    )


def named(contestant: Contestant | Task) -> str:
    """Name a contestant or a task: read rw-tracer libbpf."""
    return " ".join(filter(None, contestant))
