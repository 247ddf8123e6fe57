# SPDX-License-Identifier: Apache-2.0
"""Which setup for which need: nobody is named for what may be noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from builders import make_fio, make_record, make_summary, make_trial

from bpfbench.analysis.questions.needs import Choice, choices, contests
from bpfbench.analysis.results import of
from bpfbench.analysis.statistics import analyse
from bpfbench.model import VANILLA, Accelerator, Environment, Record
from bpfbench.report.documents import needs as answer

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


def chosen(records: Sequence[Record]) -> dict[str, Choice]:
    results = of(records)
    return {choice.need.key: choice for choice in choices(contests(results, analyse(results)))}


def test_who_is_better_in_every_block_is_named_however_the_machine_drifts() -> None:
    found = chosen(
        run_of({"bcc": (1.21, 1.20, 1.22, 1.19, 1.20, 1.21), "libbpf": (1.01, 1.02, 1.01, 1.03, 1.02, 1.01)})
    )
    assert found["overhead"].winners == ("libbpf",)
    assert not found["overhead"].undecided


def test_what_noise_can_explain_is_no_difference() -> None:
    found = chosen(run_of({"bcc": (1.2, 0.9, 1.1, 1.0, 0.8, 1.1), "libbpf": (0.9, 1.1, 1.2, 0.8, 1.1, 1.0)}))
    assert found["overhead"].undecided
    assert set(found["overhead"].winners) == {"bcc", "libbpf"}


def test_one_repetition_tells_nobody_apart() -> None:
    found = chosen(run_of({"bcc": (9.0,), "libbpf": (1.0,)}))
    assert found["overhead"].undecided


def test_most_is_best_where_that_is_the_need() -> None:
    factors = {"bcc": (1.0,) * 6, "libbpf": (1.0,) * 6}
    found = chosen(run_of(factors, {"bcc": 400, "libbpf": 990}))
    assert found["fidelity"].winners == ("libbpf",)


def test_values_that_never_vary_differ_for_certain_or_not_at_all() -> None:
    found = chosen(run_of({"bcc": (2.0,) * 6, "libbpf": (1.0,) * 6, "aya-sync": (1.0,) * 6}))
    assert set(found["overhead"].winners) == {"libbpf", "aya-sync"}


def test_an_emulated_machine_meets_no_need() -> None:
    environment = Environment("6.12", "boot", Accelerator.TCG)
    records = [replace(r, environment=environment) for r in run_of({"bcc": (2.0,) * 6, "libbpf": (1.0,) * 6})]
    assert chosen(records) == {}


def test_a_setup_run_twice_in_a_block_has_both_trials_counted() -> None:
    once = run_of({"bcc": (1.2, 1.3, 1.2), "libbpf": (1.0, 1.0, 1.0)})
    again = [replace(r, trial=replace(r.trial, id=f"{r.trial.id}-again")) for r in once if r.trial.setup == "bcc"]
    (contest,) = chosen([*once, *again])["overhead"].contests
    assert [(c.cell.setup, c.pairs) for c in contest.contenders] == [("libbpf", 3), ("bcc", 6)]


def test_one_setup_alone_leads_and_decides_nothing() -> None:
    choice = chosen(run_of({"libbpf": (1.0,) * 6}))["overhead"]
    assert choice.winners == ("libbpf",)
    assert [contest.undecided for contest in choice.contests] == [False]


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
    found = chosen(limited)
    assert "overhead" not in found
    assert found["latency"].winners == ("libbpf",)
    assert "latency" not in chosen(run_of(slower))


def _second_vanilla(*factors: float) -> list[Record]:
    """Another vanilla trial in each block, by its factor over the first."""
    trials = [make_trial(block=block) for block in range(len(factors))]
    seconds = [base * factor for base, factor in zip(VANILLA_S, factors, strict=True)]
    return [
        make_record(replace(trial, id=f"{trial.id}-2"), fio=make_fio(runtime_s=runtime_s))
        for trial, runtime_s in zip(trials, seconds, strict=True)
    ]


ALIKE_BY_LUCK = {"bcc": (1.031, 1.030, 1.032, 1.029, 1.030, 1.031), "libbpf": (1.01, 1.011, 1.01, 1.012, 1.011, 1.01)}


def test_what_vanilla_against_vanilla_comes_to_is_no_difference() -> None:
    assert chosen(run_of(ALIKE_BY_LUCK))["overhead"].winners == ("libbpf",)
    found = chosen([*run_of(ALIKE_BY_LUCK), *_second_vanilla(1.1, 0.92, 1.06, 0.9, 1.08, 0.95)])
    assert found["overhead"].undecided
    (contest,) = found["overhead"].contests
    assert contest.swamped is not None
    assert 1 < contest.swamped.effect < contest.swamped.noise
    (said,) = answer.swamped(found["overhead"].contests)
    assert said.startswith("Noise swamps it here: Lowest overhead: read, rw-tracer (noise +")
    # Events saved have no vanilla, and so no such noise.
    assert not answer.swamped(found["fidelity"].contests)


def test_a_quiet_machine_swamps_nothing() -> None:
    found = chosen([*run_of(ALIKE_BY_LUCK), *_second_vanilla(1.001, 0.999, 1.0, 1.002, 0.998, 1.001)])
    assert found["overhead"].winners == ("libbpf",)
    assert not answer.swamped(found["overhead"].contests)
