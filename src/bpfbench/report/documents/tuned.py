# SPDX-License-Identifier: Apache-2.0
"""What is tuned, in tables: what a configuration is called, and its numbers as fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bpfbench.analysis import metrics
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.gaps import Gap
from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.questions.tuning.aim import DEFAULT
from bpfbench.analysis.questions.tuning.tuned import TunedSetup
from bpfbench.analysis.questions.tuning.validation import Validation
from bpfbench.factors import KNOBS
from bpfbench.model import TracerConfig
from bpfbench.report.document import ABSENT, Field
from bpfbench.report.numbers import rounded, share

WORDS = {
    "fidelity": "saved",
    "overhead": "runtime",
    "memory": "memory",
    "cpu": "CPU",
    "latency": "p99 latency",
    "delay": "delay by settings",
}
NOT_ASKED = 5
"""The importance of what is shown though nobody asked for it."""
UNITS = {"fidelity": "%", "memory": "MiB", "cpu": "% of one", "startup": "s", "delay": "ms"}


def mean_field(need: Need, values: Sequence[float]) -> Field:
    """Write a mean of values in the unit of a need's metric."""
    if not values:
        return Field(ABSENT)
    mean = sum(values) / len(values)
    return Field(share(mean) if need.by_points else rounded(mean / (2**20 if need.key == "memory" else 1), 2))


def word(need: Need) -> str:
    """Call it what it is measured by: overhead is the runtime, or beside a target with a rate what an I/O takes."""
    return "mean latency" if need.metric is metrics.LATENCY else WORDS.get(need.key, need.key)


def called_by_knobs(own: TunedSetup, config: TracerConfig) -> str:
    """Call a configuration by all that is tuned."""
    knobs = (KNOBS[name] for name in own.goal.knobs)
    return ", ".join(knob.called(getattr(config, knob.field)) for knob in knobs)


def from_to(knob: str, *configs: TracerConfig) -> list[str]:
    """Call the value of a knob in each of these."""
    row = KNOBS[knob]
    return [row.called(getattr(config, row.field)) for config in configs]


def need_fields(found: Validation, need: Need, name: str) -> Iterator[Field]:
    """Write what a configuration has of a need, and how that differs from the default's."""
    mean, level = found.means[need.key].get(name), found.levels[need.key].get(name)
    if need.key in UNITS:
        yield Field(ABSENT) if mean is None or level is None else level_field(need, mean, level)
    else:
        yield change_field(need, found.over_vanilla[need.key].get(name))
    yield Field(ABSENT) if name == DEFAULT else change_field(need, found.over_default[need.key].get(name))


def level_field(need: Need, mean: float, level: Interval) -> Field:
    """Write a mean in the unit of a need's metric, and what it may be."""
    unit = 2**20 if need.key == "memory" else 1
    write = share if need.by_points else lambda value: rounded(value / unit, 2)
    return Field(write(mean), detail=f"[{write(level.low)}, {write(level.high)}]")


def change_field(need: Need, gap: Gap | None) -> Field:
    """Write a change of the metric: `?` where nothing can be told yet, `~` where none is known."""
    return Field(ABSENT) if gap is None else ahead_field(need, gap.mean, gap.interval, gap.rounds)


def ahead_field(need: Need, mean: float, interval: Interval, rounds: int) -> Field:
    """Write the same of by how much something is ahead, on the scale of a need, after so many rounds."""
    changes = need.changes(interval)
    said = rounded(need.change(mean), 1, "+")
    if rounds < ROUNDS_LEAST:
        return Field(said, mark="?")
    if changes.ends is None:
        return Field(said, mark="~")
    told = changes.low > 0 or changes.high < 0
    between = f"[{rounded(changes.low, 1, '+')}, {rounded(changes.high, 1, '+')}]"
    return Field(said, detail=between, mark="" if told else "~")


def held(own: TunedSetup, found: Validation) -> Iterator[str]:
    """Say what part of the events is saved by the rings' mere size, and what that leaves for a longer target."""
    config = own.configs[found.chosen]
    percent, left = own.held_percent(config), shown_for_longer(own, found, found.chosen)
    if percent is not None and left is not None:
        yield (
            f"The rings of {called_by_knobs(own, config)} can hold {share(percent)} % of a trial's events, which are "
            f"saved however slow the tracer is. So no more than {share(left)} % saved is shown for a target that runs "
            "for longer; trials that are longer, by --scale, show more."
        )


def shown_for_longer(own: TunedSetup, found: Validation, name: str) -> float | None:
    """Return what share trials show to be saved of a target that runs for longer: the mean, less what rings hold."""
    percent, mean = own.held_percent(own.configs[name]), found.means["fidelity"].get(name)
    return None if percent is None or mean is None else max(0.0, mean - percent)
