# SPDX-License-Identifier: Apache-2.0
"""What tuning came to, in a sentence: what is known is told as known, and what was merely seen as seen."""

from __future__ import annotations

from collections.abc import Iterator

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.questions.tuning.aim import DEFAULT, Bound
from bpfbench.analysis.questions.tuning.tuned import TunedSetup
from bpfbench.analysis.questions.tuning.unkept import Unkept
from bpfbench.analysis.questions.tuning.validation import Gain, Keeping, Validation
from bpfbench.report.documents.tuned import UNITS, called_by_knobs, level_field, word
from bpfbench.report.wording import listed
from bpfbench.units import plural, size


def headline(own: TunedSetup) -> str:
    """Say what a setup's tuning came to, in a sentence."""
    found = own.validation
    tried = plural(max(0, len(own.tried) - 1), "configuration")
    if found is None:
        if not own.is_searched:
            return f"{own.setup}: nothing can be compared with the default: {own.unsearched}."
        than = "than the default by more than the margin"
        return f"{own.setup}: no gain found. Of {tried}, none looked better {than}.{_unkept(own)}"
    limits = _limits(own)
    if failed := found.failed.get(found.chosen):
        who = called_by_knobs(own, own.configs[found.chosen])
        of = failed + found.trials.get(found.chosen, 0)
        return f"{own.setup}: no gain found: with {who}, {failed} of {plural(of, 'fresh trial')} did not end well."
    if found.rounds < ROUNDS_LEAST:
        return f"{own.setup}: not decided: it takes {ROUNDS_LEAST} fresh blocks, and there are {found.rounds}."
    called = _called(own, found.chosen)
    match found.gain:
        case Gain.KEEPS:
            return f"{own.setup}: with {called} it {_held(found, found.chosen, limits)}; the default is known not to."
        case Gain.BETTER:
            kept = _kept(found, limits)
            return f"{own.setup}: {called} is better than the default in {_better(found)}{kept}.{_unkept(own)}"
        case Gain.TRADE:
            kept, worse = _kept(found, limits), listed([word(need) for need in told(found, is_better=False)])
            traded = f"{called} is better than the default in {_better(found)}, and worse in {worse}"
            return f"{own.setup}: a trade: {traded}{kept}.{_unkept(own)}"
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
    return _unkept(own) or f" None of those that may be chosen kept to {limits} in each trial."


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


def _unkept(own: TunedSetup) -> str:
    """Say how near anything came to each limit, where nothing kept to all of them."""
    of = "Of those that may be chosen" if own.validation else "Of those that were tried"
    apart = [each for each in own.unkept if each.kept]
    said = [f"{of}, none kept to all limits at once."] if apart else []
    said += [_kept_alone(own, each) for each in apart]
    said += [f"{of}, {_unmet(own, each)}" for each in own.unkept if not each.kept]
    said += _kept_by_others(own, own.validation) if own.unkept and own.validation else ()
    return "".join(f" {sentence}" for sentence in said)


def _kept_alone(own: TunedSetup, found: Unkept) -> str:
    trials = "its only trial" if found.trials == 1 else f"all {found.trials} trials"
    return f"{_first(limit_in_words(found.limit))} alone was kept to in {trials} by {_called(own, found.name)}."


def _kept_by_others(own: TunedSetup, found: Validation) -> Iterator[str]:
    """Say who kept to all limits of those that were run for what a knob does, and cannot be chosen."""
    for knobs, name in found.last.backs.items():
        if name not in found.rivals and found.kept(name).holds:
            called = _first(called_by_knobs(own, own.configs[name]))
            held = _held(found, name, _limits(own))
            yield f"{called} is not one of them, but the best with {listed(knobs)} set back, and {held}."


def _unmet(own: TunedSetup, found: Unkept) -> str:
    """Say what the most was that anything saved, or the least that it took, where that is not enough."""
    need, limit, who = found.limit.need, limit_in_words(found.limit), _called(own, found.name)
    level = level_field(need, found.mean, found.level)
    known = found.trials >= ROUNDS_LEAST and found.level.ends is not None
    unit = "% of a CPU" if need.key == "cpu" else UNITS[need.key]
    said = f"{level.text} {unit} {level.detail}" if known else f"{level.text} {unit}"
    if found.is_missed:
        end = "ceiling" if need.by_points else "least"
        return f"none can keep to {limit}: the {end} is {said}, with {who}."
    end, trials = "most" if need.by_points else "least", plural(found.trials, "trial")
    return (
        f"none kept to {limit} in each trial: the {end} was {said}, with {who}, which kept to it in {found.within} of "
        f"{trials}."
    )


def _called(own: TunedSetup, name: str) -> str:
    return "the default" if name == DEFAULT else called_by_knobs(own, own.configs[name])


def told(found: Validation, *, is_better: bool) -> list[Need]:
    """Return the needs in which the chosen is known to be better, or worse, than the default."""
    return [need for need in found.aim.needs if found.told(need) is is_better]


def _better(found: Validation) -> str:
    return listed([word(need) for need in told(found, is_better=True)])


def _limits(own: TunedSetup) -> str:
    return listed([limit_in_words(limit) for limit in own.aim.limits])


def limit_in_words(limit: Bound) -> str:
    """Name a limit."""
    match limit.need.key:
        case "memory":
            return f"{size(round(limit.bound))} of memory"
        case "cpu":
            return f"{limit.bound:g} % of a CPU"
        case "delay":
            return f"{limit.bound:g} ms of delay by the settings"
        case _:
            return f"{limit.bound:g} % saved"
