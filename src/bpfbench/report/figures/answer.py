# SPDX-License-Identifier: Apache-2.0
"""The answer at a glance: what each setup costs the application it watches, and what it saves of the events.

Intervals are those of the decisions: they hold at every look, and for all setups at once. Who is not told apart from
the best has no colour, whatever the means are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bpfbench.analysis.decision import Decision, Standing
from bpfbench.analysis.gaps import Gap
from bpfbench.analysis.questions.needs import FIDELITY, AllRound, Answer, Answers, Contest
from bpfbench.model import VANILLA
from bpfbench.report import wording
from bpfbench.report.chart import Chart, Mark, Pair, Panel, PanelRow
from bpfbench.report.numbers import rounded, share
from bpfbench.report.quantities import BY_METRIC
from bpfbench.report.spans import Baseline, Overview, Span, Spans, room
from bpfbench.units import count

NOTHING = (-math.inf, math.inf)
SHARES = (0.0, 100.0)
UNKNOWN = "no interval"
INTERVALS = "95 % intervals that hold at every look and for all setups at once."


def overview(found: Answers) -> Overview | None:
    """Make the picture of a kernel's answers; None where there is neither an overhead nor an event that was saved."""
    panels, said = _panels(found)
    if not panels:
        return None
    key = ("Lines", "An arrow: the interval goes on beyond the picture.", "Grey")
    return Overview(tuple(panels), _caption(panels, said, *key))


def printed(found: Answers, several: bool) -> Chart | None:
    """Make the same for print; `several`: there are other kernels' beside it."""
    panels, said = _panels(found)
    if not panels:
        return None
    caption = _caption(panels, said, "Bars", "A bar that ends where the picture does goes on.", "Hollow")
    rows = tuple(_row(panel) for panel in panels)
    key = "-".join(filter(None, ("answer", found.kernel, *found.tools[:1]))) if several else "answer"
    return Chart(key, "The answer", caption, ("",), rows)


def _caption(panels: Sequence[Spans], said: Sequence[str], ends: str, clipped: str, untold: str) -> str:
    """Say what is drawn: how intervals are, how those that go on beyond the picture, and who is not told apart."""
    parts = [*said, f"{ends}: {INTERVALS}"]
    if any(panel.is_clipped for panel in panels):
        parts.append(clipped)
    if any(not span.told for panel in panels for span in panel.spans):
        parts.append(f"{untold}: not told apart from the best.")
    return " ".join(parts)


def _row(view: Spans) -> PanelRow:
    """Intervals below each other, as bars beside each other."""
    low, high = view.shown

    def within(ends: Pair) -> Pair:
        return max(low, ends[0]), min(high, ends[1])

    marks = tuple(Mark(own.setup, own.setup, own.value, within(own.ends), told=own.told) for own in view.spans)
    line = Mark(view.line.label, VANILLA, view.line.value, view.line.band)
    return PanelRow(view.title, view.unit, (Panel(marks, band=line),), bars="95 % interval", shown=view.shown)


def _panels(found: Answers) -> tuple[list[Spans], list[str]]:
    """What is drawn, with what is to be said of each."""
    by_need = {answer.need: answer for answer in found.needs}
    costs = found.costs
    panels: list[Spans] = []
    said: list[str] = []
    if costs and (over := _over_vanilla(costs)):
        panels.append(over)
        cases = len(costs.decision.contested)
        said.append(f"Change against vanilla, mean over {cases} cases." if cases > 1 else "Change against vanilla.")
        if over.line.band is not None:
            said.append("Shaded: what vanilla differs from itself by.")
    if found.all_round and FIDELITY in by_need:
        order = costs.decision.whole.order if costs else ()
        panels.append(_saved(found.all_round, by_need[FIDELITY], order))
        said.append("Events saved: in the case in which a setup saves least.")
    return panels, said


def _over_vanilla(answer: Answer) -> Spans | None:
    need, decision, noise = answer.need, answer.decision, answer.noise
    spans = tuple(
        _span(answer, setup, gap)
        for setup in decision.whole.order
        if (gap := answer.worth[setup].over_vanilla) is not None
    )
    if not spans:
        return None
    band = None if noise is None else (need.change(noise), need.change(-noise))
    line = Baseline(0.0, "vanilla", band)
    return Spans(f"{BY_METRIC[need.metric].title} over vanilla", "%", spans, line, room(spans, line))


def _span(answer: Answer, setup: str, gap: Gap) -> Span:
    need, value = answer.need, answer.need.change(gap.mean)
    ends = NOTHING
    if math.isfinite(gap.interval.high - gap.interval.low):
        changes = need.changes(gap.interval)
        ends = changes.low, changes.high
    known = UNKNOWN if ends == NOTHING else f"[{_number(ends[0])}, {_number(ends[1])}]"
    return Span(setup, value, ends, f"{_number(value)} % {known}", _told(answer.decision, setup))


def _saved(found: AllRound, answer: Answer, order: tuple[str, ...]) -> Spans:
    at = found.rates[0]
    setups = [*(own for own in order if own in at.saved), *(own for own in at.saved if own not in order)]
    spans = []
    for setup in setups:
        low, high = at.saved[setup].low, at.saved[setup].high
        known = "in each trial" if low == high else f"[{_share(low)}, {_share(high)}]"
        text = f"{share(at.least[setup])} % {known}"
        spans.append(Span(setup, at.least[setup], (low, high), text, _told(answer.decision, setup)))
    speed = "at full speed, " if at.pace.rate_iops is None else "at "
    line = Baseline(at.floor_percent, f"{at.floor_percent:g} %")
    return Spans(
        f"events saved {speed}{count(at.events_per_s)} events/s{wording.bursts(at.pace)}",
        "%",
        tuple(spans),
        line,
        SHARES,
    )


def _told(decision: Decision[Contest], setup: str) -> bool:
    return setup in decision.named or decision.whole.standing(setup) is Standing.WORSE


def _number(change: float) -> str:
    return rounded(change, 0 if abs(change) >= 100 else 1, "+")


def _share(percent: float) -> str:
    return f"{percent:.0f}" if percent in (0.0, 100.0) else f"{percent:.1f}"
