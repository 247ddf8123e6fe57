# SPDX-License-Identifier: Apache-2.0
"""The answer in three sentences, the noise it stands against, and the words that its tables share with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bpfbench.analysis import metrics
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.decision import Outcome
from bpfbench.analysis.questions.needs import (
    LATENCY,
    MEMORY,
    OVERHEAD,
    STARTUP,
    AllRound,
    Answer,
    Answers,
    AtRate,
    Need,
)
from bpfbench.analysis.questions.preference import among_equals
from bpfbench.report import wording
from bpfbench.report.documents.preference import step
from bpfbench.report.numbers import rounded, share
from bpfbench.report.quantities import BY_METRIC
from bpfbench.report.wording import listed
from bpfbench.units import count, plural

WIDE = 1000.0
"""Changes beyond which no figure means anything."""


def of(found: Answers) -> Iterator[str]:
    """Say the answer in three sentences: who is good all round, what tracing costs, what else tells setups apart."""
    by_need = {answer.need: answer for answer in found.needs}
    if setup := only_setup(found):
        yield from _said_alone(setup, by_need, found.all_round)
        return
    if found.all_round is not None:
        yield _said_all_round(found, found.all_round)
    if found.costs is not None:
        yield f"{found.costs.need.title}: {_said(found.costs)}{then(found, found.costs, '; of these, ')}."
    decided = [
        f"{need.title.lower()}: {_said(by_need[need])}"
        for need in (MEMORY, STARTUP)
        if need in by_need and by_need[need].decision.named
    ]
    if decided:
        text = "; ".join(decided)
        yield f"{text[0].upper()}{text[1:]}."
    elif MEMORY in by_need or STARTUP in by_need:
        yield "Neither memory nor start-up names anybody yet."


def _said_alone(setup: str, by_need: Mapping[Need, Answer], all_round: AllRound | None) -> Iterator[str]:
    """The three sentences of a run with one setup: what it saves, what it costs, and what it takes."""
    if all_round is not None:
        fastest, highest = all_round.rates[0], all_round.highest(setup)
        floor = f"{fastest.floor_percent:g} %"
        saved = f"Where it saves least, {setup} saves {share(fastest.least[setup])} % of the events {at_rate(fastest)}"
        if highest is not None:
            yield f"{saved}; it {_saves([setup], highest)} {floor} {at_rate(highest)}{_each([setup], highest)}."
        elif fastest.saved[setup].high < fastest.floor_percent:
            yield f"{saved}; that is less than {floor}."
        else:
            yield f"{saved}; whether that is {floor} cannot be told yet."
    for needs in ((OVERHEAD, LATENCY), (MEMORY, STARTUP)):
        found = (by_need[need] for need in needs if need in by_need)
        if said := [f"{gets(answer, [setup])}{known(answer, setup)}" for answer in found]:
            yield f"{setup}: {'; '.join(said)}."


def known(answer: Answer, setup: str) -> str:
    """What is known of what a setup comes to over vanilla, behind it."""
    over = answer.worth[setup].over_vanilla
    if over is None:
        return ""
    if over.interval.high == float("inf"):
        return " (nothing can be told yet)"
    ends = answer.need.changes(over.interval)
    return f" (95 % interval {from_to(change(answer, ends.low), change(answer, ends.high))})"


def only_setup(found: Answers) -> str | None:
    """The setup that a run is about, if there is only one."""
    setups = {setup for answer in found.needs for setup in answer.decision.whole.order}
    return setups.pop() if len(setups) == 1 else None


def noise(found: Answers) -> Iterator[str]:
    """Say what a run makes of nothing, and what it cannot see."""
    if (answer := found.costs) is None:
        return
    said = []
    if answer.noise is not None:
        mean = f", in {over_cases(answer)} of a round" if len(answer.decision.contested) > 1 else ""
        said.append(f"vanilla against itself varied by ± {percent(answer.noise)} here{mean}")
    rounds, reach, what = _rounds_of(answer), smallest(answer), BY_METRIC[answer.need.metric].title
    if reach is not None:
        said.append(f"differences in {what} below {percent(reach)} cannot be seen in {plural(rounds, 'round')}")
    elif rounds < ROUNDS_LEAST:
        said.append(f"nothing can be told from fewer than {ROUNDS_LEAST} rounds, and this run has {rounds}")
    if said:
        yield f"Noise: {'; '.join(said)}."


def smallest(answer: Answer) -> float | None:
    """Return, on the need's scale, the median reach of the intervals between setups; None where there is none.

    Of a run with one setup, the reach of its interval over vanilla.
    """
    over = [own.over_vanilla for own in answer.worth.values() if own.over_vanilla]
    gaps = answer.decision.whole.gaps.values() or over
    found = sorted((gap.interval.high - gap.interval.low) / 2 for gap in gaps)
    return found[len(found) // 2] if found and found[len(found) // 2] < float("inf") else None


def _rounds_of(answer: Answer) -> int:
    """How many rounds a need has: those in which setups were compared, or one with vanilla."""
    over = [own.over_vanilla.rounds for own in answer.worth.values() if own.over_vanilla]
    return answer.decision.rounds if len(answer.worth) > 1 else min(over, default=0)


def percent(ahead: float) -> str:
    """Write being ahead by a ratio as per cent."""
    change = OVERHEAD.change(-ahead)
    return f"{change:.0f} %" if change >= 10 else f"{change:.1f} %"


def _said(answer: Answer) -> str:
    """The answer of one need, in half a sentence."""
    decision = answer.decision
    match decision.outcome:
        case Outcome.ALONE:
            return f"{decision.leader} ({gets(answer, [decision.leader])})"
        case Outcome.BEST | Outcome.EQUAL:
            everyone = len(decision.named) == len(decision.whole.order) > 2
            who = "all" if everyone else listed(decision.named)
            return f"{who}{_within(answer)} ({gets(answer, decision.named)})"
        case Outcome.DEPENDS:
            return f"it depends on the case; {decision.leader} has the best mean"
        case _:
            out = listed(sorted(decision.whole.ruled_out))
            but = f"; ruled out: {out}" if out else ""
            return f"undecided; {decision.leader} has the best mean ({gets(answer, [decision.leader])}){but}"


def then(found: Answers, answer: Answer, before: str) -> str:
    """What else decides between those that are equal in a need."""
    return "".join(
        f"{before if not at else '; '}{step(own, own.left)}" for at, own in enumerate(among_equals(found, answer))
    )


def _within(answer: Answer) -> str:
    if answer.decision.outcome is not Outcome.EQUAL:
        return ""
    return " are equal in each trial" if answer.alike else f" are equal within {margin(answer)}"


def margin(answer: Answer) -> str:
    """Write up to which differences do not matter."""
    unit = "points" if answer.need.by_points else "%"
    return f"{answer.margin:g} {'point' if answer.need.by_points and answer.margin == 1 else unit}"


def over_cases(answer: Answer) -> str:
    """Say of how many cases a need has the mean."""
    cases = len(answer.decision.contested)
    return "1 case" if cases == 1 else f"the mean of {cases} cases"


def change(answer: Answer, value: float) -> str:
    """Write a change of what a need is about."""
    unit = " points" if answer.need.by_points else " %"
    if abs(value) >= WIDE:
        return f"{'> +' if value > 0 else '< -'}{WIDE:.0f}{unit}"
    return f"{rounded(value, 0 if abs(value) >= 100 else 1, '+')}{unit}"


def from_to(low: str, high: str) -> str:
    """Write two ends, or what they both are."""
    return low if low == high else f"{low} to {high}"


def gets(answer: Answer, setups: Iterable[str]) -> str:
    """What setups come to: the change against vanilla where that is what matters, else from the best to the worst."""
    worth = [answer.worth[own] for own in setups]
    quantity = BY_METRIC[answer.need.metric]
    if answer.need.metric in (metrics.RUNTIME, metrics.LATENCY):
        means = sorted(answer.need.change(own.over_vanilla.mean) for own in worth if own.over_vanilla)
        if not means:
            return "no vanilla to compare with"
        return f"{quantity.title} {from_to(change(answer, means[0]), change(answer, means[-1]))} over vanilla"
    low, high = min(own.low for own in worth), max(own.high for own in worth)
    if answer.need.metric is metrics.SAVED_PERCENT:
        return f"{from_to(share(low), share(high))} % of events saved"
    return f"{quantity.title} {from_to(quantity.number(low), quantity.number(high))} {quantity.unit}"


def _said_all_round(whole: Answers, found: AllRound) -> str:
    fastest = found.rates[0]
    enough = f"{fastest.floor_percent:g} % of the events"
    if any(own.configured_apart for own in found.rates):
        enough += " in each configuration"
    if found.answer is None or found.at is None:
        slowest = found.rates[-1]
        if len(slowest.open) == len(slowest.saved):
            return f"Who saves {enough} {at_rate(slowest)} cannot be told yet."
        if not slowest.open:
            return f"Nobody saves {enough} {at_rate(slowest)}."
        unclear = f"of {listed(slowest.open)} it cannot be told"
        return f"Nobody is known to save {enough} {at_rate(slowest)}; {unclear}."
    at, cheapest = found.at, f"{_said(found.answer)}{then(whole, found.answer, '; of these, ')}"
    if at is fastest and len(at.holding) == 1:
        alone = gets(found.answer, at.holding)
        return (
            f"{at.holding[0]} alone {_saves(at.holding, at)} {enough} {at_rate(at)}{_each(at.holding, at)} ({alone})."
        )
    if at is fastest:
        return f"{listed(at.holding)} save {enough} {at_rate(at)}{_each(at.holding, at)}; cheapest: {cheapest}."
    nor = [fastest, *(own for own in found.rates[1 : found.rates.index(at)] if wording.bursts(own.pace))]
    nobody = f"Nobody is known to save {enough} {', nor '.join(map(at_rate, nor))}"
    if len(at.holding) == len(fastest.saved):
        return f"{nobody}; {at_rate(at)} all do{_each(at.holding, at)}, the cheapest: {cheapest}."
    return f"{nobody}; {_by_rate(found)}."


def _by_rate(found: AllRound) -> str:
    """Who is known to save enough, by the highest rate at which each is."""
    setups = found.rates[0].saved
    groups = [(rate, [own for own in setups if found.highest(own) is rate]) for rate in (*found.rates, None)]
    said = (f"{at_rate(rate) if rate else 'at no rate'} {listed(names)}" for rate, names in groups if names)
    in_each = all(set(names) <= set(rate.in_each) for rate, names in groups if rate)
    return f"each up to the rate{', in each trial' if in_each else ''}: {', '.join(said)}"


def at_rate(at: AtRate) -> str:
    """Say at which rate of events."""
    if at.pace.rate_iops is None:
        return f"at full speed ({count(at.events_per_s)} events/s)"
    return f"at {count(at.events_per_s)} events/s{wording.bursts(at.pace)}"


def _saves(names: Sequence[str], at: AtRate) -> str:
    """Say that one saves so much: it is known, or a fact about each of its trials."""
    return "saves" if set(names) <= set(at.in_each) else "is known to save"


def _each(names: Sequence[str], at: AtRate) -> str:
    """Say of whom no more is known than that they saved enough in each trial."""
    in_each = [own for own in names if own in at.in_each]
    if not in_each:
        return ""
    return ", in each trial" if len(in_each) == len(names) else f", {listed(in_each)} in each trial"
