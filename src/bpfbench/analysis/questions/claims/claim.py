# SPDX-License-Identifier: Apache-2.0
"""The claims of the paper's sections 3 and 4, as data/claims.toml has them and says how."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from bpfbench import catalogue
from bpfbench.analysis.questions.claims.predicate import Predicate, read


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
    read_all = {
        name: {**entry, "holds": tuple(map(read, entry["holds"]))} for name, entry in catalogue.claims().items()
    }
    return tuple(Claim(id=name, **entry) for name, entry in read_all.items())
