# SPDX-License-Identifier: Apache-2.0
"""Which setup for which need: nobody is named for what may be noise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from builders import make_config, make_delivery, make_fio, make_record, make_summary, make_trial, make_usage

from bpfbench.analysis.decision import Outcome
from bpfbench.analysis.questions.needs import Answer, answers
from bpfbench.analysis.results import of
from bpfbench.model import VANILLA, Accelerator, Criteria, Environment, RateProcess, Record, Variant
from bpfbench.report.documents import needs as report
from bpfbench.report.write import markdown

VANILLA_S = (10.0, 14.0, 11.0, 19.0, 12.0, 15.0)
"""A machine that drifts from block to block."""


def run_of(factors: Mapping[str, Sequence[float]], saved: Mapping[str, int] | None = None) -> list[Record]:
    """Trials of setups, each by its factors over vanilla, block by block."""
    records = []
    for setup, own in {VANILLA: [1.0] * len(VANILLA_S), **factors}.items():
        for block, (base, factor) in enumerate(zip(VANILLA_S, own, strict=False)):
            trial = make_trial(setup, block)
            kept = (saved or {}).get(setup, 1000)
            summary = make_summary(trial, saved=kept - block, lost={"ring_full": 1000 - kept + block})
            records.append(make_record(trial, fio=make_fio(runtime_s=base * factor), summary=summary))
    return records


AS_USUAL = Criteria()


def answered(records: Sequence[Record], criteria: Criteria = AS_USUAL) -> dict[str, Answer]:
    found = answers(of(records), criteria)
    return {answer.need.key: answer for own in found for answer in own.needs}


def text(records: Sequence[Record]) -> str:
    return markdown.text(report.document(answers(of(records), Criteria()), "latest"))


def test_who_is_better_in_every_block_is_named_however_the_machine_drifts() -> None:
    found = answered(
        run_of({"bcc": (1.21, 1.20, 1.22, 1.19, 1.20, 1.21), "libbpf": (1.01, 1.02, 1.01, 1.03, 1.02, 1.01)})
    )
    assert found["overhead"].decision.named == ("libbpf",)


def test_what_noise_can_explain_is_no_difference() -> None:
    noisy = run_of({"bcc": (1.1, 0.95, 1.05, 1.0, 0.9, 1.05), "libbpf": (0.95, 1.05, 1.1, 0.9, 1.05, 1.0)})
    decision = answered(noisy)["overhead"].decision
    assert decision.outcome is Outcome.UNDECIDED
    assert set(decision.possible) == {"bcc", "libbpf"}
    said = text(noisy)
    assert "Undecided" in said
    assert re.search(r"about \d+ rounds? more \(", said)
    assert "bpfbench run --resume latest --until decided" in said


def test_what_would_take_more_than_anybody_runs_is_not_to_be_decided_here() -> None:
    noisy = run_of({"bcc": (1.6, 0.7, 1.3, 1.0, 0.6, 1.2), "libbpf": (0.7, 1.3, 1.5, 0.6, 1.3, 1.0)})
    said = text(noisy)
    assert "not to be decided here" in said
    assert "in 200 rounds more: " in said
    assert not re.search(r"about \d+ rounds? more", said)
    assert "; the margin is 5 %" in said
    assert "--until" not in said


def test_what_can_be_decided_is_what_the_command_asks_for() -> None:
    noisy = run_of({"bcc": (1.6, 0.7, 1.3, 1.0, 0.6, 1.2), "libbpf": (0.7, 1.3, 1.5, 0.6, 1.3, 1.0)})
    start = {"bcc": (1.0, 1.1, 1.05, 0.95, 1.0, 1.1), "libbpf": (1.05, 1.0, 1.1, 1.0, 0.9, 1.0)}
    records = [
        replace(r, usage=replace(make_usage(), startup_s=start[r.trial.setup][r.trial.block]))
        if r.trial.setup in start
        else r
        for r in noisy
    ]
    assert "bpfbench run --resume latest --until startup" in text(records)


def test_between_equals_memory_decides_and_then_start_up() -> None:
    def taking(pss: Mapping[str, int]) -> str:
        records = run_of({"bcc": (1.2,) * 6, "libbpf": (1.0,) * 6, "aya-sync": (1.0,) * 6})
        return text([replace(r, usage=make_usage(pss_peak_bytes=pss.get(r.trial.setup, 5))) for r in records])

    said = taking({"libbpf": 2, "aya-sync": 9, "bcc": 1})
    assert "of these, libbpf is the best in memory, by more than 5 %." in said
    assert "equal within 5 %; libbpf is the best in memory, by more than 5 %" in said
    said = taking({})
    assert "of these, libbpf and aya-sync are equal in memory, within 5 %" in said


def test_where_memory_and_start_up_are_equal_size_decides() -> None:
    records = run_of({"bcc": (1.2,) * 6, "libbpf": (1.0,) * 6, "aya-sync": (1.0,) * 6})
    size = {"libbpf": 4, "aya-sync": 2, "bcc": 1}
    said = text(
        [replace(r, usage=replace(make_usage(), code_bytes=size.get(r.trial.setup, 9) * 2**20)) for r in records]
    )
    assert "are equal in start-up, within 5 %; aya-sync is the best in size, by more than 5 %" in said


def test_setups_are_grouped_by_the_rate_up_to_which_they_save_enough() -> None:
    def at(rate: int | None, saved: Mapping[str, int]) -> list[Record]:
        return [
            replace(r, trial=replace(r.trial, workload=replace(r.trial.workload, rate_iops=rate)))
            for r in run_of({"bcc": (1.2,) * 6, "libbpf": (1.0,) * 6, "aya-sync": (1.3,) * 6}, saved)
        ]

    slow, fast = {"bcc": 1005, "libbpf": 1005, "aya-sync": 1005}, {"bcc": 505, "libbpf": 505, "aya-sync": 505}
    all_alike = text([*at(1000, slow), *at(None, fast)])
    assert "events/s all do, in each trial, the cheapest: all are equal within 5 %" in all_alike
    some = text([*at(1000, slow | {"bcc": 505}), *at(2000, fast | {"aya-sync": 1005}), *at(None, fast)])
    assert re.search(
        r"each up to the rate, in each trial: at .* events/s aya-sync, at .* events/s libbpf, at no rate bcc\.", some
    )


def test_who_lost_nothing_in_any_trial_is_said_to_save_enough_in_each_and_no_more() -> None:
    def lossless(records: Sequence[Record], *setups: str) -> list[Record]:
        return [
            replace(r, summary=make_summary(r.trial, saved=1000, lost={"ring_full": 0}))
            if r.trial.setup in setups
            else r
            for r in records
        ]

    records = run_of({"bcc": (1.2,) * 6, "libbpf": (1.0,) * 6}, {"bcc": 505, "libbpf": 505})
    assert re.search(r"libbpf alone saves 95 % of the events at .*, in each trial", text(lossless(records, "libbpf")))
    both = lossless(records, "bcc", "libbpf")
    said = text(both)
    assert re.search(r"bcc and libbpf save 95 % of the events at .*, in each trial; cheapest: libbpf", said)
    assert "equal in each trial" in said
    assert answered(both)["fidelity"].alike
    (all_round,) = (found.all_round for found in answers(of(both), Criteria()))
    assert all_round is not None
    assert set(all_round.rates[0].in_each) == {"bcc", "libbpf"}
    # One event that is lost in one trial makes nobody surer of the others.
    once = make_summary(both[-1].trial, saved=999, lost={"ring_full": 1})
    nearly = [*both[:-1], replace(both[-1], summary=once)]
    assert not answered(nearly)["fidelity"].alike
    assert "in each trial" in text(nearly)


def test_what_is_lost_in_bursts_says_nothing_of_a_steady_target_of_the_same_mean_rate() -> None:
    def at(saved: int, **pace: Any) -> list[Record]:
        return [
            replace(r, trial=replace(r.trial, workload=replace(r.trial.workload, rate_iops=1000, **pace)))
            for r in run_of({"bcc": (1.2,) * 6, "libbpf": (1.0,) * 6}, {"bcc": saved, "libbpf": saved})
        ]

    said = text([*at(1005), *at(505, burst_ios=4096, duty_percent=12.5)])
    bursts = r"events/s, in bursts of 4096 I/Os, 12\.5 % of the time"
    assert re.search(rf"Nobody is known to save .* of the events at .* {bursts}; at .* events/s all do", said)
    fast = [replace(r, trial=replace(r.trial, workload=replace(r.trial.workload, rate_iops=None))) for r in at(505)]
    said = text([*at(1005), *at(505, burst_ios=4096, duty_percent=12.5), *fast])
    assert re.search(rf"at full speed \(.*\), nor at .* {bursts}; at .* events/s all do", said)
    random = [*at(505, rate_process=RateProcess.POISSON), *at(1005)]
    assert re.search(r"at .* events/s, at random times \(poisson\); at .* events/s all do", text(random))


def test_the_shortest_delay_is_of_trials_of_its_own_and_of_the_same_cases() -> None:
    def timed(setup: str, p99_ms: float, block: int) -> Record:
        trial = make_trial(setup, block, config=make_config(variant=Variant.DELAY))
        slow = make_record(replace(trial, id=f"{trial.id}-delay"), fio=make_fio(runtime_s=1000.0))
        return replace(slow, delivery=make_delivery(p99_ms=p99_ms * (1 + block / 1000)))

    full = run_of({"bcc": (1.2,) * 6, "libbpf": (1.0,) * 6})
    delays = [timed(setup, ms, block) for setup, ms in {"bcc": 2.0, "libbpf": 60.0}.items() for block in range(6)]
    found = answered([*full, *delays])
    assert found["delay"].decision.named == ("bcc",)
    assert found["delay"].worth["libbpf"].low > 60
    assert found["overhead"].decision.named == ("libbpf",)
    assert list(found["delay"].decision.cases) == list(found["overhead"].decision.cases)
    assert "Shortest delay" in text([*full, *delays])
    assert "delay p99 2.00 ms" in text([*full, *delays])
    assert "delay" not in answered(full)


def test_two_repetitions_tell_nobody_apart() -> None:
    assert answered(run_of({"bcc": (9.0, 9.0), "libbpf": (1.0, 1.0)}))["overhead"].decision.outcome is Outcome.UNDECIDED
    assert "nothing can be told from fewer than 3" in text(run_of({"bcc": (9.0, 9.0), "libbpf": (1.0, 1.0)}))


def test_most_is_best_where_that_is_the_need() -> None:
    found = answered(run_of({"bcc": (1.0,) * 6, "libbpf": (1.0,) * 6}, {"bcc": 400, "libbpf": 990}))
    assert found["fidelity"].decision.named == ("libbpf",)


def test_values_that_never_vary_differ_for_certain_or_not_at_all() -> None:
    found = answered(run_of({"bcc": (2.0,) * 6, "libbpf": (1.0,) * 6, "aya-sync": (1.0,) * 6}))
    decision = found["overhead"].decision
    assert (decision.outcome, set(decision.named)) == (Outcome.EQUAL, {"libbpf", "aya-sync"})


def test_a_margin_of_the_users_makes_of_a_difference_an_equality() -> None:
    records = run_of({"bcc": (1.08,) * 6, "libbpf": (1.0,) * 6})
    assert answered(records)["overhead"].decision.named == ("libbpf",)
    wide = answered(records, Criteria(runtime_margin_percent=10))["overhead"].decision
    assert (wide.outcome, set(wide.named)) == (Outcome.EQUAL, {"bcc", "libbpf"})


def test_who_loses_more_than_the_floor_is_no_all_round_choice_however_cheap() -> None:
    found = answers(of(run_of({"bcc": (1.0,) * 6, "libbpf": (1.5,) * 6}, {"bcc": 500, "libbpf": 990})), Criteria())
    all_round = found[0].all_round
    assert all_round is not None
    assert all_round.answer is not None
    assert all_round.answer.decision.whole.order == ("libbpf",)
    assert all_round.rates[0].holding == ("libbpf",)


def test_where_nobody_saves_enough_nobody_is_chosen() -> None:
    records = run_of({"bcc": (1.0,) * 6, "libbpf": (1.5,) * 6}, {"bcc": 500, "libbpf": 600})
    (found,) = answers(of(records), Criteria())
    assert found.all_round is not None
    assert found.all_round.answer is None
    assert "Nobody saves 95 % of the events at full speed" in text(records)


def test_an_emulated_machine_meets_no_need() -> None:
    environment = Environment("6.12", "boot", Accelerator.TCG)
    records = [replace(r, environment=environment) for r in run_of({"bcc": (2.0,) * 6, "libbpf": (1.0,) * 6})]
    assert answers(of(records), Criteria()) == ()


def test_a_setup_run_twice_in_a_block_counts_once_there() -> None:
    once = run_of({"bcc": (1.2, 1.3, 1.2), "libbpf": (1.0, 1.0, 1.0)})
    again = [replace(r, trial=replace(r.trial, id=f"{r.trial.id}-again")) for r in once if r.trial.setup == "bcc"]
    assert answered([*once, *again])["overhead"].decision.rounds == 3


def test_one_setup_alone_decides_nothing() -> None:
    alone = run_of({"libbpf": (1.2, 1.21, 1.2, 1.19, 1.2, 1.21)}, {"libbpf": 600})
    assert answered(alone)["overhead"].decision.outcome is Outcome.ALONE
    said = text(alone)
    assert "libbpf saves 59.75 % of the events at full speed" in said
    assert "that is less than 95 %" in said
    assert "libbpf: runtime +20.2 % over vanilla (95 % interval" in said
    assert "Choose" not in said


def test_at_a_limited_rate_latency_is_what_a_tracer_costs() -> None:
    slower = {"bcc": (2.0,) * 6, "libbpf": (1.0,) * 6}
    limited = [
        replace(
            record,
            trial=replace(record.trial, workload=replace(record.trial.workload, rate_iops=1000)),
            fio=make_fio(runtime_s=100.0, latency_us=record.fio.runtime_s),
        )
        for record in run_of(slower)
        if record.fio is not None
    ]
    found = answered(limited)
    assert "overhead" not in found
    assert found["latency"].decision.named == ("libbpf",)
    assert "latency" not in answered(run_of(slower))
    assert "Lowest latency at a limited rate: libbpf" in text(limited)
    assert "differences in latency below" in text(limited)


def _second_vanilla(*factors: float) -> list[Record]:
    """Another vanilla trial in each block, by its factor over the first."""
    trials = [make_trial(block=block) for block in range(len(factors))]
    seconds = [base * factor for base, factor in zip(VANILLA_S, factors, strict=True)]
    return [
        make_record(replace(trial, id=f"{trial.id}-2"), fio=make_fio(runtime_s=runtime_s))
        for trial, runtime_s in zip(trials, seconds, strict=True)
    ]


ALIKE_BY_LUCK = {"bcc": (1.08, 1.081, 1.08, 1.079, 1.08, 1.081), "libbpf": (1.01, 1.011, 1.01, 1.012, 1.011, 1.01)}


def test_what_vanilla_against_vanilla_comes_to_is_no_difference() -> None:
    assert answered(run_of(ALIKE_BY_LUCK))["overhead"].decision.named == ("libbpf",)
    noisy = [*run_of(ALIKE_BY_LUCK), *_second_vanilla(1.1, 0.92, 1.06, 0.9, 1.08, 0.95)]
    assert answered(noisy)["overhead"].decision.outcome is Outcome.UNDECIDED
    assert "vanilla against itself varied by ± 8" in text(noisy)


def test_a_quiet_machine_leaves_the_answer() -> None:
    records = [*run_of(ALIKE_BY_LUCK), *_second_vanilla(1.001, 0.999, 1.0, 1.002, 0.998, 1.001)]
    assert answered(records)["overhead"].decision.named == ("libbpf",)


def test_what_is_told_side_by_side_is_of_the_cases_that_all_have() -> None:
    quick = run_of({"bcc": (1.2,) * 6, "libbpf": (1.1,) * 6})
    slow = [
        replace(record, trial=replace(record.trial, workload=replace(record.trial.workload, name="write"), block=block))
        for record in run_of({"libbpf": (3.0,) * 6})
        for block in (record.trial.block + 6,)
    ]
    worth = answered([*quick, *slow])["overhead"].worth
    ahead = {setup: own.over_vanilla.mean for setup, own in worth.items() if own.over_vanilla}
    assert abs(ahead["bcc"]) > abs(ahead["libbpf"])
