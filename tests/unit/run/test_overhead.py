# SPDX-License-Identifier: Apache-2.0
"""Rounds go on until all is decided or time is over; everything measured is kept."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from overheads import failed, ran, rounds, study
from rich.console import Console

from bpfbench.analysis.questions.overhead import Overhead, overhead
from bpfbench.codec import from_json
from bpfbench.errors import MachineError, StepError
from bpfbench.model.target import OverheadRecord, OverheadResult, OverheadSpec, OverheadStudy
from bpfbench.run import overhead as running
from bpfbench.run.overhead import Rounds, further, order
from bpfbench.run.progress import ProgressReporter


def after(count: int, costs: dict[int, float], sd: float = 0.01, **changed: Any) -> Overhead:
    asked = replace(study(*(f"tracer {own}" for own in costs)), **changed)
    return overhead(asked, rounds(costs, count, sd=sd))


class TestFurther:
    def test_there_are_three_rounds_of_all_whatever_the_time(self) -> None:
        assert further(after(0, {0: 2.0, 1: 1.0}), 0.0).subjects == ((0,), (1,))
        assert further(after(2, {0: 2.0, 1: 1.0}), 1e6).subjects == ((0,), (1,))

    def test_who_is_decided_is_left_out(self) -> None:
        found = after(12, {0: 2.0, 1: 1.05})
        assert further(found, 1.0).subjects == ((1,),)

    def test_it_ends_when_all_is_decided(self) -> None:
        found = further(after(12, {0: 2.0, 1: 1.0}), 1.0)
        assert not found.more
        assert found.said == "Everything is decided after 12 rounds."

    def test_no_round_is_begun_that_would_end_after_the_time(self) -> None:
        found = after(4, {0: 1.0}, sd=0.3, seconds=60.0)
        assert further(found, 40.0).more
        late = further(found, 55.0)
        assert not late.more
        assert late.said == "The time is over after 4 rounds."

    def test_it_takes_longer_where_that_can_decide_it(self) -> None:
        found = after(5, {0: 1.0}, sd=0.02)
        assert found.open(found.rows[1])
        assert further(found, 59.0).more
        assert not further(replace(found, study=replace(found.study, seconds_at_most=60.0)), 59.0).more
        assert not further(found, 178.0).more

    def test_who_several_at_once_are_held_against_stays(self) -> None:
        asked = study("a", "b", "c", together=True)
        costs = {(0,): 2.0, (1,): 2.0, (2,): 2.0, (0, 1): 4.0, (0, 2): 4.0, (1, 2): 4.0, (0, 1, 2): 8.0}
        assert asked.subjects == tuple(costs)
        found = overhead(asked, [own for own in rounds(costs, 12, sd=0.002) if own.subject != (1, 2)])
        assert further(found, 1.0).subjects == ((1,), (2,), (1, 2))

    def test_time_is_kept_for_run_times_to_be_counted(self) -> None:
        found = after(4, {0: 1.0}, sd=0.3, seconds=60.0)
        assert [row.called for row in running.to_be_counted(found)] == ["tracer 0"]
        assert further(found, 51.0).more
        assert not further(found, 53.0).more

    def test_exactly_so_many_rounds_as_asked_for(self) -> None:
        assert further(after(4, {0: 2.0}, rounds=5), 1e6).more
        assert not further(after(5, {0: 2.0}, rounds=5), 0.0).more


def test_the_order_of_a_round_is_random_and_that_of_its_seed() -> None:
    asked = study("a", "b")
    orders = [order(asked, number, ((0,), (1,))) for number in range(1, 30)]
    assert all(sorted(own) == [(), (), (0,), (1,)] for own in orders)
    assert len(set(orders)) > 8
    assert orders == [order(asked, number, ((0,), (1,))) for number in range(1, 30)]
    assert orders != [order(replace(asked, seed=2), number, ((0,), (1,))) for number in range(1, 30)]


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What is logged."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, logged: logging.LogRecord) -> None:
            lines.append(logged.getMessage())

    logger, handler = logging.getLogger("bpfbench"), Kept()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)


def measured(tmp_path: Path, asked: OverheadStudy, results: dict[str, OverheadResult]) -> Rounds:
    """Measure tracers whose trials come out so, by their name."""

    def run(spec: OverheadSpec) -> OverheadResult:
        called = " + ".join(tracer.called for tracer in spec.tracers) or "bare"
        if called == "lost":
            raise StepError("the runner was lost")
        return results[called]

    log = running.start(asked, tmp_path / "runs")
    found = Rounds(asked, log, ProgressReporter(Console(file=io.StringIO())), run)
    found.measure()
    lines = (log.path / "trials.jsonl").read_text().splitlines()
    assert [from_json(OverheadRecord, line) for line in lines] == list(found.records)
    return found


class TestRounds:
    def test_the_first_run_is_a_warm_up_and_each_round_has_bare_twice(self, tmp_path: Path, said: list[str]) -> None:
        asked = study("tracer", rounds=2)
        found = measured(tmp_path, asked, {"bare": ran(1.0), "tracer": ran(2.0, traced=1)})
        assert [own.round for own in found.records] == [0, 1, 1, 1, 2, 2, 2, 0]
        assert [own.tracers for own in found.records].count(()) == 5
        assert said[0].startswith("warm-up: time 1 s, CPU 0.5 s")

    def test_run_time_is_counted_last_where_there_are_programs(self, tmp_path: Path, said: list[str]) -> None:
        found = measured(tmp_path, study("tracer", rounds=1), {"bare": ran(1.0), "tracer": ran(2.0, traced=1)})
        assert [(own.round, own.tracers, own.counted) for own in found.records][-1] == (0, (0,), True)
        assert said[-1].startswith("tracer, with run time counted: time 2 s")

    def test_several_run_at_once_in_any_order(self, tmp_path: Path) -> None:
        started: list[str] = []

        def run(spec: OverheadSpec) -> OverheadResult:
            started.append(" ".join(tracer.called for tracer in spec.tracers))
            return ran(1.0)

        asked = study("a", "b", rounds=8, together=True)
        log = running.start(asked, tmp_path / "runs")
        Rounds(asked, log, ProgressReporter(Console(file=io.StringIO())), run).measure()
        assert {"", "a", "b", "a b", "b a"} == set(started)
        assert started.count("a b") + started.count("b a") == 8

    def test_who_only_fails_is_not_tried_again(self, tmp_path: Path, said: list[str]) -> None:
        results = {"bare": ran(1.0), "tracer": ran(2.0), "broken": failed("it died")}
        found = measured(tmp_path, study("broken", "tracer", "lost", rounds=4), results)
        assert [own.round for own in found.records if own.tracers == (0,)] == [1, 2]
        assert [own.round for own in found.records if own.tracers == (2,)] == [1, 2]
        assert [own.round for own in found.records if own.tracers == (1,)] == [1, 2, 3, 4]
        assert any("round 1, broken: FAILED: it died" in line for line in said)

    def test_where_no_tracer_works_there_is_nothing_to_go_on_for(self, tmp_path: Path, said: list[str]) -> None:
        found = measured(tmp_path, study("broken"), {"bare": ran(1.0), "broken": failed("it died")})
        assert max(own.round for own in found.records) == 2
        assert said[-1] == "No tracer works, after 2 rounds."

    def test_a_target_that_does_not_work_is_told_before_any_tracer_runs(self, tmp_path: Path) -> None:
        with pytest.raises(MachineError, match=r"^the bare target does not work: it is gone$"):
            measured(tmp_path, study("tracer"), {"bare": failed("it is gone")})


def warmed_up(tmp_path: Path, asked: OverheadStudy, *times_s: float) -> list[int]:
    """Measure a bare target whose warm-ups take so long per run; return how many runs there are in each trial."""
    runs: list[int] = []

    def run(spec: OverheadSpec) -> OverheadResult:
        runs.append(spec.runs)
        result = ran(times_s[min(len(runs), len(times_s)) - 1])
        assert result.target is not None
        return replace(result, target=replace(result.target, runs=spec.runs))

    log = running.start(asked, tmp_path / "runs")
    Rounds(asked, log, ProgressReporter(Console(file=io.StringIO())), run).measure()
    return runs


class TestShortTarget:
    ROUND = 3
    """Trials of a round of one tracer."""

    def test_it_is_run_so_often_in_each_trial_that_it_takes_long_enough(self, tmp_path: Path) -> None:
        runs = warmed_up(tmp_path, study("none", rounds=2), 0.002)
        assert runs[0] == 1
        assert set(runs[1:]) == {running.runs_needed(0.002, 1)}
        assert runs[-1] * 0.002 >= running.TRIAL_LEAST_S

    def test_what_is_long_enough_is_run_once(self, tmp_path: Path) -> None:
        assert warmed_up(tmp_path, study("none", rounds=1), 2.0) == [1] * (1 + self.ROUND)

    def test_a_first_run_may_be_slow_for_another_reason(self, tmp_path: Path) -> None:
        assert warmed_up(tmp_path, study("none", rounds=1), 0.9, 0.4) == [1] * (2 + self.ROUND)
        runs = warmed_up(tmp_path / "cold", study("none", rounds=1), 0.9, 0.001)
        assert runs[:2] == [1, 1]
        assert set(runs[2:]) == {running.runs_needed(0.001, 1)}

    def test_it_is_run_once_where_each_run_needs_something_of_its_own(self, tmp_path: Path) -> None:
        asked = study("none", rounds=1)
        prepared = replace(asked, target=replace(asked.target, prepare=("make", "clean")))
        told = replace(asked, tracers=(replace(asked.tracers[0], command=("strace", "-p", "{pid}")),))
        for number, own in enumerate((prepared, told)):
            assert warmed_up(tmp_path / str(number), own, 0.001) == [1] * (1 + self.ROUND)
