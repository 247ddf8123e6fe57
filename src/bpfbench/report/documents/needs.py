# SPDX-License-Identifier: Apache-2.0
"""The answer in words: which setup for which need, how sure that is, and what would decide what is open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bpfbench.analysis import metrics
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.decision import Gap, Outcome, Standing
from bpfbench.analysis.questions.needs import (
    LATENCY,
    MEMORY,
    OVERHEAD,
    STARTUP,
    AllRound,
    Answer,
    Answers,
    AtRate,
    Contest,
    Need,
)
from bpfbench.report import wording
from bpfbench.report.document import (
    ABSENT,
    Block,
    Bullets,
    Chapter,
    Code,
    Document,
    Field,
    Heading,
    Paragraph,
    Table,
    texts,
)
from bpfbench.report.figures.answer import overview
from bpfbench.report.numbers import rounded, share
from bpfbench.report.quantities import BY_METRIC
from bpfbench.units import count, duration, plural

UNDECIDED = "Undecided"
DEPENDS = "Depends on the case"
WIDE = 1000.0
"""Changes beyond which no figure means anything."""


def document(found: Sequence[Answers], run: str, round_s: float | None = None) -> Document:
    """Describe what to choose, and how to decide what is open.

    Args:
        found: one of each kernel.
        run: how the run is called on a command line.
        round_s: how long a round of it takes; None where that is unknown.
    """
    return tuple(_blocks(found, run, round_s))


def _blocks(found: Sequence[Answers], run: str, round_s: float | None) -> Iterator[Block]:
    for own in found:
        if len(found) > 1:
            yield Heading(f"Linux {own.kernel}")
        yield from (Paragraph(text, "lead") for text in sentences(own))
        if picture := overview(own):
            yield picture
        yield from (Paragraph(text, "fine") for text in noise(own))
        if setup := _only(own):
            rows = [_alone(answer) for answer in own.needs]
            columns = texts("What", "It comes to", "How sure")
            yield Table(columns, tuple(rows), title=f"What {setup} comes to", leads=True)
        else:
            rows = [_row(answer, round_s) for answer in own.needs]
            rows += [_all_round(own.all_round, round_s)] if own.all_round else []
            columns = texts("You need", "Choose", "What it gets you", "How sure")
            yield Table(columns, tuple(rows), title="Which setup for which need", leads=True)
        yield Paragraph("What loses events is cheap to run: read overhead together with fidelity.", "fine")
        if not setup:
            yield Chapter("Case by case", (cases(own),), folded=True)
    yield from _to_decide(found, run)


def brief(found: Sequence[Answers], run: str) -> Iterator[Block]:
    """Say the answer in sentences, how much noise there was, and how to decide what is open."""
    for own in found:
        if len(found) > 1:
            yield Heading(f"Linux {own.kernel}")
        yield Bullets((*sentences(own), *noise(own)))
    yield from _to_decide(found, run)


def _to_decide(found: Sequence[Answers], run: str) -> Iterator[Block]:
    if not any(answer.decision.outcome is Outcome.UNDECIDED for own in found for answer in own.needs):
        return
    yield Paragraph("To decide what is open, as far as it can be:")
    yield Code((f"bpfbench run --resume {run} --until decided",))


def sentences(found: Answers) -> Iterator[str]:
    """Say the answer in three sentences: who is good all round, what tracing costs, what else tells setups apart."""
    by_need = {answer.need: answer for answer in found.needs}
    if setup := _only(found):
        yield from _said_alone(setup, by_need, found.all_round)
        return
    if found.all_round is not None:
        yield _said_all_round(found.all_round)
    if found.costs is not None:
        yield f"{found.costs.need.title}: {_said(found.costs)}."
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
        saved = f"Where it saves least, {setup} saves {share(fastest.least[setup])} % of the events {_rate(fastest)}"
        if highest is not None:
            yield f"{saved}; it is known to save {floor} {_rate(highest)}."
        elif fastest.saved[setup].high < fastest.floor_percent:
            yield f"{saved}; that is less than {floor}."
        else:
            yield f"{saved}; whether that is {floor} cannot be told yet."
    for needs in ((OVERHEAD, LATENCY), (MEMORY, STARTUP)):
        known = (by_need[need] for need in needs if need in by_need)
        if said := [f"{_gets(answer, [setup])}{_known(answer, setup)}" for answer in known]:
            yield f"{setup}: {'; '.join(said)}."


def _known(answer: Answer, setup: str) -> str:
    """What is known of what a setup comes to over vanilla, behind it."""
    over = answer.worth[setup].over_vanilla
    if over is None:
        return ""
    if over.interval.high == float("inf"):
        return " (nothing can be told yet)"
    ends = answer.need.changes(over.interval)
    return f" (95 % interval {_from_to(_change(answer, ends.low), _change(answer, ends.high))})"


def _only(found: Answers) -> str | None:
    """The setup that a run is about, if there is only one."""
    setups = {setup for answer in found.needs for setup in answer.decision.whole.order}
    return setups.pop() if len(setups) == 1 else None


def noise(found: Answers) -> Iterator[str]:
    """Say what a run makes of nothing, and what it cannot see."""
    if (answer := found.costs) is None:
        return
    said = [] if answer.noise is None else [f"vanilla against itself varied by ± {_percent(answer.noise)} here"]
    rounds, reach, what = _rounds_of(answer), smallest(answer), BY_METRIC[answer.need.metric].title
    if reach is not None:
        said.append(f"differences in {what} below {_percent(reach)} cannot be seen in {plural(rounds, 'round')}")
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


def _percent(ahead: float) -> str:
    change = OVERHEAD.change(-ahead)
    return f"{change:.0f} %" if change >= 10 else f"{change:.1f} %"


def _said(answer: Answer) -> str:
    """The answer of one need, in half a sentence."""
    decision = answer.decision
    match decision.outcome:
        case Outcome.ALONE:
            return f"{decision.leader} ({_gets(answer, [decision.leader])})"
        case Outcome.BEST | Outcome.EQUAL:
            everyone = len(decision.named) == len(decision.whole.order) > 2
            who = "all" if everyone else _listed(decision.named)
            return f"{who}{_within(answer)} ({_gets(answer, decision.named)})"
        case Outcome.DEPENDS:
            return f"it depends on the case; {decision.leader} has the best mean"
        case _:
            out = _listed(sorted(decision.whole.ruled_out))
            but = f"; ruled out: {out}" if out else ""
            return f"undecided; {decision.leader} has the best mean ({_gets(answer, [decision.leader])}){but}"


def _within(answer: Answer) -> str:
    return f" are equal within {_margin(answer)}" if answer.decision.outcome is Outcome.EQUAL else ""


def _margin(answer: Answer) -> str:
    unit = "points" if answer.need.by_points else "%"
    return f"{answer.margin:g} {'point' if answer.need.by_points and answer.margin == 1 else unit}"


def _row(answer: Answer, round_s: float | None) -> tuple[Field, ...]:
    decision = answer.decision
    others = [own for own in decision.whole.order if own not in (decision.named or decision.possible)]
    beside = f"the others: {_gets(answer, others)}" if others else ""
    gets = Field(_gets(answer, decision.named or decision.possible), beside)
    return Field(answer.need.title), _choose(answer), gets, Field(_sure(answer, round_s))


def _alone(answer: Answer) -> tuple[Field, ...]:
    """The row of a need in a run with one setup."""
    setup = answer.decision.leader
    over = answer.worth[setup].over_vanilla
    rounds = "" if over is None else f"{plural(over.rounds, 'round')} of {_mean_of(answer)}"
    sure = f"against vanilla{_known(answer, setup)}, {rounds}" if rounds else ""
    what = answer.need.title.partition(" ")[2]
    return Field(f"{what[0].upper()}{what[1:]}"), Field(_gets(answer, [setup])), Field(sure)


def _choose(answer: Answer) -> Field:
    decision = answer.decision
    match decision.outcome:
        case Outcome.ALONE:
            return Field(decision.leader, "the only one")
        case Outcome.BEST:
            return Field(decision.leader, f"better than each other by more than {_margin(answer)}")
        case Outcome.EQUAL:
            return Field(_listed(decision.named), f"equal within {_margin(answer)}")
        case Outcome.DEPENDS:
            beaten = (f"{_listed(who)} in {contest(where)}" for where, who in decision.turned.items())
            return Field(DEPENDS, f"best mean {decision.leader}, but better is {'; '.join(beaten)}")
        case _:
            rivals = [own for own in decision.possible if own != decision.leader]
            detail = f"best mean {decision.leader}"
            return Field(UNDECIDED, f"{detail}; {_listed(rivals, 'or')} may be as good or better" if rivals else detail)


def _sure(answer: Answer, round_s: float | None) -> str:
    decision = answer.decision
    text = f"{plural(decision.rounds, 'round')} of {_mean_of(answer)}"
    if decision.outcome is not Outcome.UNDECIDED:
        return text
    if decision.rounds < ROUNDS_LEAST:
        return f"{text}: nothing can be told from fewer than {ROUNDS_LEAST}"
    leader = decision.leader
    allowed = [
        f"{own} {_from_to(*_behind(answer, decision.whole.gaps[leader, own]))}"
        for own in decision.whole.of(Standing.OPEN)
        if (leader, own) in decision.whole.gaps
    ]
    if allowed:
        text += f"; against {leader}, {'; '.join(allowed[:3])}{' …' if len(allowed) > 3 else ''}"
    needed = decision.rounds_needed
    if needed is None:
        return f"{text}; it would take more rounds than can be told"
    more = max(1, needed - decision.rounds)
    takes = "" if round_s is None else f" ({duration(more * round_s)})"
    return f"{text}; about {plural(more, 'round')} more{takes} would decide it, were things as they look"


def _mean_of(answer: Answer) -> str:
    cases = len(answer.decision.contested)
    return "1 case" if cases == 1 else f"the mean of {cases} cases"


def _behind(answer: Answer, gap: Gap) -> tuple[str, str]:
    """From what to what somebody may be, against the leader."""
    ends = answer.need.changes(gap.reversed().interval)
    return _change(answer, ends.low), _change(answer, ends.high)


def _change(answer: Answer, change: float) -> str:
    unit = " points" if answer.need.by_points else " %"
    if abs(change) >= WIDE:
        return f"{'> +' if change > 0 else '< -'}{WIDE:.0f}{unit}"
    return f"{rounded(change, 0 if abs(change) >= 100 else 1, '+')}{unit}"


def _from_to(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def contest(case: Contest, *, hook: bool = False) -> str:
    """Name a case in a few words; with its hook, where that varies."""
    attach = f", {case.config.attach}" if hook and case.config else ""
    return f"{case.vanilla.workload.name}{wording.clauses(case.vanilla.workload)}, {case.vanilla.tool}{attach}"


def _gets(answer: Answer, setups: Iterable[str]) -> str:
    """What setups come to: the change against vanilla where that is what matters, else from the best to the worst."""
    worth = [answer.worth[own] for own in setups]
    quantity = BY_METRIC[answer.need.metric]
    if answer.need.metric in (metrics.RUNTIME, metrics.LATENCY):
        means = sorted(answer.need.change(own.over_vanilla.mean) for own in worth if own.over_vanilla)
        if not means:
            return "no vanilla to compare with"
        return f"{quantity.title} {_from_to(_change(answer, means[0]), _change(answer, means[-1]))} over vanilla"
    low, high = min(own.low for own in worth), max(own.high for own in worth)
    if answer.need.metric is metrics.SAVED_PERCENT:
        return f"{_from_to(share(low), share(high))} % of events saved"
    return f"{quantity.title} {_from_to(quantity.number(low), quantity.number(high))} {quantity.unit}"


def _said_all_round(found: AllRound) -> str:
    fastest = found.rates[0]
    floor = f"{fastest.floor_percent:g} %"
    if found.answer is None or found.at is None:
        slowest = found.rates[-1]
        if len(slowest.open) == len(slowest.saved):
            return f"Who saves {floor} of the events {_rate(slowest)} cannot be told yet."
        if not slowest.open:
            return f"Nobody saves {floor} of the events {_rate(slowest)}."
        unclear = f"of {_listed(slowest.open)} it cannot be told"
        return f"Nobody is known to save {floor} of the events {_rate(slowest)}; {unclear}."
    at, named = found.at, _said(found.answer)
    if at is fastest and len(at.holding) == 1:
        gets = _gets(found.answer, at.holding)
        return f"{at.holding[0]} alone is known to save {floor} of the events {_rate(at)} ({gets})."
    if at is fastest:
        return f"{_listed(at.holding)} save{_s(at.holding)} {floor} of the events {_rate(at)}; cheapest: {named}."
    highest = _listed([f"{setup} {_rate(rate)}" for setup in fastest.saved if (rate := found.highest(setup))])
    return f"Nobody is known to save {floor} of the events {_rate(fastest)}; the highest rate each does: {highest}."


def _rate(at: AtRate) -> str:
    if at.rate_iops is None:
        return f"at full speed ({count(at.events_per_s)} events/s)"
    return f"at {count(at.events_per_s)} events/s"


def _s(names: Sequence[str]) -> str:
    return "s" if len(names) == 1 else ""


def _all_round(found: AllRound, round_s: float | None) -> tuple[Field, ...]:
    fastest = found.rates[0]
    if found.answer is None or found.at is None:
        why = f"nobody is known to save {fastest.floor_percent:g} % at any rate that was tried"
        what = UNDECIDED if found.rates[-1].open else "Nobody qualifies"
        return Field("Best all-round"), Field(what, why), Field(ABSENT), Field("")
    row = _row(found.answer, round_s)
    at = _rate(found.at) if found.at is fastest else f"{_rate(found.at)}; nobody qualifies {_rate(fastest)}"
    return Field("Best all-round", f"of those who save {fastest.floor_percent:g} % {at}"), *row[1:]


def cases(found: Answers) -> Table:
    """Need by need in each case by itself: who has the best mean, and whom the data do not rule out beside it."""
    contests = dict.fromkeys(case for answer in found.needs for case in answer.decision.cases)
    varying = len({case.config and case.config.attach for case in contests}) > 1
    rows = tuple(
        (Field(contest(case, hook=varying)), *(_in_case(answer, case) for answer in found.needs)) for case in contests
    )
    return Table(
        texts("case", *(answer.need.title for answer in found.needs)),
        rows,
        title="Case by case",
        caption="Best mean, then those that may be as good or better, by the rounds of that case alone.",
    )


def _in_case(answer: Answer, case: Contest) -> Field:
    own = answer.decision.cases.get(case)
    if own is None:
        return Field(ABSENT)
    rivals = [name for name in own.order[1:] if name not in own.ruled_out]
    if not rivals:
        return Field(own.order[0], "the only setup" if len(own.order) == 1 else "alone")
    nobody = len(rivals) == len(own.order) - 1
    return Field(own.order[0], "nobody ruled out" if nobody else f"or {_listed(rivals, 'or')}", "unclear")


def _listed(names: Sequence[str], word: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}" if names else ""
