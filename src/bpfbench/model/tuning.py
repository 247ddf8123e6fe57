# SPDX-License-Identifier: Apache-2.0
"""Tuning: what is wanted of a configuration, and which of those that were tried are validated."""

from __future__ import annotations

from dataclasses import dataclass

from bpfbench.model.factors import TracerConfig

TUNING_FORMAT = 1
PLACES = 4
"""Configurations in a block of the search, beside the default."""
NEAREST = 2
"""Others that are validated beside the best: of the front, as long as it has some."""
VANILLA_TRIALS = 2
"""In each block."""
SEARCH_TRIALS = VANILLA_TRIALS + 1 + PLACES
"""In a block of the search."""
HELD_MOST = 0.1
"""The share of a trial's events that rings may hold. What they hold is saved, however slow the tracer is: so much less
may be saved of a target that runs for longer."""


def validation_trials(knobs: int) -> int:
    """Return how many trials a block of the validation has at most: with the default and the best, that set back."""
    return VANILLA_TRIALS + 2 + NEAREST + knobs


@dataclass(frozen=True, slots=True)
class TuningGoal:
    """What is wanted."""

    minimise: tuple[str, ...]
    """Qualities, the most wanted first."""
    min_fidelity_percent: float
    max_memory_bytes: float | None
    """Of the tracer's own processes; None: whatever they take."""
    max_cpu_percent: float | None
    """The same, of one CPU."""
    knobs: tuple[str, ...]
    """Factors that are varied."""
    seconds: float
    """For how long each setup is tuned, validation included."""
    max_delay_ms: float | None = None
    """How long the settings may let an event wait, by arithmetic (`TracerConfig.delay_ms`)."""


@dataclass(frozen=True, slots=True)
class Finalists:
    """Who is validated of a setup, in fresh blocks."""

    setup: str
    first_block: int
    """The first of these blocks; whatever was before it is what they were chosen by."""
    best: TracerConfig
    nearest: tuple[TracerConfig, ...]


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a run tunes."""

    format: int
    goal: TuningGoal
    usual: dict[str, TracerConfig]
    """By setup: the default configuration, which all others are compared with."""
    finalists: tuple[Finalists, ...] = ()
    """Of the setups whose search is over."""
    ring_bytes_most: int | None = None
    """What all rings of a tracer may take together; None: as much as each may by itself."""
    cpus: int = 1
    """Of the machine, each of which may have a ring."""
    events_per_s: float | None = None
    """At which rate they come; None where only trials tell."""

    def allows(self, config: TracerConfig) -> bool:
        """Tell whether a configuration may be tried."""
        return self.has_room(config) and self.delivers(config)

    def has_room(self, config: TracerConfig) -> bool:
        """Tell whether its rings are no larger than they may be."""
        return self.ring_bytes_most is None or config.ring_bytes(self.cpus) <= self.ring_bytes_most

    def delivers(self, config: TracerConfig) -> bool:
        """Tell whether it lets no event wait too long, as far as that is known before it is tried.

        A default may: all others are compared with it, and that it misses a limit is what comes of it.
        """
        most = self.goal.max_delay_ms
        known = most is None or config.delay_ms(self.events_per_s, self.cpus) <= most
        return known or config in self.usual.values()

    def of(self, setup: str) -> Finalists | None:
        """Return who is validated of a setup; None as long as it is searched."""
        return next((own for own in self.finalists if own.setup == setup), None)
