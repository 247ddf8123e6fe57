# SPDX-License-Identifier: Apache-2.0
"""What fits a user's needs.

Data:

    wish           what was asked
    qualified      how many candidates do what is wanted
    to_measure     the command that would measure what is not known; null where all is, or no target has rates
    to_tune        the command that looks for a configuration which fits, where none meets a requirement; or null
    chosen[]       positions in candidates[] of those that qualify and that nothing tells apart from the best
    steps[]        how they were chosen: quality, outcome (best, equal, depends, undecided), rounds, margin, of[] and
                   left[] (positions, before and after)
    shortfalls[]   where none qualifies, by setup: setup, fits_at_per_s, may_fit_at_per_s, nearest (a requirement, or
                   null), loosened {requirement: limit}, remedies[] {option, value, helps, why, predicted: evidence or
                   null}, to_measure
    candidates[]   the best first: setup, role (tuned or default, where the run has both; or null), attach, format,
                   ringbuf_bytes, poll_ms and what else is set; fit (yes, in each trial, undecided, not known, no),
                   preferred, assessments[], basis[]: the drain rates that fidelity is predicted from
    assessments[]  requirement (fidelity, overhead, cpu, memory), limit, verdict (met, met in each trial, not met,
                   undecided, not measured), reason, evidence or null: basis (measured, predicted), value, low, high,
                   least (the trial that saved least; where it is value, too, trials do not scatter, and low and high
                   are null), rate_per_s, event_bytes, workload, aspect (of the overhead of a declared target at a
                   rate: mean latency, CPU time; both have to be met), n, error, validated_by
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bpfbench.analysis.bounded import missing_at_most
from bpfbench.analysis.inference import ALPHA
from bpfbench.analysis.questions.candidates import Assessment, Candidate, Fit, Wish
from bpfbench.analysis.questions.capacity import DrainRate
from bpfbench.analysis.questions.evidence import Evidence, Quality
from bpfbench.analysis.questions.preference import Sieve
from bpfbench.analysis.questions.recommend import Recommendation
from bpfbench.analysis.questions.shortfall import Remedy, Shortfall
from bpfbench.analysis.results import CONFIG
from bpfbench.model import EMULATED_REMARK
from bpfbench.report import wording
from bpfbench.report.about import About
from bpfbench.report.document import ABSENT, Block, Code, Document, Paragraph, section, table
from bpfbench.report.documents.preference import step
from bpfbench.report.numbers import share
from bpfbench.report.wording import listed
from bpfbench.units import size

SCHEMA = 4
"""Version of the data. History: 1 (first), 2 (each requirement is judged by itself, with its evidence), 3 (in the
envelope of all answers, which has the run, and whether it is emulated), 4 (what is saved is met in
each trial where it is not known to be met in the mean)."""

RANKED_BY = {
    Quality.MEMORY: "memory (PSS)",
    Quality.CPU: "CPU, % of one",
    Quality.LATENCY: "p99 latency",
    Quality.ENERGY: "energy",
    Quality.STARTUP: "start, s",
    Quality.SIZE: "size",
}
"""What is shown in a column of its own: it need not be among the requirements."""

OPTIONS = {
    Quality.FIDELITY: "--min-fidelity",
    Quality.OVERHEAD: "--max-overhead",
    Quality.CPU: "--max-cpu",
    Quality.MEMORY: "--max-memory",
}
QUALITY_UNITS = {Quality.FIDELITY: " %", Quality.OVERHEAD: " %", Quality.CPU: " % of a CPU", Quality.MEMORY: ""}

WRITTEN: Mapping[Quality, Callable[[float], str]] = {
    Quality.MEMORY: lambda value: size(max(0, round(value))),
    Quality.CPU: "{:.1f}".format,
    # No figures that mean nothing: two pairs can have intervals of millions.
    Quality.OVERHEAD: lambda percent: "> +1000" if percent >= 1000 else f"{round(percent, 2) + 0.0:+.2f}",
    Quality.FIDELITY: share,
    Quality.LATENCY: "x {:.3f}".format,
    Quality.ENERGY: "x {:.3f}".format,
    Quality.STARTUP: "{:.2f}".format,
    Quality.SIZE: lambda value: size(max(0, round(value))),
}


UNRATED = (
    "No target of this run can be driven at a rate (drive_at, docs/targets.md), and what is wanted is at one: a run of"
    " one that can, or of fio, would tell."
)


def data(found: Recommendation) -> dict[str, Any]:
    """Return a recommendation for programs."""
    return {
        "wish": found.wish,
        "qualified": len(found.qualified),
        "to_measure": found.to_measure,
        "to_tune": found.to_tune,
        "chosen": [found.candidates.index(own) for own in found.chosen],
        "steps": [{**_plain(own), "of": _positions(own.of), "left": _positions(own.left)} for own in found.steps],
        "shortfalls": [_shortfall(own) for own in found.shortfalls],
        "candidates": [
            {
                "setup": own.setup,
                "role": own.role or None,
                **{key: getattr(own.config, key) for key in CONFIG if key not in ("payload_bytes", "variant")},
                "assessments": [_assessment(assessment) for assessment in own.assessments],
                "basis": own.drain_rates,
                "preferred": own.preferred,
                "fit": own.fit,
            }
            for own in found.candidates
        ],
    }


def _plain(own: Sieve) -> dict[str, Any]:
    return {key: getattr(own, key) for key in ("quality", "outcome", "rounds", "margin")}


def _positions(names: Sequence[str]) -> list[int]:
    return [int(name) for name in names]


def _shortfall(own: Shortfall) -> dict[str, Any]:
    keys = ("fits_at_per_s", "may_fit_at_per_s", "loosened", "to_measure")
    return {
        "setup": own.candidate.setup,
        "nearest": own.nearest and own.nearest.requirement,
        **{key: getattr(own, key) for key in keys},
        "remedies": [
            {
                **{key: getattr(remedy, key) for key in ("option", "value", "helps", "why")},
                "predicted": remedy.predicted and _of(remedy.predicted),
            }
            for remedy in own.remedies
        ],
    }


def _of(own: Evidence) -> dict[str, Any]:
    at = ("rate_per_s", "event_bytes", "workload", "aspect")
    keys = ("value", "low", "high", "least", *at, "n", "error", "validated_by")
    return {"basis": own.basis, **{key: getattr(own, key) for key in keys}}


def _assessment(own: Assessment) -> dict[str, Any]:
    found = None if own.evidence is None else _of(own.evidence)
    return {
        "requirement": own.requirement,
        "limit": own.limit,
        "verdict": own.fit.of_requirement,
        "evidence": found,
        "reason": own.reason,
    }


def document(found: Recommendation, run: About) -> Document:
    """Describe a recommendation: the answer first, then every candidate with its evidence."""
    return tuple(_blocks(found, run))


def _blocks(found: Recommendation, run: About) -> Iterator[Block]:
    paragraphs = [_wanted(found.wish), *_because(found), *([EMULATED_REMARK] if run.emulated else [])]
    yield from section(_answer(found, emulated=run.emulated), tuple(paragraphs))
    if not found.candidates:
        return
    yield from _lacking(found)
    common = {wording.settings(candidate.config) for candidate in found.candidates}
    told, prefer = len(common) > 1, found.wish.prefer
    ranked_by = (RANKED_BY[prefer],) if prefer in RANKED_BY else ()
    rows = tuple(line for own in found.candidates for line in _rows(own, prefer, told=told))
    candidates = table(("setup", "fits", "requirement", "", "found", "by", *ranked_by), rows, texts=6)
    yield from section(
        f"Candidates of {run.run_id}, the best first", () if told else (f"All: {common.pop()}.",), candidates
    )
    because: dict[str, list[str]] = {}
    for own in found.candidates:
        if own.reasons:
            because.setdefault("; ".join(own.reasons), []).append(_name(own) if told else own.setup)
    if because:
        lines = tuple((", ".join(names), reason) for reason, names in because.items())
        yield from section("Why not, or not for sure", (), table(("setup", "because"), lines, texts=2))
    if found.to_tune is not None:
        why = "Nothing that was measured does all that is wanted. Whether some configuration does, this finds out."
        yield from section("To look for a configuration that does", (why,), Code((found.to_tune,)))
    if found.to_measure is not None:
        yield from section("To measure what is not known", (_then(found),), Code((found.to_measure,)))
    elif any(own.fit in (Fit.UNKNOWN, Fit.UNDECIDED) for own in found.candidates):
        yield Paragraph(UNRATED)
    yield from section("What this rests on", tuple(_evidence(found)))


def _answer(found: Recommendation, *, emulated: bool) -> str:
    if not found.candidates:
        lacking = "trial that is not emulated" if emulated else "ok trial of a tracer with events"
        return f"The run has no {lacking}; nothing can be recommended."
    best = found.candidates[0]
    match best.fit:
        case Fit.YES | Fit.IN_EACH if len(found.chosen) == 1:
            return f"Take {_name(best)}."
        case Fit.YES | Fit.IN_EACH:
            return f"Take any of {listed([_name(own) for own in found.chosen])}: nothing tells them apart."
        case Fit.UNDECIDED:
            return f"Undecided. The first to look at is {_name(best)}: {'; '.join(best.reasons)}."
        case Fit.UNKNOWN:
            return f"This run does not tell: {'; '.join(best.reasons)}."
        case Fit.NO:
            return f"None qualifies. By the means, the nearest is {_name(best)}: {'; '.join(_unmet(best))}."


def _because(found: Recommendation) -> Iterator[str]:
    """Say how the choice was made between those that fit."""
    told = len({wording.settings(own.config) for own in found.candidates}) > 1
    called = [_name(own) if told else own.setup for own in found.candidates]
    fitting = [called[at] for at, own in enumerate(found.candidates) if own.fit.qualifies]
    if len(fitting) == 1:
        yield f"It alone fits, of {len(found.candidates)}." if len(found.candidates) > 1 else "It fits."
    elif fitting:
        yield f"{len(fitting)} of {len(found.candidates)} fit: {listed(fitting)}."
    for own in found.steps:
        text = step(own, [called[int(name)] for name in own.left])
        yield f"{text[0].upper() if text.startswith(own.quality.word) else text[0]}{text[1:]}."


def _lacking(found: Recommendation) -> Iterator[Block]:
    """Say of each setup, where none fits, at which rate it does, what it lacks, and what may help."""
    if not any(own.says_anything for own in found.shortfalls):
        return
    rows = [
        (
            own.candidate.setup,
            _fits_at(own),
            _nearest(own),
            " ".join(f"{OPTIONS[quality]} {_given(quality, limit)}" for quality, limit in own.loosened.items())
            or ABSENT,
            "; ".join(map(_remedy, own.remedies)) or ABSENT,
        )
        for own in found.shortfalls
    ]
    columns = ("setup", "fits at", "the nearest limit", "fits with", "may help")
    yield from section(f"What each lacks at {found.wish.rate_per_s:,.0f} events/s", (), table(columns, rows, texts=5))
    why = dict.fromkeys(f"{_changed(remedy)}: {remedy.why}" for own in found.shortfalls for remedy in own.remedies)
    if why:
        yield Paragraph(f"What may help has to be measured, unless it is predicted. {'; '.join(why)}.")
    first = found.shortfalls[0]
    if first.remedies and first.to_measure is not None:
        yield from section(f"To measure what may help {first.candidate.setup}", (), Code((first.to_measure,)))


def _fits_at(own: Shortfall) -> str:
    fits = "no rate that was measured" if own.fits_at_per_s is None else f"{own.fits_at_per_s:,.0f}/s"
    return fits if own.may_fit_at_per_s is None else f"{fits}; undecided at {own.may_fit_at_per_s:,.0f}/s"


def _nearest(own: Shortfall) -> str:
    if own.nearest is None or own.nearest.evidence is None:
        return "not measured"
    number, _ = _found(own.nearest.requirement, own.nearest.evidence)
    return f"{own.nearest.requirement.word} {number}, {_limit(own.nearest)} wanted"


def _given(quality: Quality, limit: float) -> str:
    return f"{math.ceil(limit / 2**10)}KiB" if quality is Quality.MEMORY else f"{limit:g}"


def _remedy(own: Remedy) -> str:
    predicted = "" if own.predicted is None else f" (predicted {_found(own.helps, own.predicted)[0]})"
    return f"{_changed(own)}{predicted}"


def _changed(own: Remedy) -> str:
    value = own.value if own.option == "format" else size(int(str(own.value)))
    return f"{own.option.removesuffix('_bytes').replace('ringbuf', 'ring')} {value}"


def _unmet(candidate: Candidate) -> Iterator[str]:
    for own in candidate.assessments:
        if own.fit is Fit.NO and own.evidence is not None:
            number = f"{WRITTEN[own.requirement](own.evidence.value)}{QUALITY_UNITS[own.requirement]}"
            yield f"{own.requirement.word} {number}, {_limit(own)} wanted"


def _limit(own: Assessment) -> str:
    write = WRITTEN[own.requirement] if own.requirement is Quality.MEMORY else "{:g}".format
    return f"{'>=' if own.requirement.higher_is_better else '<='} {write(own.limit)}{QUALITY_UNITS[own.requirement]}"


def _wanted(wish: Wish) -> str:
    most = [f"at least {wish.min_fidelity_percent:g} % saved", f"at most {wish.max_overhead_percent:g} % overhead"]
    if wish.max_cpu_percent is not None:
        most.append(f"at most {wish.max_cpu_percent:g} % of a CPU")
    if wish.max_memory_bytes is not None:
        most.append(f"at most {size(round(wish.max_memory_bytes))} of memory")
    what = f"{wish.rate_per_s:,.0f} events/s of {size(wish.event_bytes)}"
    return f"Wanted: {what}, {', '.join(most)}; then the best in {wish.prefer.word}."


def _rows(candidate: Candidate, prefer: Quality, *, told: bool) -> Iterator[tuple[str, ...]]:
    """A line per requirement; what is of the candidate as a whole stands in the first."""
    preferred = ABSENT if candidate.preferred is None else WRITTEN[prefer](candidate.preferred)
    whole = (_name(candidate) if told else candidate.setup, candidate.fit.value, preferred)
    for own in candidate.assessments:
        number, by = (ABSENT, ABSENT) if own.evidence is None else _found(own.requirement, own.evidence)
        line = (*whole[:2], f"{own.requirement.word} {_limit(own)}", own.fit.of_requirement, number, by)
        yield (*line, whole[2]) if prefer in RANKED_BY else line
        whole = ("", "", "")


def _found(requirement: Quality, found: Evidence) -> tuple[str, str]:
    write = WRITTEN[requirement]
    number = write(found.value) + QUALITY_UNITS[requirement]
    if found.low is not None and found.high is not None:
        number += f" [{write(found.low)}, {write(found.high)}]"
    if found.basis == "predicted":
        return number, f"predicted (error ± {found.error:.1f} points, {found.validated_by})"
    aspect = f", {found.aspect}" if found.aspect else ""
    where = f"{found.workload}{aspect}, {size(found.event_bytes)}, n = {found.n}"
    return number, f"measured at {found.rate_per_s:,.0f}/s ({where})"


def _evidence(found: Recommendation) -> Iterator[str]:
    basis = dict.fromkeys(rate for candidate in found.candidates for rate in candidate.drain_rates)
    if basis:
        yield f"Drain rates, events/s: {'; '.join(map(_drained, basis))}."
    if any(rate.held_up for rate in basis):
        yield (
            "Where a share of a CPU is given, the tracer had to wait for one: with a CPU of its own it drains faster. "
            "`bench drain` measures that, --drain takes it."
        )
    if any(own.evidence and own.evidence.aspect for each in found.candidates for own in each.assessments):
        yield (
            "Runtime of what is driven at a rate follows the rate: its overhead is by what its mean latency grows, and "
            "its CPU time; both are held against the limit, and the worse is shown."
        )
    if few := [own.evidence.n or 0 for own in _in_each(found) if own.evidence]:
        part = 100 * missing_at_most(min(few), ALPHA)
        yield (
            "Met in each trial: a fact about these trials, and no more. After "
            f"{min(few)} without a miss, up to {part:.0f} % of all trials may miss the limit, with 95 % confidence."
        )
    yield (
        "A target with a rate of its own is meant. Measured: at the wanted rate, up to 1.5 times it, or, for fidelity "
        "and memory, at a higher rate where it is met or a lower one where it is not; in brackets 95 % intervals that "
        "hold at every look and for all setups of a case at once. Predicted: fidelity alone, in brackets with the "
        "error of such predictions. Overhead: the share of the target's time that tracing takes. Overhead and CPU are "
        "never taken from trials that lost events, nor scaled from another rate. docs/recommending.md has the rules."
    )


def _in_each(found: Recommendation) -> Iterator[Assessment]:
    """Yield what is met in each trial, and not known of others."""
    for candidate in found.candidates:
        yield from (own for own in candidate.assessments if own.fit is Fit.IN_EACH)


def _drained(rate: DrainRate) -> str:
    tracer, least = rate.tracer, "" if rate.exact else "at least "
    held_up = f", with {100 * (rate.cpu_share or 0):.0f} % of a CPU" if rate.held_up else ""
    what = f"{tracer.setup} {tracer.event_bytes} B {tracer.format} ring {size(tracer.ringbuf_bytes)}"
    return f"{what}: {least}{rate.events_per_s:,.0f} ({rate.source}, n = {len(rate.observed)}{held_up})"


def _then(found: Recommendation) -> str:
    """Say what to do with the command that measures, and what that leaves out."""
    command = found.to_measure or ""
    own = " study.toml is this run's study, which `bpfbench report` writes." if " study.toml " in command else ""
    has = "has" if len(found.unrated) == 1 else "have"
    left = f" {listed(found.unrated)} {has} no rate, and can be no part of it." if found.unrated else ""
    return f"Then ask again, of that run.{own}{left if ' --targets ' in command else ''}"


def _name(candidate: Candidate) -> str:
    role = f"{candidate.role}: " if candidate.role else ""
    return f"{candidate.setup} ({role}{wording.settings(candidate.config)})"
