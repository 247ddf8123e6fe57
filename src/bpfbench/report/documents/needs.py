# SPDX-License-Identifier: Apache-2.0
"""The answer in words: which setup for which need, and how sure that is. Says nothing that needs.py did not find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bpfbench.analysis import metrics
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.questions.needs import Choice, Contender, Contest
from bpfbench.analysis.questions.tradeoffs import FIDELITY, OVERHEAD, Point, front
from bpfbench.analysis.statistics import Statistic
from bpfbench.report import wording
from bpfbench.report.document import ABSENT, Document, Field, Paragraph, Table, texts
from bpfbench.report.numbers import percent, share
from bpfbench.report.quantities import BY_METRIC

NOISE = "No difference beyond noise"
LISTED = 3
"""More names than that are told by who is not among them."""


def document(found: Sequence[Choice], places: Sequence[Sequence[Point]]) -> Document:
    """Describe which setup to choose, then each case.

    Args:
        found: what the contests of each need come to.
        places: where setups stand, in each case in which events can be lost.
    """
    notes = (
        *swamped([contest for choice in found for contest in choice.contests]),
        "What loses events is cheap to run: read overhead together with fidelity. Where several setups share first"
        " place, the data cannot tell them apart.",
    )
    fronts = [front(points, (OVERHEAD, FIDELITY)) for points in places]
    return (_answer(found, fronts), *(Paragraph(note, "fine") for note in notes), cases(found))


def _answer(found: Sequence[Choice], fronts: Sequence[Sequence[Point]]) -> Table:
    rows: list[tuple[Field, ...]] = [
        (Field(choice.need.title), _choose(choice), _gets(choice), Field(_sure(choice))) for choice in found
    ]
    if any(fronts):
        rows.append(_all_round([own for own in fronts if own]))
    columns = texts("You need", "Choose", "What it gets you", "How sure")
    return Table(columns, tuple(rows), title="Which setup for which need", leads=True)


def _all_round(fronts: Sequence[Sequence[Point]]) -> tuple[Field, ...]:
    """Who is on the Pareto front of overhead and fidelity most often."""
    counts = Counter(setup for front in fronts for setup in dict.fromkeys(point.cell.setup for point in front))
    most = max(counts.values())
    winners = [setup for setup, count in counts.items() if count == most]
    own = [point for front in fronts for point in front if point.cell.setup in winners]
    overheads = sorted(point.at[OVERHEAD].value for point in own)
    saved = sorted(point.at[FIDELITY].value for point in own)
    return (
        Field("Best all-round"),
        Field(_listed(winners, "or"), "overhead against fidelity"),
        Field(
            f"runtime {_from_to(_change(overheads[0]), _change(overheads[-1]))} % over vanilla",
            f"{_from_to(share(saved[0]), share(saved[-1]))} % of events saved",
        ),
        Field(f"by the means alone: on the Pareto front in {most} of {len(fronts)} cases"),
    )


def _change(over: float) -> str:
    """A change in per cent, as ratios are written."""
    return percent(1 + over / 100)


def _choose(choice: Choice) -> Field:
    if choice.undecided:
        return Field(NOISE, _among(choice.firsts))
    names = _names(choice.winners, choice.firsts)
    if choice.everywhere:
        return Field(names)
    most, all_ = max(choice.firsts.values()), len(choice.contests)
    return Field(names, f"first, or not told from it, in {most} of {all_} cases: it depends on workload and tool")


def _among(setups: Iterable[str]) -> str:
    names = list(setups)
    return f"among {_listed(names)}" if len(names) <= LISTED else f"among all {len(names)} setups"


def _names(winners: Sequence[str], all_: Iterable[str]) -> str:
    losers = [name for name in all_ if name not in winners]
    if len(winners) > LISTED and losers and len(losers) <= LISTED:
        return f"Any but {_listed(losers, 'or')}"
    return _listed(winners, "or")


def _listed(names: Sequence[str], word: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def _gets(choice: Choice) -> Field:
    winners = set(choice.firsts) if choice.undecided else set(choice.winners)
    own = [c for contest in choice.contests for c in contest.contenders if c.cell.setup in winners]
    others = [c for contest in choice.contests for c in contest.contenders if c.cell.setup not in winners]
    beside = f"the others: {_span(choice.need.metric, others)}" if others else ""
    return Field(_span(choice.need.metric, own), beside)


def _span(metric: Metric, contenders: Sequence[Contender]) -> str:
    """From the best to the worst mean over all cases."""
    if metric is metrics.RUNTIME:
        ratios = sorted(c.statistic.paired.ratio for c in contenders if c.statistic.paired)
        if not ratios:
            return "no vanilla to compare with"
        return f"runtime {_from_to(percent(ratios[0]), percent(ratios[-1]))} % over vanilla"
    values = sorted(contender.statistic.spread.mean for contender in contenders)
    if metric is metrics.SAVED_PERCENT:
        return f"{_from_to(share(values[0]), share(values[-1]))} % of events saved"
    quantity = BY_METRIC[metric]
    return f"{quantity.title} {_from_to(quantity.number(values[0]), quantity.number(values[-1]))} {quantity.unit}"


def _from_to(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _sure(choice: Choice) -> str:
    pairs = sorted({c.pairs for contest in choice.contests for c in contest.contenders[1:]})
    if not pairs:
        return "one setup: nothing to compare it with"
    told = sum(not contest.undecided for contest in choice.contests)
    blocks = f"{_from_to(str(pairs[0]), str(pairs[-1]))} block{'s' if pairs[-1] != 1 else ''} each"
    text = f"told apart in {told} of {len(choice.contests)} cases, {blocks}"
    if choice.undecided and choice.need.metric is metrics.RUNTIME:
        needed = _repetitions(choice.contests)
        text += f"; to see 2 % would take {needed} repetitions" if needed else ""
    return text


def _repetitions(contests: Iterable[Contest]) -> str:
    """How many pairs a typical case would need for 2 %, by its spread."""
    found = sorted(
        contender.statistic.paired.repetitions_needed
        for contest in contests
        for contender in contest.contenders
        if contender.statistic.paired and contender.statistic.paired.repetitions_needed
    )
    if not found:
        return ""
    middle = found[len(found) // 2]
    return "1000 or more" if middle >= 1000 else f"about {middle}"


def cases(found: Sequence[Choice]) -> Table:
    """Need by need in each case: who leads with what, and who cannot be told from it."""
    needs = [choice.need for choice in found]
    by_case: dict[tuple[object, ...], dict[str, Contest]] = {}
    for choice in found:
        for contest in choice.contests:
            cell = contest.leader.cell
            by_case.setdefault((cell.vanilla, cell.attach), {})[choice.need.key] = contest
    kernels = {(contest.leader.cell.kernel, contest.leader.cell.attach) for c in found for contest in c.contests}
    rows = tuple(
        (
            Field(_case(next(iter(own.values())), named=len(kernels) > 1)),
            *(_leader(own.get(need.key)) for need in needs),
        )
        for own in by_case.values()
    )
    return Table(
        title="Case by case",
        caption="Best mean, then those that a paired test cannot tell from it (p > 0.05 after Holm's correction).",
        columns=texts("case", *(need.title for need in needs)),
        rows=rows,
    )


def swamped(found: Sequence[Contest]) -> list[str]:
    """Say of which contests noise leaves no verdict, a sentence for each need."""
    by_need: dict[str, list[str]] = {}
    for contest in found:
        if contest.swamped is not None:
            noise, effect = percent(contest.swamped.noise), percent(contest.swamped.effect)
            by_need.setdefault(contest.need.title, []).append(
                f"{_case(contest, named=False)} (noise {noise} %, setups {effect} %)"
            )
    return [
        f"Noise swamps it here: {title}: {'; '.join(cases)}. Vanilla against vanilla of the same block comes to as much"
        " over as many blocks as the best and the worst setup differ by."
        for title, cases in by_need.items()
    ]


def _case(contest: Contest, *, named: bool) -> str:
    cell = contest.leader.cell
    condition = f", {cell.kernel or 'unknown kernel'}, {cell.attach}" if named else ""
    return f"{cell.workload.name}{wording.clauses(cell.workload)}, {cell.tool}{condition}"


def _leader(contest: Contest | None) -> Field:
    if contest is None:
        return Field(ABSENT)
    leader = contest.leader
    value = _value(leader.statistic)
    if contest.undecided:
        return Field(f"{leader.cell.setup} {value}", "nobody told apart from it", "unclear")
    tied = [contender.cell.setup for contender in contest.first[1:]]
    return Field(f"{leader.cell.setup} {value}", f"with {_listed(list(dict.fromkeys(tied)))}" if tied else "alone")


def _value(statistic: Statistic) -> str:
    metric = metrics.BY_KEY[statistic.metric]
    if metric is metrics.RUNTIME:
        return "" if statistic.paired is None else f"{percent(statistic.paired.ratio)} %"
    quantity = BY_METRIC[metric]
    return f"{quantity.number(statistic.spread.mean)} {quantity.unit.split()[0]}"
