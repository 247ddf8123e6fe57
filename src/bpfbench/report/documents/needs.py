# SPDX-License-Identifier: Apache-2.0
"""The answer in words: which setup for which need, how sure that is, and what would decide what is open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bpfbench.analysis.anytime import PLANNED_MOST, ROUNDS_LEAST
from bpfbench.analysis.decision import Outcome
from bpfbench.analysis.gaps import Gap
from bpfbench.analysis.questions.needs import (
    AllRound,
    Answer,
    Answers,
    Contest,
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
from bpfbench.report.documents import sentences
from bpfbench.report.documents.sentences import at_rate, change, margin
from bpfbench.report.figures.answer import overview
from bpfbench.report.wording import listed
from bpfbench.units import duration, plural

CHEAP = "What loses events is cheap to run: read overhead together with fidelity."
BLIND = "What loses events is cheap to run, and what these lose is known by their own word at most."
UNDECIDED = "Undecided"
DEPENDS = "Depends on the case"


def document(found: Sequence[Answers], run: str, behind: Document = ()) -> Document:
    """Describe what to choose, and how to decide what is open.

    Args:
        found: one of each kernel.
        run: how the run is called on a command line.
        behind: what else is there for who asks.
    """
    return tuple(_blocks(found, run, behind))


def _blocks(found: Sequence[Answers], run: str, behind: Document) -> Iterator[Block]:
    for own in found:
        if len(found) > 1:
            yield Heading(_whose(own))
        yield from (Paragraph(text, "lead") for text in sentences.of(own))
        if picture := overview(own):
            yield picture
        yield from (Paragraph(text, "fine") for text in sentences.noise(own))
        if setup := sentences.only_setup(own):
            rows = [_alone(answer) for answer in own.needs]
            columns = texts("What", "It comes to", "How sure")
            yield Table(columns, tuple(rows), title=f"What {setup} comes to", leads=True)
        else:
            rows = [_row(own, answer) for answer in own.needs]
            rows += [_all_round(own, own.all_round)] if own.all_round else []
            columns = texts("You need", "Choose", "What it gets you", "How sure")
            yield Table(columns, tuple(rows), title="Which setup for which need", leads=True)
        yield Paragraph(BLIND if own.all_round is None and own.of_commands else CHEAP, "fine")
        if not setup:
            yield Chapter("Case by case", (cases(own),), folded=True)
    yield from behind
    yield from _to_decide(found, run)


def brief(found: Sequence[Answers], run: str) -> Iterator[Block]:
    """Say the answer in sentences, how much noise there was, and how to decide what is open."""
    for own in found:
        if len(found) > 1:
            yield Heading(_whose(own))
        yield Bullets((*sentences.of(own), *sentences.noise(own)))
    yield from _to_decide(found, run)


def _whose(found: Answers) -> str:
    """Say what answers are of, where a run has several."""
    named = [listed(found.tools)] if found.tools else []
    return ", ".join([*named, *([f"Linux {found.kernel}"] if found.kernel else [])])


def _to_decide(found: Sequence[Answers], run: str) -> Iterator[Block]:
    """Give the command that decides what can be decided by a run that anybody would wait for."""
    open_ = [(own, answer) for own in found for answer in own.each if answer.decision.outcome is Outcome.UNDECIDED]
    worth = dict.fromkeys(answer.need.key for own, answer in open_ if not own.is_hopeless(answer))
    if not worth:
        return
    everything = worth.keys() == {answer.need.key for _, answer in open_}
    yield Paragraph("To decide what is open:" if everything else "To decide what can be decided of it:")
    yield Code((f"bpfbench run --resume {run} --until {'decided' if everything else ','.join(worth)}",))


def _row(found: Answers, answer: Answer) -> tuple[Field, ...]:
    decision = answer.decision
    others = [own for own in decision.whole.order if own not in (decision.named or decision.possible)]
    beside = f"the others: {sentences.gets(answer, others)}" if others else ""
    gets = Field(sentences.gets(answer, decision.named or decision.possible), beside)
    return Field(answer.need.title), _choose(found, answer), gets, _sure(found, answer)


def _alone(answer: Answer) -> tuple[Field, ...]:
    """The row of a need in a run with one setup."""
    setup = answer.decision.leader
    over = answer.worth[setup].over_vanilla
    rounds = "" if over is None else f"{plural(over.rounds, 'round')} of {sentences.over_cases(answer)}"
    sure = f"against vanilla{sentences.known(answer, setup)}, {rounds}" if rounds else ""
    what = answer.need.title.partition(" ")[2]
    return Field(f"{what[0].upper()}{what[1:]}"), Field(sentences.gets(answer, [setup])), Field(sure)


def _choose(found: Answers, answer: Answer) -> Field:
    decision = answer.decision
    match decision.outcome:
        case Outcome.ALONE:
            return Field(decision.leader, "the only one")
        case Outcome.BEST:
            return Field(decision.leader, f"better than every other by more than {margin(answer)}")
        case Outcome.EQUAL:
            equal = "equal in each trial" if answer.alike else f"equal within {margin(answer)}"
            return Field(listed(decision.named), f"{equal}{sentences.then(found, answer, '; ')}")
        case Outcome.DEPENDS:
            beaten = (f"{listed(who)} in {contest(where)}" for where, who in decision.turned.items())
            return Field(DEPENDS, f"best mean {decision.leader}, but better is {'; '.join(beaten)}")
        case _:
            rivals = [own for own in decision.possible if own != decision.leader]
            detail = f"best mean {decision.leader}"
            return Field(UNDECIDED, f"{detail}; {listed(rivals, 'or')} may be as good or better" if rivals else detail)


def _sure(found: Answers, answer: Answer) -> Field:
    """What an answer rests on, or what is in its way, at a glance; why, beside it."""
    decision = answer.decision
    rounds = f"{plural(decision.rounds, 'round')} of {sentences.over_cases(answer)}"
    if decision.outcome is not Outcome.UNDECIDED:
        return Field(rounds)
    if decision.rounds < ROUNDS_LEAST:
        return Field(rounds, f"too few: it takes {ROUNDS_LEAST}")
    other = decision.hardest
    if found.is_hopeless(answer):
        return Field("not to be decided here", _why_not(answer, other) if other else rounds)
    more = max(1, (decision.rounds_needed or 0) - decision.rounds)
    allowed = ""
    if other is not None:
        ends = _behind(answer, decision.whole.gaps[decision.leader, other])
        allowed = f"; {other} may be {sentences.from_to(*ends)} against {decision.leader}"
    return Field(
        f"about {plural(more, 'round')} more ({duration(more * found.round_s)})",
        f"as things look after {rounds}{allowed}",
    )


def _why_not(answer: Answer, other: str) -> str:
    """Why a need is not to be decided here, by the one who is the hardest to tell from the leader."""
    decision = answer.decision
    most = f"{PLANNED_MOST} rounds" if decision.rounds_needed is None else "a day"
    gap = decision.whole.gaps[other, decision.leader]
    return (
        f"in {most} more: {other} against {decision.leader} is {change(answer, answer.need.change(gap.mean))}"
        f" ± {_noise(answer, gap)} a round; the margin is {margin(answer)}"
    )


def _noise(answer: Answer, gap: Gap) -> str:
    """By how much a difference varies from round to round."""
    sd = max(gap.spread.own, gap.spread.least)
    return f"{sd:.2g} points" if answer.need.by_points else sentences.percent(sd)


def _behind(answer: Answer, gap: Gap) -> tuple[str, str]:
    """From what to what somebody may be, against the leader."""
    ends = answer.need.changes(gap.reversed().interval)
    return change(answer, ends.low), change(answer, ends.high)


def contest(case: Contest, *, hook: bool = False) -> str:
    """Name a case in a few words; with its hook, where that varies."""
    attach = f", {case.config.attach}" if hook and case.config else ""
    return f"{case.vanilla.workload.name}{wording.clauses(case.vanilla.workload)}, {case.vanilla.tool}{attach}"


def _all_round(whole: Answers, found: AllRound) -> tuple[Field, ...]:
    fastest = found.rates[0]
    if found.answer is None or found.at is None:
        why = f"nobody is known to save {fastest.floor_percent:g} % at any rate that was tried"
        what = UNDECIDED if found.rates[-1].open else "Nobody qualifies"
        return Field("Best all-round"), Field(what, why), Field(ABSENT), Field("")
    row = _row(whole, found.answer)
    at = at_rate(found.at) if found.at is fastest else f"{at_rate(found.at)}; nobody qualifies {at_rate(fastest)}"
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
    return Field(own.order[0], "nobody ruled out" if nobody else f"or {listed(rivals, 'or')}", "unclear")
