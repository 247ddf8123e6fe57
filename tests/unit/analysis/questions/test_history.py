# SPDX-License-Identifier: Apache-2.0
"""Many runs in a row: what is told as a step and what is not, and what is never compared."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from builders import make_fio, make_record, make_summary, make_trial
from numpy.typing import NDArray
from scipy import stats

from bpfbench.analysis import metrics
from bpfbench.analysis.changepoints import cut
from bpfbench.analysis.inference import alike_scatter_p
from bpfbench.analysis.questions.history import (
    RUNS_A_SIDE,
    RUNS_LEAST,
    History,
    LeftOut,
    PastRun,
    Trend,
    changed,
    history,
    past,
    steps,
)
from bpfbench.analysis.results import of
from bpfbench.declare import study
from bpfbench.model import Accelerator, Environment
from bpfbench.store import RUN_FORMAT, RunInfo

SMOKE = study.load(study.find("smoke"))
VERSIONS = {"libbpf": "1.5.0"}


def make_past(
    number: int,
    over: float = 1.2,
    *,
    machine: str = "here",
    kernel: str | None = "6.12",
    name: str = "smoke",
    saved: int = 1000,
    vanilla_s: float = 10.0,
    accelerator: Accelerator | None = None,
    image: Mapping[str, Any] | None = None,
) -> PastRun:
    """A run of the day of its number, of 3 blocks, in which libbpf takes so many times what vanilla takes."""
    saved -= number % 3
    jitter = np.random.default_rng(number).normal(0, 0.002, (3, 3))
    records = []
    for block, own in enumerate(jitter):
        for setup, seconds, noise in (("vanilla", vanilla_s, own[0]), ("libbpf", vanilla_s * over, own[1])):
            trial = make_trial(setup, block)
            lost = {"ring_full": 1000 - saved + block}
            fio = make_fio(runtime_s=seconds * math.exp(noise))
            record = make_record(trial, fio=fio, summary=make_summary(trial, saved=saved, lost=lost))
            environment = Environment(kernel, "boot", accelerator) if kernel else None
            records.append(dataclasses.replace(record, environment=environment))
    info = RunInfo(
        RUN_FORMAT,
        f"run-{number}",
        f"2026-01-{number + 1:02}T03:04:05+00:00",
        "0.1.0",
        dataclasses.replace(SMOKE, name=name, seed=number),
        len(records),
        (),
        {"name": "trixie", "key": "aaaa", "versions": VERSIONS, **(image or {})},
        {"host": machine, "cpus": 2, "cpu_model": "CPU", "kernel": "6.12"},
    )
    return past(f"run-{number}", machine, info, of(records, info))


def found_in(*runs: PastRun) -> History:
    return history(runs, (), cut)


def trend(found: History, setup: str = "libbpf", metric: metrics.Metric = metrics.RUNTIME) -> Trend:
    (only,) = (own for own in found.courses[0].trends if (own.cell.setup, own.metric) == (setup, metric))
    return only


def noisy(rng: np.random.Generator, kind: str, shape: int | tuple[int, int]) -> NDArray[np.float64]:
    if kind == "heavy":
        return np.asarray(rng.standard_t(3, shape) / math.sqrt(3))
    return np.asarray(rng.normal(0, 1, shape))


class TestSteps:
    @pytest.mark.parametrize("kind", ["normal", "heavy"])
    def test_of_series_in_which_nothing_changed_19_of_20_have_none(self, kind: str) -> None:
        rng = np.random.default_rng(1)
        told = [bool(steps(list(noisy(rng, kind, int(rng.integers(6, 60)))), cut)) for _ in range(800)]
        assert np.mean(told) <= 0.05

    def test_of_histories_in_which_nothing_changed_19_of_20_have_none_whatever_their_series(self) -> None:
        rng = np.random.default_rng(2)
        told = [any(steps(list(own), cut, 12) for own in noisy(rng, "normal", (12, 20))) for _ in range(500)]
        assert np.mean(told) <= 0.05 + 0.02  # 4 % of many thousands; of so few, give or take 2 points

    @pytest.mark.parametrize(("before", "after"), [(12, 5), (6, 6), (20, 20)])
    def test_a_step_is_found_and_at_the_right_run(self, before: int, after: int) -> None:
        rng = np.random.default_rng(3)
        level = np.repeat([0.0, 5.0], [before, after])
        found = [steps(list(level + noisy(rng, "normal", before + after)), cut, 4) for _ in range(100)]
        right = [own for own in found if [step.at for step in own] == [before]]
        assert len(right) >= 90
        assert np.mean([step.interval.low <= 5 <= step.interval.high for (step,) in right]) >= 0.85

    def test_a_spell_has_two(self) -> None:
        level = np.repeat([0.0, 8.0, 0.0], [10, 6, 10])
        values = level + noisy(np.random.default_rng(4), "normal", len(level))
        assert [step.at for step in steps(list(values), cut)] == [10, 16]

    def test_one_run_that_is_off_is_no_step(self) -> None:
        values = noisy(np.random.default_rng(5), "normal", 20)
        values[10] += 15
        assert steps(list(values), cut) == ()

    @pytest.mark.parametrize("values", [(), (1.0,), (1.0, 1.1, 0.9, 5.0, 5.1), (100.0,) * 12])
    def test_too_few_runs_and_a_number_that_never_moves_have_none(self, values: Sequence[float]) -> None:
        assert steps(values, cut) == ()

    def test_values_far_from_0_have_the_steps_of_those_near(self) -> None:
        near = list(np.repeat([0.0, 6.0], 8) + noisy(np.random.default_rng(6), "normal", 16))
        assert [[step.at for step in steps([own + base for own in near], cut)] for base in (0.0, 1e7)] == [[8], [8]]

    def test_p_is_students_for_all_that_was_looked_at(self) -> None:
        values = list(np.repeat([0.0, 6.0], 8) + noisy(np.random.default_rng(7), "normal", 16))
        (found,) = steps(values, cut, 5)
        places = 16 - 2 * RUNS_A_SIDE + 1
        assert found.p == pytest.approx(5 * places * stats.ttest_ind(values[:8], values[8:]).pvalue)
        welch = stats.ttest_ind(values[8:], values[:8], equal_var=False).confidence_interval()
        assert (found.interval.low, found.interval.high) == pytest.approx(tuple(welch))

    def test_what_the_search_puts_and_no_test_confirms_is_dropped_and_its_sides_joined(self) -> None:
        values = list(np.repeat([0.0, 6.0], 12) + noisy(np.random.default_rng(8), "normal", 24))
        (found,) = steps(values, lambda *_: [4, 12, 19])
        assert found.at == 12
        assert found.before == pytest.approx(np.mean(values[:12]))
        assert found.after == pytest.approx(np.mean(values[12:]))

    @pytest.mark.parametrize("samples", [((1.0,), (2.0,)), ((), (1.0, 2.0)), ((1.0, 1.0), (2.0, 2.0))])
    def test_without_scatter_nothing_is_tested(self, samples: tuple[Sequence[float], Sequence[float]]) -> None:
        assert alike_scatter_p(*samples) is None


class TestHistory:
    def test_a_slowdown_is_told_at_its_run_with_what_changed_then(self) -> None:
        newer = {"key": "bbbb", "versions": {"libbpf": "1.6.0"}}
        found = found_in(
            *(make_past(at, 1.3 if at >= 7 else 1.2, image=newer if at >= 7 else None) for at in range(12))
        )
        (course,) = found.courses
        own = trend(found)
        (step,) = own.steps
        before, after = course.around(own, step)
        assert (before.name, after.name) == ("run-6", "run-7")
        assert own.change(step.difference) == pytest.approx(100 * (1.3 / 1.2 - 1), abs=0.3)
        assert own.shown(step.before) == pytest.approx(20, abs=0.5)
        assert {fact.what for fact in course.coincident(own, step)} == {"image.key", "image.versions.libbpf"}
        assert trend(found, "vanilla").steps == ()

    def test_a_slower_machine_is_a_step_of_vanilla_alone(self) -> None:
        found = found_in(*(make_past(at, vanilla_s=20 if at >= 6 else 10) for at in range(12)))
        stepped = {(own.cell.setup, own.metric.key) for own, _ in found.courses[0].steps}
        assert ("vanilla", "runtime_s") in stepped
        assert ("libbpf", "runtime_s") not in stepped

    def test_shares_step_by_points(self) -> None:
        found = found_in(*(make_past(at, saved=900 if at >= 6 else 990) for at in range(12)))
        own = trend(found, metric=metrics.SAVED_PERCENT)
        assert own.by_difference
        assert not own.less_is_better
        (step,) = own.steps
        assert own.change(step.difference) == pytest.approx(-9, abs=0.2)

    def test_machines_kernels_and_studies_are_kept_apart(self) -> None:
        found = found_in(
            *(make_past(at) for at in range(4)),
            *(make_past(at, 1.6, machine="there") for at in range(4, 8)),
            *(make_past(at, 1.9, kernel="6.18") for at in range(8, 12)),
            *(make_past(at, 2.2, name="other") for at in range(12, 16)),
        )
        places = [(own.study, own.machine, own.kernel, len(own.runs)) for own in found.courses]
        assert places == [
            ("smoke", "here", "6.12", 4),
            ("smoke", "there", "6.12", 4),
            ("smoke", "here", "6.18", 4),
            ("other", "here", "6.12", 4),
        ]
        assert not any(course.steps for course in found.courses)
        assert {own.runs_lacking for course in found.courses for own in course.trends} == {RUNS_LEAST - 4}

    def test_runs_are_in_the_order_they_began_and_a_number_may_be_missing_in_some(self) -> None:
        runs = [make_past(at) for at in (2, 0, 1)]
        runs[0] = dataclasses.replace(
            runs[0], values={key: own for key, own in runs[0].values.items() if key[1].is_vanilla}
        )
        found = found_in(*runs)
        assert [run.name for run in found.courses[0].runs] == ["run-0", "run-1", "run-2"]
        assert trend(found).at == (0, 1)
        assert trend(found, "vanilla").at == (0, 1, 2)

    def test_a_copy_and_a_run_of_nothing_are_left_out_with_the_reason(self) -> None:
        one = make_past(0)
        copied = dataclasses.replace(one, name="run-0-again")
        nothing = make_past(1, accelerator=Accelerator.TCG)
        found = history((one, copied, nothing), (LeftOut("torn", "no JSON"),), cut)
        assert [len(course.runs) for course in found.courses] == [1]
        assert found.left_out == (
            LeftOut("torn", "no JSON"),
            LeftOut("run-0-again", "a copy of run-0, value by value"),
            LeftOut("run-1", "no trial of it counts that could be compared"),
        )

    def test_a_kernel_that_records_do_not_name_is_the_machines(self) -> None:
        assert [course.kernel for course in found_in(make_past(0, kernel=None)).courses] == ["6.12"]

    def test_seed_and_host_name_are_no_changes(self) -> None:
        first, second = make_past(0, machine="one"), make_past(1, machine="two")
        assert changed(first.info, second.info) == ()

    def test_a_run_is_the_mean_of_its_pairs_with_students_interval(self) -> None:
        (value,) = trend(found_in(make_past(0))).values
        assert value.n == 3
        assert value.interval is not None
        assert value.interval.low < math.log(1.2) < value.interval.high
        assert trend(found_in(make_past(0))).scatter is None
