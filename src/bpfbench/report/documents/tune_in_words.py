# SPDX-License-Identifier: Apache-2.0
"""What tuning came to, in a sentence: what is known is told as known, and what was merely seen as seen."""

from __future__ import annotations

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.questions.tuning.aim import DEFAULT
from bpfbench.analysis.questions.tuning.tuned import TunedSetup
from bpfbench.analysis.questions.tuning.validation import Gain, Keeping, Validation
from bpfbench.report.documents.tuned import called_by_knobs, word
from bpfbench.report.numbers import share
from bpfbench.report.wording import listed
from bpfbench.units import plural, size


def headline(own: TunedSetup) -> str:
    """Say what a setup's tuning came to, in a sentence."""
    found = own.validation
    tried = plural(max(0, len(own.tried) - 1), "configuration")
    if found is None:
        if not own.is_searched:
            return f"{own.setup}: nothing can be compared with the default: {own.unsearched}."
        return f"{own.setup}: no gain found. Of {tried}, none looked better than the default by more than the margin."
    limits = _limits(own)
    if failed := found.failed.get(found.chosen):
        who = called_by_knobs(own, own.configs[found.chosen])
        of = failed + found.trials.get(found.chosen, 0)
        return f"{own.setup}: no gain found: with {who}, {failed} of {plural(of, 'fresh trial')} did not end well."
    if found.rounds < ROUNDS_LEAST:
        return f"{own.setup}: not decided: it takes {ROUNDS_LEAST} fresh blocks, and there are {found.rounds}."
    called = "the default" if found.chosen == DEFAULT else called_by_knobs(own, own.configs[found.chosen])
    match found.gain:
        case Gain.KEEPS:
            return f"{own.setup}: with {called} it {_held(found, found.chosen, limits)}; the default is known not to."
        case Gain.BETTER:
            kept = _kept(found, limits)
            return f"{own.setup}: {called} is better than the default in {_better(found)}{kept}.{_ceiling(own, found)}"
        case Gain.TRADE:
            kept, worse = _kept(found, limits), listed([word(need) for need in told(found, is_better=False)])
            traded = f"{called} is better than the default in {_better(found)}, and worse in {worse}"
            return f"{own.setup}: a trade: {traded}{kept}.{_ceiling(own, found)}"
        case _:
            return f"{own.setup}: no gain found in {plural(found.rounds, 'fresh block')}.{_why(own, found, called)}"


def _why(own: TunedSetup, found: Validation, called: str) -> str:
    """Say what stands against a gain."""
    limits, usual, its = _limits(own), found.kept(DEFAULT), found.kept(found.chosen)
    if found.chosen == DEFAULT:
        return f" What looked best misses {limits}; the default {_held(found, DEFAULT, 'them')}."
    if usual.holds and not its.holds:
        kept = f"{found.within[found.chosen]} of {plural(found.trials[found.chosen], 'fresh trial')}"
        return f" {_first(called)} kept to {limits} in {kept}; the default {_held(found, DEFAULT, 'them')}."
    if usual.holds:
        return f" The default {_held(found, DEFAULT, limits)}."
    if its.holds:
        rest = "misses them" if usual is Keeping.MISSED else "does"
        more = "by how much the default" if usual is Keeping.MISSED else "whether the default"
        return f" {_first(called)} {_held(found, found.chosen, limits)}; {more} {rest}, so few blocks do not tell."
    return _ceiling(own, found) or f" Nothing that was validated kept to {limits} in each trial."


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _held(found: Validation, name: str, limits: str) -> str:
    """Say that a configuration keeps to limits, where that is known, or else in how many trials it did."""
    if found.kept(name) is Keeping.KNOWN:
        return f"is known to keep to {limits}"
    return f"kept to {limits} in all {plural(found.trials[name], 'fresh trial')}"


def _kept(found: Validation, limits: str) -> str:
    own = found.kept(found.chosen)
    if own.holds:
        also = ", as did the default" if found.kept(DEFAULT).holds else ""
        return f"; it {_held(found, found.chosen, limits)}{also}"
    if own is Keeping.MISSED:
        return f"; neither keeps to {limits}"
    trials = plural(found.trials[found.chosen], "fresh trial")
    return f"; it kept to {limits} in {found.within[found.chosen]} of {trials}"


def _ceiling(own: TunedSetup, found: Validation) -> str:
    """Say what the most was that anything saved, where nothing saves enough."""
    limit = found.aim.limits[0]
    levels = found.levels[limit.need.key]
    if any(limit.told(levels.get(name, Interval())) is not False for name in (DEFAULT, *_found(found))):
        return ""
    best = max((DEFAULT, *_found(found)), key=found.means[limit.need.key].__getitem__)
    level = found.levels[limit.need.key][best]
    return (
        f" No configuration that was validated can save {limit.bound:g} %: the ceiling is "
        f"{share(found.means[limit.need.key][best])} % [{share(level.low)}, {share(level.high)}], with "
        f"{called_by_knobs(own, own.configs[best])}."
    )


def _found(found: Validation) -> tuple[str, ...]:
    """Return those that may be chosen."""
    return tuple(dict.fromkeys((found.last.best, *found.last.nearest)))


def told(found: Validation, *, is_better: bool) -> list[Need]:
    """Return the needs in which the chosen is known to be better, or worse, than the default."""
    return [need for need in found.aim.needs if found.told(need) is is_better]


def _better(found: Validation) -> str:
    return listed([word(need) for need in told(found, is_better=True)])


def _limits(own: TunedSetup) -> str:
    goal = own.goal
    said = [f"{goal.min_fidelity_percent:g} % saved"]
    if goal.max_memory_bytes is not None:
        said.append(f"{size(round(goal.max_memory_bytes))} of memory")
    if goal.max_cpu_percent is not None:
        said.append(f"{goal.max_cpu_percent:g} % of a CPU")
    if goal.max_delay_ms is not None:
        said.append(f"{goal.max_delay_ms:g} ms of delay by the settings")
    return listed(said)
