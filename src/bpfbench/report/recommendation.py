# SPDX-License-Identifier: Apache-2.0
"""What fits a user's needs, for the eye and for programs.

JSON (`schema` counts incompatible changes; new keys may come without one):

    schema         2
    run, wish      what was asked, of which run
    emulated       whether the run is of a machine that says nothing of it
    qualified      how many candidates do what is wanted
    to_measure     the command that would measure what is not known, or null
    candidates[]   the best first: setup, attach, format, ringbuf_bytes, poll_ms, fit (yes, undecided, not known, no),
                   preferred, assessments[], basis[]: the drain rates that fidelity is predicted from
    assessments[]  requirement (fidelity, overhead, cpu, memory), limit, verdict (met, not met, undecided, not
                   measured), reason, evidence or null: basis (measured, predicted), value, low, high, rate_per_s,
                   event_bytes, workload, n, error, validated_by
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence

from bpfbench.analysis.capacity import DrainRate
from bpfbench.analysis.recommend import Candidate, Fit, Preference, Recommendation, Wish
from bpfbench.analysis.requirements import Assessment, Basis, Evidence, Requirement, Verdict
from bpfbench.model import EMULATED_REMARK
from bpfbench.report import wording
from bpfbench.report.columns import share
from bpfbench.report.document import Block, Code, Document, section, table

SCHEMA = 2
"""Version of the JSON document. History: 1 (first), 2 (each requirement is judged by itself, with its evidence)."""

RANKED_BY = {
    Preference.MEMORY: "memory (PSS)",
    Preference.CPU: "CPU, % of one",
    Preference.LATENCY: "p99 latency",
    Preference.ENERGY: "energy",
}
"""What is shown in a column of its own: it need not be among the requirements."""


def to_json(found: Recommendation, run: str, *, emulated: bool) -> str:
    """Write a recommendation as one JSON document."""
    document = {
        "schema": SCHEMA,
        "run": run,
        "emulated": emulated,
        "wish": dataclasses.asdict(found.wish),
        "qualified": len(found.qualified),
        "to_measure": found.to_measure,
        "candidates": [{**dataclasses.asdict(item), "fit": item.fit} for item in found.candidates],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def document(found: Recommendation, run: str, *, emulated: bool) -> Document:
    """Describe a recommendation."""
    return tuple(_blocks(found, run, emulated=emulated))


def _blocks(found: Recommendation, run: str, *, emulated: bool) -> Iterator[Block]:
    """Describe a recommendation: the answer first, then every candidate with its evidence."""
    paragraphs = [_wanted(found.wish), *([EMULATED_REMARK] if emulated else [])]
    yield from section(_answer(found, emulated=emulated), tuple(paragraphs))
    if not found.candidates:
        return
    ranked_by = RANKED_BY.get(found.wish.prefer)
    common = {_configuration(candidate) for candidate in found.candidates}
    told = len(common) > 1
    header = ["setup", "fits", "requirement", "", "found", "by", *([ranked_by] if ranked_by else [])]
    rows = tuple(line for own in found.candidates for line in _rows(own, found.wish, told=told, ranked=bool(ranked_by)))
    said = () if told else (f"All: {common.pop()}.",)
    yield from section(f"Candidates of {run}, the best first", said, table(header, rows, texts=6))
    because: dict[str, list[str]] = {}
    for own in found.candidates:
        if own.reasons:
            because.setdefault("; ".join(own.reasons), []).append(_named(own, told=told))
    if because:
        lines = tuple((", ".join(names), reason) for reason, names in because.items())
        yield from section("Why not, or not for sure", (), table(("setup", "because"), lines, texts=2))
    if found.to_measure is not None:
        said = ("Then ask again, of that run.",)
        yield from section("To measure what is not known", said, Code((found.to_measure,)))
    yield from section("What this rests on", tuple(_evidence(found)))


def _answer(found: Recommendation, *, emulated: bool) -> str:
    if not found.candidates:
        lacking = "trial that is not emulated" if emulated else "ok trial of a tracer with events"
        return f"The run has no {lacking}; nothing can be recommended."
    best = found.candidates[0]
    match best.fit:
        case Fit.YES:
            return f"Take {_name(best)}."
        case Fit.UNDECIDED:
            return f"Undecided. The first to look at is {_name(best)}: {'; '.join(best.reasons)}."
        case Fit.UNKNOWN:
            return f"This run does not tell: {'; '.join(best.reasons)}."
        case Fit.NO:
            return f"None qualifies. The nearest is {_name(best)}: {'; '.join(_unmet(best))}."


def _unmet(candidate: Candidate) -> Iterator[str]:
    for own in candidate.assessments:
        if own.verdict is Verdict.NOT_MET and own.evidence is not None:
            yield f"{own.requirement.word} {_number(own.requirement, own.evidence.value)}, {_limit(own)} wanted"


def _limit(own: Assessment) -> str:
    return f"{'>=' if own.requirement.at_least else '<='} {_number(own.requirement, own.limit, signed=False)}"


def _wanted(wish: Wish) -> str:
    most = [f"at least {wish.min_fidelity_percent:g} % saved", f"at most {wish.max_overhead_percent:g} % overhead"]
    if wish.max_cpu_percent is not None:
        most.append(f"at most {wish.max_cpu_percent:g} % of a CPU")
    if wish.max_memory_bytes is not None:
        most.append(f"at most {wording.size(round(wish.max_memory_bytes))} of memory")
    what = f"{wish.rate_per_s:,.0f} events/s of {wording.size(wish.event_bytes)}"
    return f"Wanted: {what}, {', '.join(most)}; then the best in {wish.prefer}."


def _rows(candidate: Candidate, wish: Wish, *, told: bool, ranked: bool) -> Iterator[tuple[str, ...]]:
    """A line per requirement; what is of the candidate as a whole stands in the first."""
    head: tuple[str, ...] = (_named(candidate, told=told), candidate.fit.value)
    tail: tuple[str, ...] = (_preferred(candidate.preferred, wish.prefer),) if ranked else ()
    for own in candidate.assessments:
        number, by = (wording.ABSENT, wording.ABSENT) if own.evidence is None else _found(own.requirement, own.evidence)
        yield (*head, f"{own.requirement.word} {_limit(own)}", own.verdict.value, number, by, *tail)
        head, tail = ("", ""), ("",) if ranked else ()


def _found(requirement: Requirement, found: Evidence) -> tuple[str, str]:
    number = _number(requirement, found.value)
    if found.low is not None and found.high is not None:
        number += f" [{', '.join(_number(requirement, end, unit=False) for end in (found.low, found.high))}]"
    if found.basis is Basis.PREDICTED:
        return number, f"predicted (error ± {found.error:.1f} points, {found.validated_by})"
    where = f"{found.workload}, {wording.size(found.event_bytes)}, n = {found.n}"
    return number, f"measured at {found.rate_per_s:,.0f}/s ({where})"


def _number(requirement: Requirement, value: float, *, unit: bool = True, signed: bool = True) -> str:
    match requirement:
        case Requirement.FIDELITY:
            text, name = (share(value) if signed else f"{value:g}"), " %"
        case Requirement.OVERHEAD:
            text, name = (_change(value) if signed else f"{value:g}"), " %"
        case Requirement.CPU:
            text, name = (f"{value:.1f}" if signed else f"{value:g}"), " % of a CPU"
        case Requirement.MEMORY:
            return wording.size(max(0, round(value)))
    return text + (name if unit else "")


def _change(percent: float) -> str:
    """Write a change with its sign, and no figures that mean nothing: two pairs can have intervals of millions."""
    return "> +1000" if percent >= 1000 else f"{round(percent, 2) + 0.0:+.2f}"


def _preferred(value: float | None, prefer: Preference) -> str:
    if value is None:
        return wording.ABSENT
    match prefer:
        case Preference.MEMORY:
            return wording.size(round(value))
        case Preference.LATENCY | Preference.ENERGY:
            return f"x {value:.3f}"
        case _:
            return f"{value:.1f}"


def _evidence(found: Recommendation) -> Iterator[str]:
    basis = dict.fromkeys(rate for candidate in found.candidates for rate in candidate.basis)
    if basis:
        yield f"Drain rates, events/s: {'; '.join(map(_drained, basis))}."
    if any(rate.held_up for rate in basis):
        yield (
            "Where a share of a CPU is given, the tracer had to wait for one: with a CPU of its own it drains faster. "
            "`bench drain` measures that, --drain takes it."
        )
    yield (
        "A target with a rate of its own is meant. Measured: at the wanted rate, up to 1.5 times it, or, for fidelity "
        "and memory, at a higher rate where it is met or a lower one where it is not; in brackets 95 % confidence. "
        "Predicted: fidelity alone, in brackets with the error of such predictions. Overhead: the share of the "
        "target's time that tracing takes. Overhead and CPU are never taken from trials that lost events, nor scaled "
        "from another rate. docs/statistics.md has the rules."
    )


def _drained(rate: DrainRate) -> str:
    tracer, least = rate.tracer, "" if rate.exact else "at least "
    held_up = f", with {100 * (rate.cpu_share or 0):.0f} % of a CPU" if rate.held_up else ""
    what = f"{tracer.setup} {tracer.event_bytes} B {tracer.format} ring {wording.size(tracer.ringbuf_bytes)}"
    return f"{what}: {least}{rate.events_per_s:,.0f} ({rate.source}, n = {len(rate.observed)}{held_up})"


def _named(candidate: Candidate, *, told: bool) -> str:
    return _name(candidate) if told else candidate.setup


def _name(candidate: Candidate) -> str:
    return f"{candidate.setup} ({_configuration(candidate)})"


def _configuration(candidate: Candidate) -> str:
    names: Sequence[str] = ("attach", "format", "ringbuf_bytes", "poll_ms")
    return ", ".join(wording.factor(name, getattr(candidate, name)) for name in names)
