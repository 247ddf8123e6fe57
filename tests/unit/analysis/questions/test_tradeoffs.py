# SPDX-License-Identifier: Apache-2.0
"""What setups trade for what: fronts, correlations, and what cannot be said."""

from __future__ import annotations

import json

import pytest
from builders import make_fio, make_record, make_summary, make_trial
from hypothesis import given
from hypothesis import strategies as st

from bpfbench.analysis.questions.tradeoffs import (
    FIDELITY,
    OVERHEAD,
    Coordinate,
    OnFront,
    Point,
    TradeOffs,
    correlations,
    front,
    trade_offs,
)
from bpfbench.analysis.results import Cell, of
from bpfbench.analysis.statistics import analyse
from bpfbench.model import Criteria, Record, Tool, Workload
from bpfbench.report.documents import tradeoffs as report
from bpfbench.report.write.json import written

VALUES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


def _point(setup: str, overhead: float, saved: float) -> Point:
    cell = Cell(None, False, Workload("read", 4, 4096), Tool.RW_TRACER, setup)
    at = {OVERHEAD: Coordinate(overhead, None, 3), FIDELITY: Coordinate(saved, None, 3)}
    return Point(cell, at)


def _names(points: tuple[Point, ...]) -> list[str]:
    return [point.cell.setup for point in points]


class TestFront:
    def test_keeps_what_nothing_beats_the_cheapest_first(self) -> None:
        points = [_point("dear", 20, 99), _point("cheap", 1, 40), _point("beaten", 21, 98), _point("middle", 5, 60)]
        assert _names(front(points, (OVERHEAD, FIDELITY))) == ["cheap", "middle", "dear"]

    def test_points_alike_stay_together(self) -> None:
        points = [_point("one", 1, 40), _point("other", 1, 40), _point("worse", 1, 39)]
        assert set(_names(front(points, (OVERHEAD, FIDELITY)))) == {"one", "other"}

    def test_a_point_without_an_axis_takes_no_part(self) -> None:
        lacking = Point(_point("lacking", 0, 0).cell, {OVERHEAD: Coordinate(0, None, 1)})
        assert _names(front([lacking, _point("whole", 5, 5)], (OVERHEAD, FIDELITY))) == ["whole"]

    @given(VALUES)
    def test_every_other_point_is_beaten_by_one_of_the_front(self, values: list[tuple[int, int]]) -> None:
        points = [_point(str(n), overhead, saved) for n, (overhead, saved) in enumerate(values)]
        found = front(points, (OVERHEAD, FIDELITY))
        pairs = {p.cell.setup: (-p.at[OVERHEAD].value, p.at[FIDELITY].value) for p in points}
        on = set(_names(found))

        def beats(one: str, other: str) -> bool:
            mine, theirs = pairs[one], pairs[other]
            return mine != theirs and mine[0] >= theirs[0] and mine[1] >= theirs[1]

        for name in pairs:
            assert any(beats(other, name) for other in on) is (name not in on)


class TestCorrelations:
    def _of(self, points: list[Point]) -> tuple[float | None, float | None, str | None]:
        (found,) = (c for c in correlations(points) if c.axes == (OVERHEAD, FIDELITY))
        return found.rho, found.p, found.reason

    def test_perfect_order(self) -> None:
        rho, p, _ = self._of([_point(str(n), n, n**2) for n in range(6)])
        assert rho == pytest.approx(1.0)
        # Of the 720 orders of six, 1 is as extreme on either side.
        assert p == pytest.approx(2 / 720)

    def test_ties_share_ranks(self) -> None:
        # Ranks 1, 2, 3, 4 and 1.5, 1.5, 3.5, 3.5: the deviations give 4 / root of (5 * 4) = 0.8944.
        rho, _, _ = self._of([_point(str(n), n, (0, 0, 1, 1)[n]) for n in range(4)])
        assert rho == pytest.approx(0.894427, abs=1e-6)

    def test_too_few_or_all_alike_is_absent_with_the_reason(self) -> None:
        assert self._of([_point(str(n), n, n) for n in range(3)]) == (None, None, "it takes 4 cells that have both")
        rho, _, reason = self._of([_point(str(n), n, 100) for n in range(5)])
        assert rho is None
        assert reason is not None
        assert "same value" in reason


def _records() -> list[Record]:
    records = []
    for block in range(3):
        records.append(make_record(make_trial(block=block), fio=make_fio(runtime_s=10.0 + block)))
        for setup, slower, saved in (("libbpf", 1.2, 990), ("bcc", 1.05, 400), ("ebpf-go", 1.3, 300)):
            trial = make_trial(setup, block)
            summary = make_summary(trial, saved=saved, lost={"ring_full": 1000 - saved})
            runtime_s = slower * (10.0 + block) + 0.01 * block
            records.append(make_record(trial, fio=make_fio(runtime_s=runtime_s), summary=summary))
    return records


def _of(rounds: list[list[tuple[float, int]]]) -> list[Record]:
    """Rounds of vanilla and three setups, each with its runtime and the events that it saved of 1000."""
    records = []
    for block, own in enumerate(rounds):
        records.append(make_record(make_trial(block=block), fio=make_fio(runtime_s=5.0)))
        for setup, (runtime_s, saved) in zip(("libbpf", "bcc", "ebpf-go"), own, strict=True):
            trial = make_trial(setup, block)
            summary = make_summary(trial, saved=saved, lost={"ring_full": 1000 - saved})
            records.append(make_record(trial, fio=make_fio(runtime_s=runtime_s), summary=summary))
    return records


def _found(records: list[Record]) -> TradeOffs:
    results = of(records)
    return trade_offs(results, analyse(results), Criteria())


class TestOfARun:
    def test_places_points_and_fronts(self) -> None:
        (found,) = _found(_records()).each
        assert _names(found.front) == ["bcc", "libbpf"]
        (libbpf,) = (point for point in found.points if point.cell.setup == "libbpf")
        assert libbpf.at[OVERHEAD].value == pytest.approx(20.1, abs=0.1)
        assert libbpf.at[FIDELITY].value == pytest.approx(99.0)

    def test_who_is_on_the_front_is_certain_where_the_rounds_say_so(self) -> None:
        (found,) = _found(_records()).each
        on = {point.cell.setup: found.on_front(point) for point in found.points}
        assert on == {"libbpf": OnFront.CERTAIN, "bcc": OnFront.CERTAIN, "ebpf-go": OnFront.NO}

    def test_else_it_is_by_the_means_alone_or_possible(self) -> None:
        (found,) = _found(_records()[:8]).each  # two rounds tell nothing
        on = {point.cell.setup: found.on_front(point) for point in found.points}
        assert on == {"libbpf": OnFront.MEANS, "bcc": OnFront.MEANS, "ebpf-go": OnFront.POSSIBLE}

    @given(st.lists(st.lists(st.tuples(st.floats(5, 20), st.integers(1, 999)), min_size=3, max_size=3), max_size=6))
    def test_nobody_is_on_the_front_for_certain_whom_the_means_rule_out(
        self, rounds: list[list[tuple[float, int]]]
    ) -> None:
        for group in _found(_of(rounds)).each:
            certain = [point for point in group.points if group.on_front(point) is OnFront.CERTAIN]
            assert all(point in group.front for point in certain)

    def test_json_points_at_the_front(self) -> None:
        document = json.loads(written(report.data(_found(_records()))))
        (group,) = document["groups"]
        assert [group["points"][number]["cell"]["setup"] for number in group["front"]] == ["bcc", "libbpf"]
        assert document["axes"]["saved_percent"]["higher_is_better"]

    def test_counting_tools_have_no_fidelity_to_trade(self) -> None:
        records = [make_record(make_trial("bcc", tool=Tool.SYSCOUNT))]
        assert _found(records).each == ()
