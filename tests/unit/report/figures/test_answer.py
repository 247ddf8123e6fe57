# SPDX-License-Identifier: Apache-2.0
"""The answer as a picture says no more than the decisions do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builders import make_fio, make_record, make_summary, make_trial

from bpfbench.analysis.questions.needs import Answers, answers
from bpfbench.analysis.results import of
from bpfbench.model import VANILLA, Criteria
from bpfbench.report.chart import Chart
from bpfbench.report.figures import drawn
from bpfbench.report.figures.answer import overview, printed
from bpfbench.report.figures.palette import looks
from bpfbench.report.spans import Overview

STEADY = (1.20, 1.21, 1.20, 1.19, 1.20, 1.21)
STEADIER = (1.02, 1.01, 1.02, 1.03, 1.02, 1.01)
NOISY = ((1.2, 0.9, 1.1, 1.0, 0.8, 1.1), (0.9, 1.1, 1.2, 0.8, 1.1, 1.0))


def found_of(factors: Mapping[str, Sequence[float]], saved: Mapping[str, int] | None = None) -> Answers:
    records = []
    rounds = len(next(iter(factors.values())))
    for setup, own in {VANILLA: [1.0] * rounds, **factors}.items():
        for block, factor in enumerate(own):
            trial, kept = make_trial(setup, block), (saved or {}).get(setup, 1000)
            summary = make_summary(trial, saved=kept - block, lost={"ring_full": 1000 - kept + block})
            records.append(make_record(trial, fio=make_fio(runtime_s=10 * factor), summary=summary))
    return answers(of(records), Criteria())[0]


def picture(factors: Mapping[str, Sequence[float]], saved: Mapping[str, int] | None = None) -> Overview:
    found = overview(found_of(factors, saved))
    assert found is not None
    return found


def test_setups_are_sorted_by_what_they_cost_with_vanilla_at_zero() -> None:
    over = picture({"bcc": STEADY, "libbpf": STEADIER}).panels[0]
    assert [span.setup for span in over.spans] == ["libbpf", "bcc"]
    assert over.line.value == 0
    assert [span.ends[0] < span.value < span.ends[1] for span in over.spans] == [True, True]


def test_who_is_told_apart_has_a_colour_and_who_is_not_has_none() -> None:
    told = picture({"bcc": STEADY, "libbpf": STEADIER})
    assert all(span.told for span in told.panels[0].spans)
    noisy = picture(dict(zip(("bcc", "libbpf"), NOISY, strict=True)))
    assert not any(span.told for span in noisy.panels[0].spans)
    assert "Grey: not told apart from the best." in noisy.caption


def test_what_is_not_known_is_drawn_to_both_ends_and_says_so() -> None:
    found = picture({"bcc": STEADY[:2], "libbpf": STEADIER[:2]})
    over = found.panels[0]
    assert all(over.beyond(span) == (True, True) for span in over.spans)
    assert all("no interval" in span.text for span in over.spans)
    assert "beyond" in found.caption


def test_events_saved_are_those_at_the_highest_rate_beside_the_floor() -> None:
    saved = picture({"bcc": STEADY, "libbpf": STEADIER}, {"bcc": 400, "libbpf": 990}).panels[1]
    assert (saved.shown, saved.line.value) == ((0.0, 100.0), 95.0)
    assert {span.setup: round(span.value) for span in saved.spans} == {"libbpf": 99, "bcc": 40}
    assert all(0 <= span.ends[0] <= span.value <= span.ends[1] <= 100 for span in saved.spans)


def for_print(factors: Mapping[str, Sequence[float]]) -> Chart:
    chart = printed(found_of(factors), several=False)
    assert chart is not None
    return chart


def test_print_has_the_same_picture() -> None:
    factors = {"bcc": STEADY, "libbpf": STEADIER}
    chart = for_print(factors)
    on_page = picture(factors)
    for row, view in zip(chart.rows, on_page.panels, strict=True):
        (panel,) = row.panels
        assert [(mark.setup, mark.y, mark.told) for mark in panel.marks] == [
            (own.setup, own.value, own.told) for own in view.spans
        ]
        assert panel.band is not None
        assert panel.band.y == view.line.value
    assert set(drawn.draw(chart, looks(["vanilla", *factors]), ["svg"])) == {"svg"}


def test_print_says_which_intervals_go_on_and_who_is_not_told_apart() -> None:
    chart = for_print({"bcc": STEADY[:2], "libbpf": STEADIER[:2]})
    assert "goes on" in chart.caption
    assert "Hollow: not told apart from the best." in chart.caption
    assert drawn.draw(chart, looks(["vanilla", "bcc", "libbpf"]), ["svg"])
