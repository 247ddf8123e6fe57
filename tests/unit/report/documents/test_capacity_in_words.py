# SPDX-License-Identifier: Apache-2.0
"""What is said of predictions: beside what was measured, and that they may be too low where that is so."""

from __future__ import annotations

from bpfbench.analysis.questions.capacity import Capacity, DrainRate, HeldOut, Source
from bpfbench.analysis.questions.ring_trials import Target, Tracer
from bpfbench.report.about import About
from bpfbench.report.documents import capacity
from bpfbench.report.write import markdown

RUN = About("bursts", "r1", 9, 9)
SMALL = Tracer("libbpf", "tracepoint", "text", 156, 256 * 1024)
LARGE = Tracer("libbpf", "tracepoint", "text", 156, 4 * 2**20)
BURSTS = Target("write", 4, 10_000, 4096, 12.5)


def said(found: Capacity) -> str:
    return markdown.text(capacity.document(found, RUN)).replace("\\", "")


def test_each_prediction_stands_beside_what_was_measured() -> None:
    held = HeldOut(SMALL, BURSTS, 39_900.0, 310_000.0, 60.0, 67.5, 3, False, (50.0, 70.0), (62.0, 80.0))
    text = said(Capacity((), (held,)))
    assert "write, 4 processes, each at most 10000 IOPS, in bursts of 4096 I/Os, 12.5 % of the time" in text
    assert "Offered: up to 39.9 k events/s, up to 310 k within bursts." in text
    assert "| libbpf, tracepoint, text | 256 KiB | 60.00 [50.00, 70.00] | 67.50 [62.00, 80.00] | -7.5 | 3 |" in text
    assert "0 of 1 predictions within 5 points, 0 of 1 where events were lost; median 7.5, worst 7.5." in text


def test_a_drain_rate_that_is_known_from_below_only_is_marked_and_so_is_what_follows_from_it() -> None:
    held = HeldOut(LARGE, BURSTS, 39_900.0, 310_000.0, 90.0, 100.0, 3, True, (90.0, 90.0), (100.0, 100.0))
    rate = DrainRate(LARGE, Source.RUN, 250_000.0, (250_000.0,), exact=False, cpu_share=None)
    text = said(Capacity((rate,), (held,)))
    assert "| ≥ 90.00 | 100.00 | +0.0 | 3 |" in text
    assert "| ≥ 250 k |" in text


def test_of_nothing_nothing_is_said_but_why() -> None:
    assert said(Capacity((), ())).strip() == capacity.NONE


def told(percents: tuple[float, float], target: Target) -> HeldOut:
    predicted, measured = percents
    return HeldOut(SMALL, target, 5e4, 4e5, predicted, measured, 3, False, (predicted, predicted), (measured, measured))


def test_the_report_has_a_chapter_of_rates_and_bursts_where_something_is_lost() -> None:
    full = told((9.0, 1.0), Target("read", 4, None))
    found = capacity.chapter(
        Capacity((), (told((61.0, 63.5), BURSTS), told((100.0, 100.0), Target("write", 4, 10)), full))
    )
    assert found is not None
    text = markdown.text((found,)).replace("\\", "")
    assert "2 of 2 predictions within 5 points, 1 of 1 where events were lost; median 1.2, worst 2.5." in text
    assert "| 61.00 | 63.50 |" in text
    assert "read" not in text
    for nothing in ((), (full,), (told((100.0, 100.0), BURSTS),)):
        assert capacity.chapter(Capacity((), nothing)) is None
