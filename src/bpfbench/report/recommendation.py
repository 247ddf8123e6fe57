# SPDX-License-Identifier: Apache-2.0
"""What fits a user's needs, for the eye and for programs.

JSON (`schema` counts incompatible changes; new keys may come without one):

    schema         1
    run, wish      what was asked, of which run
    qualified      how many candidates do what is wanted
    candidates[]   the best first: setup, attach, format, ringbuf_bytes, poll_ms, fit (yes, likely, no, unknown),
                   fidelity (percent, low, high, at_least, basis[]) or null, overhead (percent, low, high, workload,
                   measured_percent, measured_rate_per_s, pairs) or null, preferred, reasons[], beyond[], shortfall
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence

from bpfbench.analysis.capacity import DrainRate
from bpfbench.analysis.recommend import Candidate, Fit, Preference, Recommendation, Wish
from bpfbench.report import wording
from bpfbench.report.columns import share
from bpfbench.report.sections import Section

SCHEMA = 1
"""Version of the JSON document. History: 1 (first)."""

PREFERRED = {
    Preference.MEMORY: "memory (PSS)",
    Preference.CPU: "CPU, us/event",
    Preference.OVERHEAD: "overhead",
    Preference.FIDELITY: "saved",
    Preference.LATENCY: "p99 latency",
    Preference.ENERGY: "energy",
}


def to_json(found: Recommendation, run: str) -> str:
    """Write a recommendation as one JSON document."""
    document = {
        "schema": SCHEMA,
        "run": run,
        "wish": dataclasses.asdict(found.wish),
        "qualified": len(found.qualified),
        "candidates": [dataclasses.asdict(candidate) for candidate in found.candidates],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def sections(found: Recommendation, run: str, emulated: bool) -> Iterator[Section]:
    """Describe a recommendation: the answer first, then every candidate with its evidence."""
    paragraphs = [_wanted(found.wish)]
    if emulated:
        paragraphs.append("The CPU was emulated: overheads and rates are not those of a real machine.")
    yield Section(_answer(found), tuple(paragraphs))
    show = found.wish.prefer not in (Preference.OVERHEAD, Preference.FIDELITY)
    header = ["setup", "configuration", "fits", "saved", "overhead", *([PREFERRED[found.wish.prefer]] if show else [])]
    rows = tuple(tuple(_row(candidate, found.wish, show)) for candidate in found.candidates)
    yield Section(f"Candidates of {run}, the best first", (), tuple(header), rows, texts=3)
    because = tuple(
        (_name(candidate), "; ".join((*candidate.reasons, *(f"beyond: {what}" for what in candidate.beyond))))
        for candidate in found.candidates
        if candidate.reasons or candidate.beyond
    )
    if because:
        yield Section("Why not, or not for sure", (), ("setup", "because"), because, texts=2)
    yield Section("What this rests on", tuple(_evidence(found)))


def _answer(found: Recommendation) -> str:
    if not found.candidates:
        return "The run has no ok trial of a tracer with events; nothing can be recommended."
    best = found.candidates[0]
    if best.fit is Fit.YES:
        return f"Take {_name(best)}."
    if best.fit is Fit.LIKELY:
        return f"{_name(best)} is likely to do, though {'; '.join(best.reasons)}."
    judged = [candidate for candidate in found.candidates if candidate.fit is Fit.NO]
    if judged:
        return f"None qualifies. The nearest is {_name(judged[0])}: it {' and '.join(judged[0].reasons)}."
    return f"That is beyond what was measured ({'; '.join(best.beyond)}); --extrapolate estimates it."


def _wanted(wish: Wish) -> str:
    return (
        f"Wanted: {wish.rate_per_s:,.0f} events/s of {wording.size(wish.event_bytes)}, at least "
        f"{wish.min_fidelity_percent:g} % saved, at most {wish.max_overhead_percent:g} % overhead; then the best in "
        f"{wish.prefer}."
    )


def _row(candidate: Candidate, wish: Wish, show_preferred: bool) -> Iterator[str]:
    yield candidate.setup
    yield _configuration(candidate)
    yield candidate.fit.value + (" (estimate)" if candidate.beyond and candidate.fit is not Fit.UNKNOWN else "")
    fidelity, overhead = candidate.fidelity, candidate.overhead
    if fidelity is None:
        yield wording.ABSENT
    else:
        least = ">= " if fidelity.at_least and fidelity.percent < 100 else ""
        spread = "" if fidelity.low == fidelity.high else f" [{share(fidelity.low)}, {share(fidelity.high)}]"
        yield f"{least}{share(fidelity.percent)} %{spread}"
    if overhead is None:
        yield wording.ABSENT
    else:
        ends = "" if overhead.low is None else f" [{overhead.low:+.1f}, {overhead.high:+.1f}]"
        yield f"{overhead.percent:+.1f} %{ends}"
    if show_preferred:
        yield _preferred(candidate.preferred, wish.prefer)


def _preferred(value: float | None, prefer: Preference) -> str:
    if value is None:
        return wording.ABSENT
    match prefer:
        case Preference.MEMORY:
            return wording.size(round(value))
        case Preference.LATENCY | Preference.ENERGY:
            return f"x {value:.3f}"
        case _:
            return f"{value:.2f}"


def _evidence(found: Recommendation) -> Iterator[str]:
    basis = dict.fromkeys(
        rate for candidate in found.candidates if candidate.fidelity for rate in candidate.fidelity.basis
    )
    if basis:
        yield f"Drain rates, events/s: {'; '.join(map(_drained, basis))}."
    if any(rate.held_up for rate in basis):
        yield (
            "Where a share of a CPU is given, the tracer had to wait for one: with a CPU of its own it drains faster. "
            "`bench drain` measures that, --drain takes it."
        )
    if found.steady:
        target = "a target with a rate of its own, which leaves the tracer a CPU"
    else:
        target = "a target that is as fast as it can be, as fio was; one with a rate of its own loses less"
    yield (
        f"Saved: of {target}; in brackets by the least and the greatest drain rate seen. Overhead: "
        "of fio's runtime, in the workload where it is worst, scaled down from the rate vanilla had to the wanted one; "
        "in brackets 95 % confidence. docs/statistics.md says how well such predictions come out."
    )


def _drained(rate: DrainRate) -> str:
    tracer, least = rate.tracer, "" if rate.exact else "at least "
    held_up = f", with {100 * (rate.cpu_share or 0):.0f} % of a CPU" if rate.held_up else ""
    what = f"{tracer.setup} {tracer.event_bytes} B {tracer.format} ring {wording.size(tracer.ringbuf_bytes)}"
    return f"{what}: {least}{rate.events_per_s:,.0f} ({rate.source}, n = {len(rate.observed)}{held_up})"


def _name(candidate: Candidate) -> str:
    return f"{candidate.setup} ({_configuration(candidate)})"


def _configuration(candidate: Candidate) -> str:
    names: Sequence[str] = ("attach", "format", "ringbuf_bytes", "poll_ms")
    return ", ".join(wording.factor(name, getattr(candidate, name)) for name in names)
