# SPDX-License-Identifier: Apache-2.0
"""Which of the paper's claims a run reproduces, and that no claim is reproduced by everything."""

from __future__ import annotations

import copy
import dataclasses
import functools
import io
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from builders import MIB, READ, make_config, make_failure, make_fio, make_record, make_summary, make_trial
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bpfbench import catalogue
from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.claims.circumstances import Circumstance, circumstances, upstream
from bpfbench.analysis.questions.claims.claim import Claim, claims
from bpfbench.analysis.questions.claims.evidence import (
    CPU,
    POWER,
    RUNTIME,
    RUNTIME_SPREAD,
    SAVED,
    SETUPS,
    Contestant,
    Known,
    Measure,
    Missing,
    Task,
    Witness,
    at_least,
)
from bpfbench.analysis.questions.claims.judge import (
    ClaimVerdict,
    Findings,
    Judgement,
    by_paper,
    by_run,
    judge,
    judge_all,
)
from bpfbench.analysis.questions.claims.paper import PaperWitness, paper_witness
from bpfbench.analysis.questions.claims.predicate import More, Predicate, Ranking, Within, read, weigh
from bpfbench.analysis.questions.claims.remark import busy, remarks
from bpfbench.analysis.questions.claims.run import PAPER_BYTES_PER_PROCESS, PAPER_CONFIG, PAPER_PROCESSES, run_witness
from bpfbench.analysis.results import of
from bpfbench.declare import study
from bpfbench.model import (
    Accelerator,
    Attach,
    Energy,
    EnergyDomain,
    Environment,
    Record,
    Tool,
    Variant,
    Workload,
)
from bpfbench.report.about import About
from bpfbench.report.documents import claims as report
from bpfbench.report.write import json as json_writer
from bpfbench.report.write import markdown, terminal
from bpfbench.store import RUN_FORMAT
from bpfbench.store import RunInfo as StoredInfo


def make_run_info(machine: Mapping[str, Any] | None = None) -> StoredInfo:
    """A run of one machine, unless its facts are given."""
    usual = {"cpu_model": "AMD EPYC", "cpus": 2, "memory_bytes": 24 * 2**30, "virtual_machine": True, "kernel": "6.18"}
    storage = {
        "data": {"device": "/dev/vda", "filesystem": "ext4"},
        "output": {"device": "/dev/vda", "filesystem": "ext4"},
        "run": {"device": "/dev/sda", "filesystem": "xfs"},
    }
    factors = 'setups = ["libbpf"]\ntools = "rw-tracer"\nworkloads = "read"\nattach = "kprobe"\n'
    return StoredInfo(
        format=RUN_FORMAT,
        id="20260102-030405",
        created_at="2026-01-02T03:04:05Z",
        bpfbench_version="0.1.0",
        study=study.parse(f'name = "own"\ndescription = ""\n[factors]\n{factors}', "own.toml"),
        trials_planned=9,
        left_out=(),
        image={"name": "trixie", "key": "0123", "versions": {"libbpf": "1:1.5.0-3", "bcc": "0.31.0+ds-7"}},
        machine={**usual, "storage": storage, **(machine or {})},
    )


CLAIMS = claims()
RW = (Tool.RW_TRACER,)
RW_TOOLS = (Tool.RW_TRACER, Tool.RW_TRACER_ALL)
WRITE = Workload("write", 4, 32 * 1024 * MIB)
INFO = About(study="quick", run_id="20260102-030405", trials_done=9, trials_planned=9)


def _claim(*holds: Predicate) -> Claim:
    return Claim("id", "3.1", "what is claimed", holds)


def _judged(records: Sequence[Record], *holds: Predicate) -> Judgement:
    return judge(_claim(*holds), run_witness(records))


def _tracer(setup: str, block: int, runtime_s: float = 11.0, saved: int = 900, **trial: Any) -> Record:
    made = make_trial(setup, block, **trial)
    summary = make_summary(made, saved=saved, lost={"ring_full": 1000 - saved})
    return make_record(made, fio=make_fio(runtime_s=runtime_s), summary=summary)


def _run(blocks: int = 3) -> list[Record]:
    """Blocks that drift by half and more; in each, libbpf is 10 % and bcc 20 % slower than vanilla, within 1 %."""
    records = []
    for block in range(blocks):
        drift = 10.0 * (1 + 0.6 * block)
        noise = (1.0, 1.01, 0.99)[block % 3]
        records += [
            make_record(make_trial(block=block), fio=make_fio(runtime_s=drift)),
            _tracer("libbpf", block, 1.1 * drift * noise, saved=960 + block),
            _tracer("bcc", block, 1.2 * drift / noise, saved=400 + block),
        ]
    return records


class TestThePaperItself:
    @pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
    def test_its_own_numbers_bear_it_out_unless_they_contradict_it_or_are_too_few(self, claim: Claim) -> None:
        verdict = judge(claim, paper_witness(catalogue.paper())).verdict
        expected = ClaimVerdict.INCONCLUSIVE if claim.unprinted else ClaimVerdict.REPRODUCED
        assert verdict is (ClaimVerdict.NOT_REPRODUCED if claim.contradicted else expected)

    @pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
    def test_other_numbers_do_not_reproduce_it(self, claim: Claim) -> None:
        assert any(judge(claim, witness).verdict is ClaimVerdict.NOT_REPRODUCED for witness in _perturbed())

    def test_a_bound_is_not_reached_by_those_it_bounds(self) -> None:
        witness = paper_witness(catalogue.paper())
        most = Ranking(RUNTIME, ("read",), RW, (("libbpf",), ("bcc",)))
        assert judge(_claim(most), witness).verdict is ClaimVerdict.REPRODUCED

    def test_numbers_that_tie_are_no_order(self) -> None:
        ties = Ranking(SAVED, ("read",), RW, (("aya-sync",), ("aya-async",)))
        assert judge(_claim(ties), paper_witness(catalogue.paper())).verdict is ClaimVerdict.INCONCLUSIVE

    def test_ids_are_unique(self) -> None:
        assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)

    def test_numbers_stand_against_words(self) -> None:
        data = copy.deepcopy(catalogue.paper())
        data["words"] = {
            "order": [
                {
                    "measure": "saved_percent",
                    "workloads": ["read"],
                    "tools": ["rw-tracer"],
                    "tiers": [["bpftrace"], ["libbpf"]],
                }
            ],
            "across": [],
        }
        claim = _claim(Ranking(SAVED, ("read",), RW, (("bpftrace",), ("libbpf",))))
        assert judge(claim, paper_witness(data)).verdict is ClaimVerdict.NOT_REPRODUCED


@functools.cache
def _perturbed() -> tuple[PaperWitness, ...]:
    """The paper with all numbers of a table, one of them, or one rank, far off."""
    return tuple(paper_witness(data) for data in _perturbations(catalogue.paper()))


def _perturbations(paper: dict[str, Any]) -> Iterator[dict[str, Any]]:
    tables = ["vanilla.read", "vanilla.write"]
    tables += [f"{w}.saved_percent.{tool}" for w in ("read", "write") for tool in RW_TOOLS]
    tables += [f"{w}.factor_over_vanilla.{tool}" for w in ("read", "write", "mixed") for tool in Tool]
    for path, factor in itertools.product(tables, (0.001, 1000.0)):
        keys = path.split(".")
        for changed in _off(functools.reduce(dict.__getitem__, keys, paper), factor):
            data = copy.deepcopy(paper)
            functools.reduce(dict.__getitem__, keys[:-1], data)[keys[-1]] = changed
            yield data
    for kind, ranks in (("order", "tiers"), ("across", "tasks")):
        for number in range(len(paper["words"][kind])):
            data = copy.deepcopy(paper)
            data["words"][kind][number][ranks].reverse()
            yield data


def _off(table: dict[str, Any], factor: float) -> Iterator[dict[str, Any]]:
    """The table with all its numbers off, then with each entry."""
    yield {key: value for name in table for key, value in _entry_off(name, table[name], factor).items()}
    for name, entry in table.items():
        if isinstance(entry, dict):
            yield from ({**table, name: changed} for changed in _off(entry, factor))
        else:
            kept = {key: value for key, value in table.items() if key != name}
            yield {**kept, **_entry_off(name, entry, factor)}


def _entry_off(name: str, entry: Any, factor: float) -> dict[str, Any]:
    """A number, or a bound of the other kind, far from what it was."""
    if isinstance(entry, dict):
        return {name: {k: v for key in entry for k, v in _entry_off(key, entry[key], factor).items()}}
    if name.startswith("others_at_"):
        return {"others_at_least" if factor > 1 else "others_at_most": factor * entry}
    if isinstance(entry, list):
        return {name: [factor * entry[-1]] * 2 if isinstance(entry[-1], float) else entry}
    return {name: entry if isinstance(entry, str) else factor * entry}


class TestVerdicts:
    def test_reproduced_through_drift_that_only_pairing_sees_through(self) -> None:
        judgement = _judged(_run(), Within(RUNTIME, ("read",), RW, ("libbpf",), 1.05, 1.15))
        assert judgement.verdict is ClaimVerdict.REPRODUCED
        found = judgement.statements[0].found
        assert isinstance(found, Known)
        assert found.n == 3
        # 1.1, 1.111 and 1.089: the logarithms 0.09531, 0.10526, 0.08526 have the mean 0.09528 and the SD 0.01000;
        # Student's t is 4.3027 with 2 degrees of freedom, so 0.09528 +- 4.3027 * 0.01 / root of 3 = +- 0.02484.
        assert found.estimate == pytest.approx(1.09996, abs=1e-5)
        assert (found.interval.low, found.interval.high) == pytest.approx((1.07298, 1.12763), abs=1e-4)

    def test_setups_are_compared_with_each_other_within_blocks(self) -> None:
        assert (
            _judged(_run(), Ranking(RUNTIME, ("read",), RW, (("bcc",), ("libbpf",)))).verdict is ClaimVerdict.REPRODUCED
        )
        assert (
            _judged(_run(), Ranking(RUNTIME, ("read",), RW, (("libbpf",), ("bcc",)))).verdict
            is ClaimVerdict.NOT_REPRODUCED
        )

    def test_an_interval_across_the_limit_is_inconclusive(self) -> None:
        judgement = _judged(_run(), Within(RUNTIME, ("read",), RW, ("libbpf",), low=1.1))
        assert judgement.verdict is ClaimVerdict.INCONCLUSIVE
        assert judgement.deciding == judgement.statements

    def test_shares_are_compared_by_their_difference_and_stay_shares(self) -> None:
        records = [_tracer("libbpf", block, saved=saved) for block, saved in enumerate((1000, 999, 1000))]
        level = run_witness(records).level(SAVED, Contestant("read", Tool.RW_TRACER, "libbpf"))
        assert isinstance(level, Known)
        assert level.interval.high == 100.0
        nothing = [_tracer("bcc", block, saved=0) for block in range(3)]
        order = Ranking(SAVED, ("read",), RW, (("libbpf",), ("bcc",)))
        assert _judged([*records, *nothing], order).verdict is ClaimVerdict.REPRODUCED

    def test_places_share_no_block_and_are_compared_as_independent_samples(self) -> None:
        def blocks(workload: Workload, seconds: tuple[float, ...], first: int) -> list[Record]:
            return [
                make_record(make_trial(block=first + number, workload=workload), fio=make_fio(runtime_s=runtime_s))
                for number, runtime_s in enumerate(seconds)
            ]

        records = [*blocks(READ, (10.0, 11.0, 12.0), 0), *blocks(WRITE, (40.0, 42.0, 44.0), 3)]
        slower = More(RUNTIME, (Task("write"), Task("read")), ("vanilla",))
        assert _judged(records, slower).verdict is ClaimVerdict.REPRODUCED
        faster = More(RUNTIME, (Task("read"), Task("write")), ("vanilla",))
        assert _judged(records, faster).verdict is ClaimVerdict.NOT_REPRODUCED

    def test_enough_cells_are_enough(self) -> None:
        most = Within(SAVED, ("read",), RW, ("libbpf", "bcc"), low=90, enough=1)
        assert _judged(_run(), most).verdict is ClaimVerdict.REPRODUCED
        assert _judged(_run(), Within(SAVED, ("read",), RW, ("bcc",), low=10), most).verdict is ClaimVerdict.REPRODUCED
        assert _judged(_run(), dataclasses.replace(most, enough=2)).verdict is ClaimVerdict.NOT_REPRODUCED

    def test_any_of_several_must_be_farther_inside_than_one_that_is_named(self) -> None:
        # libbpf is 1.073 to 1.128: surely above 1.07 by the interval for one, not by that for any of two.
        named = Within(RUNTIME, ("read",), RW, ("libbpf",), low=1.07, high=1.15)
        any_of_two = dataclasses.replace(named, setups=("libbpf", "bcc"), enough=1)
        assert _judged(_run(), named).verdict is ClaimVerdict.REPRODUCED
        assert _judged(_run(), any_of_two).verdict is ClaimVerdict.INCONCLUSIVE

    def test_an_order_in_enough_places(self) -> None:
        order = Ranking(SAVED, ("read", "write"), RW, (("libbpf",), ("bcc",)), enough=1)
        assert _judged(_run(), order).verdict is ClaimVerdict.REPRODUCED
        assert _judged(_run(), dataclasses.replace(order, enough=2)).verdict is ClaimVerdict.NOT_TESTABLE

    def test_one_false_statement_is_enough_whatever_else_is_missing(self) -> None:
        order = Ranking(SAVED, ("read", "mixed"), RW, (("bcc",), ("libbpf",)))
        assert _judged(_run(), order).verdict is ClaimVerdict.NOT_REPRODUCED

    def test_one_of_many_comparisons_must_be_farther_off(self) -> None:
        # Just outside the 95 % interval: enough against a claim of one statement, not of one among many.
        limit = Within(RUNTIME, ("read",), RW, ("libbpf",), high=1.07)
        assert _judged(_run(), limit).verdict is ClaimVerdict.NOT_REPRODUCED
        many = (limit, *[Within(SAVED, ("read",), RW, ("libbpf",), low=0)] * 9)
        assert _judged(_run(), *many).verdict is ClaimVerdict.INCONCLUSIVE


TIED = (0.0, 0.0, 0.0, 0.0)
NOISE = (0.04, -0.05, 0.06, -0.02)
CLEAR = (0.20, 0.21, 0.19, 0.20)


def _two(differences: Sequence[float]) -> list[Record]:
    """Blocks in which bcc takes longer, and saves more, than libbpf by these parts, each with a vanilla."""
    return [
        record
        for block, difference in enumerate(differences)
        for record in (
            make_record(make_trial(block=block), fio=make_fio(runtime_s=10.0 + block)),
            _tracer("libbpf", block, 11.0 + block, saved=500),
            _tracer("bcc", block, (11.0 + block) * (1 + difference), saved=round(500 * (1 + difference))),
        )
    ]


class TestWhatIsToldApart:
    @pytest.mark.parametrize("measure", [RUNTIME, SAVED], ids=lambda measure: measure.name)
    def test_an_order_takes_strict_evidence(self, measure: Measure) -> None:
        order = Ranking(measure, ("read",), RW, (("bcc",), ("libbpf",)))
        reverse = Ranking(measure, ("read",), RW, (("libbpf",), ("bcc",)))
        assert _judged(_two(CLEAR), order).verdict is ClaimVerdict.REPRODUCED
        assert _judged(_two(CLEAR), reverse).verdict is ClaimVerdict.NOT_REPRODUCED
        for either in (order, reverse):
            assert _judged(_two(NOISE), either).verdict is ClaimVerdict.INCONCLUSIVE

    def test_a_tie_is_no_order_either_way_however_well_it_is_known(self) -> None:
        for tiers in ((("bcc",), ("libbpf",)), (("libbpf",), ("bcc",))):
            assert _judged(_two(TIED), Ranking(SAVED, ("read",), RW, tiers)).verdict is ClaimVerdict.INCONCLUSIVE

    def test_each_step_of_an_order_must_be_told_apart(self) -> None:
        records = [*_two(CLEAR), *[_tracer("ebpf-go", block, 11.0 + block, saved=500) for block in range(4)]]
        order = Ranking(SAVED, ("read",), RW, (("bcc",), ("libbpf",), ("ebpf-go",)))
        judgement = _judged(records, order)
        assert judgement.verdict is ClaimVerdict.INCONCLUSIVE
        assert [statement.subject for statement in judgement.deciding] == ["read rw-tracer libbpf saved - ebpf-go"]

    @pytest.mark.parametrize(
        ("there", "verdict", "reverse"),
        [
            ((10.0, 10.1, 9.9), ClaimVerdict.INCONCLUSIVE, ClaimVerdict.INCONCLUSIVE),
            ((10.4, 9.8, 10.2), ClaimVerdict.INCONCLUSIVE, ClaimVerdict.INCONCLUSIVE),
            ((40.0, 41.0, 42.0), ClaimVerdict.REPRODUCED, ClaimVerdict.NOT_REPRODUCED),
        ],
        ids=["tie", "noise", "clear"],
    )
    def test_more_in_one_place_than_in_another_takes_strict_evidence(
        self, there: Sequence[float], verdict: ClaimVerdict, reverse: ClaimVerdict
    ) -> None:
        here = (10.0, 10.1, 9.9)
        records = [
            make_record(make_trial(block=first + n, workload=workload), fio=make_fio(runtime_s=runtime_s))
            for workload, seconds, first in ((READ, here, 0), (WRITE, there, 3))
            for n, runtime_s in enumerate(seconds)
        ]
        write, read = Task("write"), Task("read")
        assert _judged(records, More(RUNTIME, (write, read), ("vanilla",))).verdict is verdict
        assert _judged(records, More(RUNTIME, (read, write), ("vanilla",))).verdict is reverse

    def test_shares_that_tie_in_two_places_are_no_more(self) -> None:
        records = [
            _tracer("bcc", 3 * place + n, saved=1000, workload=workload)
            for place, workload in enumerate((READ, WRITE))
            for n in range(3)
        ]
        more = More(SAVED, (Task("read", Tool.RW_TRACER), Task("write", Tool.RW_TRACER)), ("bcc",))
        assert _judged(records, more).verdict is ClaimVerdict.INCONCLUSIVE

    def test_limits_are_within(self) -> None:
        # What a claim gives as a limit is in: "at most 1 %" is true of 1 %.
        within = Within(SAVED, ("read",), RW, ("libbpf",), 50, 60)
        assert _judged(_two(TIED), within).verdict is ClaimVerdict.REPRODUCED
        assert _judged(_two(TIED), dataclasses.replace(within, low=50.1)).verdict is ClaimVerdict.NOT_REPRODUCED
        close = Within(RUNTIME, ("read",), RW, ("bcc",), 1.05, 1.2)
        assert _judged(_two(NOISE), close).verdict is ClaimVerdict.INCONCLUSIVE

    def test_spreads_are_compared_apart_from_the_drift_of_blocks(self) -> None:
        def run(scatter: float, blocks: int = 12) -> list[Record]:
            drift = [10.0 * (1 + 0.5 * (block % 3)) for block in range(blocks)]
            noise = [(-1) ** block * (1 + block % 3) for block in range(blocks)]
            return [
                record
                for block in range(blocks)
                for record in (
                    make_record(make_trial(block=block), fio=make_fio(runtime_s=drift[block])),
                    _tracer("bcc", block, drift[block] * (1 + scatter * noise[block])),
                    _tracer("libbpf", block, drift[block] * (1 + 0.001 * noise[-block])),
                )
            ]

        more = Ranking(RUNTIME_SPREAD, ("read",), RW, (("bcc",), ("libbpf",)))
        less = Ranking(RUNTIME_SPREAD, ("read",), RW, (("libbpf",), ("bcc",)))
        assert _judged(run(0.1), more).verdict is ClaimVerdict.REPRODUCED
        assert _judged(run(0.1), less).verdict is ClaimVerdict.NOT_REPRODUCED
        assert {_judged(run(0.001), either).verdict for either in (more, less)} == {ClaimVerdict.INCONCLUSIVE}
        assert _judged(run(0.1, blocks=2), more).missing == ("3 repetitions (2 here)",)

    def test_one_slow_trial_is_no_spread(self) -> None:
        records = [make_record(make_trial(block=block)) for block in range(10)]
        for block, noise in enumerate((0.99, 1.0, 1.02, 1.01, 0.98, 1.0, 0.99, 1.01, 1.02, 0.98)):
            records.append(_tracer("libbpf", block, 11 * noise))
            records.append(_tracer("bcc", block, (11 if block else 22) / noise))
        spread = Ranking(RUNTIME_SPREAD, ("read",), RW, (("bcc",), ("libbpf",)))
        assert _judged(records, spread).verdict is ClaimVerdict.INCONCLUSIVE

    def test_two_vanillas_of_a_block_are_one_reference(self) -> None:
        def vanilla(block: int, runtime_s: float, number: int) -> Record:
            trial = dataclasses.replace(make_trial(block=block), id=f"vanilla-{block}-{number}")
            return make_record(trial, fio=make_fio(runtime_s=runtime_s))

        noise = (1.0, 1.01, 0.99)
        records = [_tracer("libbpf", block, 22.0 * noise[block]) for block in range(3)]
        records += [vanilla(block, 10.0, 1) for block in range(3)] + [vanilla(block, 40.0, 2) for block in range(3)]
        # The geometric mean of 10 s and 40 s is 20 s.
        factor = run_witness(records).factor(RUNTIME, Contestant("read", Tool.RW_TRACER, "libbpf"))
        assert isinstance(factor, Known)
        assert factor.estimate == pytest.approx(1.1, abs=1e-4)
        assert factor.n == 3
        level = run_witness([*records, *[vanilla(3, 25.5, 1)]]).level(RUNTIME, Contestant("read", None, "vanilla"))
        assert isinstance(level, Known)
        assert level.estimate == pytest.approx((25 * 3 + 25.5) / 4)
        assert level.n == 4

    def test_no_interval_is_narrower_than_vanilla_against_vanilla_makes_it(self) -> None:
        def twins(*factors: float) -> list[Record]:
            trials = [dataclasses.replace(make_trial(block=n), id=f"twin-{n}") for n in range(len(factors))]
            return [
                make_record(trial, fio=make_fio(runtime_s=(10.0 + trial.block) * factor))
                for trial, factor in zip(trials, factors, strict=True)
            ]

        order = Ranking(RUNTIME, ("read",), RW, (("bcc",), ("libbpf",)))
        alike_by_luck = _two((0.030, 0.031, 0.029, 0.030))
        assert _judged([*alike_by_luck, *twins(1.001, 0.999, 1.0, 1.002)], order).verdict is ClaimVerdict.REPRODUCED
        judgement = _judged([*alike_by_luck, *twins(1.2, 0.85, 1.1, 0.9)], order)
        assert judgement.verdict is ClaimVerdict.INCONCLUSIVE
        assert list(report.evidence(judgement))[-1] == (
            "Noise swamps 1 of them: vanilla against vanilla comes to as much."
        )
        # A difference far beyond it is still told.
        assert (
            _judged([*_two((0.9, 0.91, 0.92, 0.9)), *twins(1.2, 0.85, 1.1, 0.9)], order).verdict
            is ClaimVerdict.REPRODUCED
        )

    @given(st.sampled_from(CLAIMS), st.floats(0, 10), st.floats(0, 10))
    def test_to_know_less_never_decides(self, claim: Claim, below: float, above: float) -> None:
        known = paper_witness(catalogue.paper())
        less = judge(claim, Vague(known, below, above)).verdict
        assert less in (judge(claim, known).verdict, ClaimVerdict.INCONCLUSIVE)

    @given(
        st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=6).filter(lambda d: max(d) - min(d) > 1e-3),
        st.floats(-0.3, 0.3),
        st.floats(1, 5),
    )
    def test_more_scatter_about_the_same_mean_never_decides(
        self, scatter: list[float], mean: float, factor: float
    ) -> None:
        middle = sum(scatter) / len(scatter)

        def verdict(predicate: Predicate, scale: float) -> ClaimVerdict:
            logs = [mean + scale * (own - middle) for own in scatter]
            return _judged(_two([math.exp(log) - 1 for log in logs]), predicate).verdict

        order = Ranking(RUNTIME, ("read",), RW, (("bcc",), ("libbpf",)))
        for predicate in (order, Within(RUNTIME, ("read",), RW, ("bcc", "libbpf"), 0.9, 1.2, enough=1)):
            assert verdict(predicate, factor) in (verdict(predicate, 1.0), ClaimVerdict.INCONCLUSIVE)


@dataclasses.dataclass(frozen=True)
class Vague:
    """Witness that knows less than another."""

    of: Witness
    below: float
    above: float
    kprobes: bool = True

    def level(self, measure: Measure, subject: Contestant) -> Known | Missing:
        return self._wider(self.of.level(measure, subject))

    def factor(self, measure: Measure, subject: Contestant) -> Known | Missing:
        return self._wider(self.of.factor(measure, subject))

    def contrast(self, measure: Measure, one: Contestant, other: Contestant, *, over_vanilla: bool) -> Known | Missing:
        return self._wider(self.of.contrast(measure, one, other, over_vanilla=over_vanilla))

    def stricter(self, statements: int) -> Witness:
        return dataclasses.replace(self, of=self.of.stricter(statements))

    def _wider(self, found: Known | Missing) -> Known | Missing:
        assert isinstance(found, Known)
        return dataclasses.replace(
            found, interval=Interval(found.interval.low - self.below, found.interval.high + self.above)
        )


class TestNotTestable:
    def _missing(self, records: Sequence[Record], predicate: Predicate) -> str:
        judgement = _judged(records, predicate)
        assert judgement.verdict is ClaimVerdict.NOT_TESTABLE
        assert judgement.deciding == ()
        return "; ".join(judgement.missing)

    def test_no_energy_counters(self) -> None:
        predicate = Within(POWER, ("read",), RW, ("libbpf",))
        assert self._missing(_run(), predicate) == "RAPL counters"

        def measured(record: Record) -> Energy:
            watts = 10.0 + record.trial.block if record.trial.is_vanilla else 11.0
            return Energy("powercap", 10.0, (EnergyDomain("package-0", joules=100, mean_w=watts, idle_w=5),))

        counted = [dataclasses.replace(record, energy=measured(record)) for record in _run()]
        assert _judged(counted, predicate).verdict is ClaimVerdict.REPRODUCED

    def test_no_kprobes(self) -> None:
        tracepoint = make_config(attach=Attach.TRACEPOINT)
        seconds = {"libbpf": (11.0, 11.1, 10.9), "bcc": (12.0, 12.1, 12.2)}
        records = [make_record(make_trial(block=block)) for block in range(3)]
        records += [_tracer(s, n, seconds[s][n], config=tracepoint) for s in seconds for n in range(3)]
        # What a setup costs is the hook's cost, too; which of two costs more, with the same hook, is theirs.
        assert self._missing(records, Within(RUNTIME, ("read",), RW, ("libbpf",))) == "kprobes"
        order = Ranking(RUNTIME, ("read",), RW, (("bcc",), ("libbpf",)))
        assert _judged(records, order).verdict is ClaimVerdict.REPRODUCED
        assert _judged(records, Within(SAVED, ("read",), RW, ("libbpf",), low=50)).verdict is ClaimVerdict.REPRODUCED
        assert any("tracepoint" in remark for remark in run_witness(records).remarks)

    def test_syscount_has_the_papers_hook_everywhere(self) -> None:
        config = make_config(attach=Attach.TRACEPOINT, ringbuf_bytes=None, poll_ms=None)
        counting: dict[str, Any] = {"tool": Tool.SYSCOUNT}
        records = [make_record(make_trial(block=block, **counting)) for block in range(3)]
        records += [_tracer("libbpf", block, 11 + block / 10, config=config, **counting) for block in range(3)]
        predicate = Within(RUNTIME, ("read",), (Tool.SYSCOUNT,), ("libbpf",), low=1)
        assert _judged(records, predicate).verdict is ClaimVerdict.REPRODUCED

    def test_repetitions_without_any_scatter_say_nothing_of_their_error(self) -> None:
        records = [make_record(make_trial(block=block)) for block in range(3)]
        records += [_tracer("libbpf", block, 11.0) for block in range(3)]
        predicate = Within(RUNTIME, ("read",), RW, ("libbpf",))
        assert self._missing(records, predicate) == "repetitions that scatter"
        scatters = [*records, *[_tracer("bcc", block, 11.0) for block in range(3)]]
        spread = Ranking(RUNTIME_SPREAD, ("read",), RW, (("libbpf",), ("bcc",)))
        assert self._missing(scatters, spread) == "repetitions that scatter"

    def test_what_differs_by_rounding_alone_does_not_scatter(self) -> None:
        # As of a CPU that is busy all the time: the same, give or take what floating point makes of it.
        alike = [
            (make_record(make_trial(block=n), fio=make_fio(runtime_s=10 * (1 + 1e-15 * n))), _tracer("libbpf", n, 10.0))
            for n in range(3)
        ]
        predicate = Within(RUNTIME, ("read",), RW, ("libbpf",))
        assert self._missing([record for pair in alike for record in pair], predicate) == "repetitions that scatter"

    def test_no_block_has_both(self) -> None:
        records = [make_record(make_trial(block=n)) for n in range(3)] + [_tracer("bcc", n) for n in range(3, 6)]
        assert self._missing(records, Within(RUNTIME, ("read",), RW, ("bcc",))) == "2 repetitions (0 here)"

    def test_no_runs_of_the_workload_or_tool(self) -> None:
        assert self._missing(_run(), Within(SAVED, ("mixed",), RW, ("bcc",))) == "mixed runs"
        all_events = (Tool.RW_TRACER_ALL,)
        assert self._missing(_run(), Within(SAVED, ("read",), all_events, ("bcc",))) == "read runs of rw-tracer-all"

    def test_setup_absent_or_failed(self) -> None:
        assert self._missing(_run(), Within(SAVED, ("read",), RW, ("ebpf-go",))) == "trials of ebpf-go rw-tracer"
        failed = [*_run(), make_failure(make_trial("ebpf-go"), "died")]
        expected = "trials of ebpf-go rw-tracer that ended ok"
        assert self._missing(failed, Within(SAVED, ("read",), RW, ("ebpf-go",))) == expected

    def test_too_few_repetitions(self) -> None:
        assert self._missing(_run(1), Within(SAVED, ("read",), RW, ("bcc",))) == "2 repetitions (1 here)"

    def test_no_vanilla(self) -> None:
        records = [record for record in _run() if not record.trial.is_vanilla]
        predicate = Within(RUNTIME, ("read",), RW, ("bcc",))
        assert self._missing(records, predicate) == "trials of vanilla rw-tracer"

    def test_an_emulated_machine_is_no_evidence_not_even_its_counts(self) -> None:
        environment = Environment("6.12", "boot", Accelerator.TCG)
        records = [dataclasses.replace(record, environment=environment) for record in _run()]
        for predicate in (
            Within(CPU, ("read",), RW, ("bcc",)),
            Within(SAVED, ("read",), RW, ("bcc",), 39, 41),
        ):
            assert self._missing(records, predicate) == "a CPU that is not emulated"
        assert any("correctness only" in remark for remark in run_witness(records).remarks)
        assert {judgement.verdict for judgement in judge_all(run_witness(records))} == {ClaimVerdict.NOT_TESTABLE}

    def test_nothing_at_all(self) -> None:
        assert {judgement.verdict for judgement in judge_all(run_witness([]))} == {ClaimVerdict.NOT_TESTABLE}


class TestWhatIsJudgedOfARun:
    def test_other_configurations_are_left_aside(self) -> None:
        large = make_config(ringbuf_bytes=64 * MIB)
        others = [_tracer("bcc", block, saved=1000, config=large) for block in range(3)]
        witness = run_witness([*_run(), *others])
        level = witness.level(SAVED, Contestant("read", Tool.RW_TRACER, "bcc"))
        assert isinstance(level, Known)
        assert level.estimate == pytest.approx(40.1)
        assert level.n == 3
        assert any("3 trials in other configurations" in remark for remark in witness.remarks)

    def test_a_limited_rate_is_not_the_papers(self) -> None:
        slow = dataclasses.replace(READ, rate_iops=1000)
        others = [_tracer("bcc", block, saved=1000, workload=slow) for block in range(3)]
        witness = run_witness([*others, *_run()])
        assert len(witness.trials[Contestant("read", Tool.RW_TRACER, "bcc")]) == 3
        assert any("3 trials in other configurations" in remark for remark in witness.remarks)
        assert not run_witness(others).trials

    def test_another_number_of_processes_is_not_the_papers(self) -> None:
        alone = dataclasses.replace(READ, processes=1)
        others = [_tracer("bcc", block, saved=1000, workload=alone) for block in range(3)]
        assert len(run_witness([*others, *_run()]).trials[Contestant("read", Tool.RW_TRACER, "bcc")]) == 3
        witness = run_witness(others)
        assert not witness.trials
        (claim,) = (claim for claim in CLAIMS if claim.id == "read-rw-bcc-saved")
        assert judge(claim, witness).missing == ("read runs with 4 processes",)

    def test_everything_that_makes_a_trial_unlike_the_papers_is_named(self) -> None:
        config = make_config(ringbuf_bytes=4096, poll_ms=1, payload_bytes=1, variant=Variant.NO_OUTPUT)
        workload = dataclasses.replace(READ, processes=2, rate_iops=1000)
        others = [_tracer("bcc", block, config=config, workload=workload) for block in range(3)]
        (missing,) = judge(_claim(Within(SAVED, ("read",), RW, ("bcc",))), run_witness(others)).missing
        assert missing == (
            "read runs with 4 processes, no limit to the rate, a ring of 256 KiB, a poll time-out of 100 ms, payloads"
            " of up to 4 KiB, all of the tracer's work"
        )

    def test_what_the_papers_trials_are_is_what_is_transcribed(self) -> None:
        setup, fio = catalogue.paper()["setup"], catalogue.paper()["fio"]
        assert fio["processes"] == PAPER_PROCESSES
        assert fio["size_per_process_gib"] * 2**30 == PAPER_BYTES_PER_PROCESS
        assert PAPER_CONFIG["ringbuf_bytes"][0] == setup["ringbuf_bytes"]
        assert PAPER_CONFIG["poll_ms"][0] == setup["poll_timeout_ms"]
        assert (
            PAPER_CONFIG["payload_bytes"][0]
            == setup["event_bytes"]["rw-tracer-all"] - setup["event_bytes"]["rw-tracer"]
        )

    def test_kprobes_before_tracepoints(self) -> None:
        hooked = make_config(attach=Attach.TRACEPOINT)
        others = [_tracer("bcc", block, saved=1000, config=hooked) for block in range(3)]
        witness = run_witness([*others, *_run()])
        assert witness.kprobes
        level = witness.level(SAVED, Contestant("read", Tool.RW_TRACER, "bcc"))
        assert isinstance(level, Known)
        assert level.estimate == pytest.approx(40.1)

    def test_the_largest_workload_is_taken(self) -> None:
        small = dataclasses.replace(READ, bytes_per_process=MIB)
        others = [_tracer("bcc", block + 3, saved=1000, workload=small) for block in range(3)]
        witness = run_witness([*_run(), *others])
        assert len(witness.trials[Contestant("read", Tool.RW_TRACER, "bcc")]) == 3
        assert not any("% of the paper's data" in remark for remark in witness.remarks)
        only_small = run_witness(others)
        assert any("read moves 0.00305 % of the paper's data" in remark for remark in only_small.remarks)


FINITE = st.floats(0, 1e6, allow_nan=False)
INTERVALS = st.tuples(FINITE, FINITE).map(lambda ends: Interval(min(ends), max(ends)))
SHARE = st.floats(0, 1)


class TestIntervals:
    @given(INTERVALS, INTERVALS, SHARE, SHARE)
    def test_arithmetic_encloses_what_it_does_to_values(
        self, one: Interval, other: Interval, here: float, there: float
    ) -> None:
        a, b = (i.low + share * (i.high - i.low) for i, share in ((one, here), (other, there)))
        difference = one.minus(other)
        assert difference.low - 1e-6 <= a - b <= difference.high + 1e-6
        if b:
            quotient = one.over(other)
            assert quotient.low * (1 - 1e-9) <= a / b <= quotient.high * (1 + 1e-9)

    @given(INTERVALS, FINITE, FINITE, SHARE)
    def test_what_is_said_of_an_interval_is_true_of_its_values(
        self, interval: Interval, one: float, other: float, share: float
    ) -> None:
        value = min(interval.high, interval.low + share * (interval.high - interval.low))
        low, high = min(one, other), max(one, other)
        answer = interval.within(low, high)
        assert answer is None or answer is (low <= value <= high)

    def test_at_least_counts_the_unknown_both_ways(self) -> None:
        assert at_least(2, [True, True, False]) is True
        assert at_least(2, [True, None, False]) is None
        assert at_least(2, [True, False, False]) is False


class TestRemarksOnThePaper:
    def test_its_latencies_are_no_milliseconds(self) -> None:
        # 1686.13 MiB/s are 431,649 I/Os of 4 KiB a second, by 4 processes with 9.07 us each.
        assert busy(catalogue.paper(), "read") == pytest.approx(431_649.28 * 9.07e-6 / 4)
        (unit,) = (remark for remark in remarks(catalogue.paper()) if remark.id == "latency-unit")
        assert "979 and 998 s of every second" in unit.remark

    def test_its_number_of_events_is_fios(self) -> None:
        (events,) = (remark for remark in remarks(catalogue.paper()) if remark.id == "events-fixed")
        assert "4 x 32 GiB / 4096 bytes are 33,554,432" in events.remark

    def test_no_run_changes_them_and_no_verdict_counts_them(self) -> None:
        found = _found(_run())
        assert found.on_the_paper == by_paper().on_the_paper == remarks(catalogue.paper())
        assert not {remark.id for remark in found.on_the_paper} & {claim.id for claim in CLAIMS}
        assert sum(found.counts.values()) == len(CLAIMS)


class TestCircumstances:
    def _beside(self, records: Sequence[Record], **machine: Any) -> dict[str, Circumstance]:
        stored = make_run_info(machine=machine)
        return {own.what: own for own in circumstances(catalogue.paper(), stored, run_witness(records).records)}

    def test_the_papers_own_are_the_same(self) -> None:
        placed: dict[str, tuple[int, ...]] = {"monitor": (0,), "workload": (1, 2, 3, 4, 5), "tracer": (1, 2, 3, 4, 5)}
        records = [
            dataclasses.replace(record, cpus=placed, environment=Environment("6.8.0-58-generic", "boot"))
            for record in _run()
        ]
        beside = self._beside(
            records,
            cpu_model="Intel Core i5-9500",
            cpus=6,
            memory_bytes=16 * 2**30,
            virtual_machine=False,
            distribution="Ubuntu 24.04.2 LTS",
        )
        same = {what for what, own in beside.items() if own.same}
        assert {"kernel", "system", "CPU", "memory, GiB", "placement", "processes", "hook", "ring, bytes"} <= same
        assert {"GiB per process", "limit of the rate", "poll time-out, ms", "repetitions", "libbpf"} <= same
        assert beside["placement"].here == "monitors on 0, the rest on 1-5"

    def test_what_differs_is_set_side_by_side(self) -> None:
        config = make_config(attach=Attach.TRACEPOINT)
        shared: dict[str, tuple[int, ...]] = {"monitor": (0, 1), "workload": (0, 1)}
        records = [dataclasses.replace(_tracer("bcc", n, config=config), cpus=shared) for n in range(5)]
        beside = self._beside(records)
        differs = {what: (own.paper, own.here) for what, own in beside.items() if own.same is False}
        assert differs["bcc"] == ("0.33", "0.31.0+ds-7")
        assert differs["hook"] == ("kprobe", "tracepoint")
        assert differs["placement"] == ("monitors on 0, the rest on 1-5", "everything on CPUs 0-1")
        assert differs["repetitions"] == ("3", "5")
        assert differs["CPU"][1] == "virtual, AMD EPYC, 2 CPUs"
        assert differs["disks"][1] == "data and output on /dev/vda (ext4); records on /dev/sda (xfs)"
        assert beside["libbpf"].same is None

    def test_what_was_not_recorded_is_said(self) -> None:
        stored = dataclasses.replace(make_run_info(), image={"name": "trixie", "key": "0"})
        for records in (_run(), []):
            taken = run_witness([dataclasses.replace(record, cpus={}) for record in records]).records
            beside = {own.what: own for own in circumstances(catalogue.paper(), stored, taken)}
            assert (beside["placement"].here, beside["placement"].same) == ("not recorded", None)
            assert (beside["disks"].here, beside["disks"].same) == (
                "data and output on /dev/vda (ext4); records on /dev/sda (xfs)",
                False,
            )
            assert beside["libbpf"].same is None

    @pytest.mark.parametrize(
        ("package", "version"),
        [("1:1.5.0-3", "1.5.0"), ("0.31.0+ds-7", "0.31.0"), ("0.17.3", "0.17.3"), ("0.23.2-1", "0.23.2")],
    )
    def test_a_package_has_its_upstreams_version(self, package: str, version: str) -> None:
        assert upstream(package) == version


def _found(records: Sequence[Record]) -> Findings:
    return by_run(of(records, make_run_info()))


def _data(found: Findings) -> dict[str, Any]:
    return dict(json.loads(json_writer.written(report.data(found))))


class TestReport:
    def _shown(self, found: Findings, info: About | None = INFO) -> str:
        out = io.StringIO()
        terminal.write(report.document(found, info), Console(file=out, width=160))
        return " ".join(out.getvalue().split())

    def test_counts_come_first_and_every_verdict_has_its_evidence(self) -> None:
        text = self._shown(_found(_run()))
        assert text.startswith(f"{len(CLAIMS)} claims judged by run 20260102-030405 (quick): ")
        assert "takes mixed runs" in text
        assert "read rw-tracer bcc saved 40.1 % [39.85, 40.35], n 3; wanted 37.45 to 57.45 %" in text

    def test_not_reproduced_says_by_what_and_leads_to_both_environments(self) -> None:
        found = _found(_run())
        text = self._shown(found)
        assert "not reproduced by these versions on this machine" in text
        for shown in (text, markdown.text(report.document(found, INFO))):
            assert "Versions and machine: under Circumstances." in shown
            assert "Circumstances: the paper's and this run's" in shown
            assert "6.8.0-58-generic" in shown
            assert "Remarks on the paper, counted in no verdict" in shown
        document = _data(found)
        missed = [claim for claim in document["claims"] if claim["verdict"] == "not-reproduced"]
        assert missed
        assert {claim["circumstances"] for claim in missed} == {"/data/circumstances"}
        assert {claim["wording"] for claim in missed} == {"not reproduced by these versions on this machine"}
        assert {"what": "kernel", "paper": "6.8.0-58-generic", "here": "6.18", "same": False} in document[
            "circumstances"
        ]

    def test_what_is_false_but_not_false_enough_for_so_many_comparisons_has_its_evidence(self) -> None:
        judged = judge_all(run_witness(_run()))
        missed = [judgement for judgement in judged if judgement.verdict is ClaimVerdict.NOT_REPRODUCED]
        assert missed
        for judgement in missed:
            doubted = dataclasses.replace(judgement, verdict=ClaimVerdict.INCONCLUSIVE)
            assert set(judgement.deciding) <= set(doubted.deciding)
            assert list(report.evidence(doubted))

    def test_the_papers_own_numbers_are_said_to_be_no_evidence(self) -> None:
        found = by_paper()
        text = self._shown(found, None)
        contradicted = sum(claim.contradicted is not None for claim in CLAIMS)
        open_ = sum(claim.unprinted is not None for claim in CLAIMS)
        printed = len(CLAIMS) - contradicted - open_
        assert text.startswith(
            f"{len(CLAIMS)} claims against the paper's own numbers (a check of our transcription, no evidence):"
            f" {printed} as printed, {contradicted} contradicted, {open_} left open"
        )
        assert "Whether any of it is so, only a run can tell." in text
        assert "this machine" not in text
        document = _data(found)
        assert (document["source"], document["circumstances"]) == ("paper", [])

    def test_what_the_paper_contradicts_itself_is_said(self) -> None:
        found = by_paper()
        text = markdown.text(report.document(found, None))
        assert "The paper contradicts itself here: aya-sync falls from 3.64 to 3.09 times vanilla's" in text
        assert "The paper prints too little to tell: with the rw tools it does not tell BCC from bpftrace" in text
        assert len(report.tables(found)[0].rows) == len(CLAIMS)

    def test_what_the_paper_contradicts_itself_is_counted_apart(self) -> None:
        (claim,) = (claim for claim in CLAIMS if claim.id == "polling-cpu-large-events")
        judgement = Judgement(claim, ClaimVerdict.NOT_REPRODUCED, ())
        found = dataclasses.replace(by_paper(), judgements=(judgement,), of_paper=False)
        assert "of those not reproduced, 1 the paper's own numbers contradict, too" in report.headline(found, INFO)

    def test_json_has_every_comparison(self) -> None:
        document = _data(_found(_run()))
        assert sum(document["counts"].values()) == len(CLAIMS) == len(document["claims"])
        (found,) = (claim for claim in document["claims"] if claim["id"] == "read-rw-saved-order")
        statement = found["statements"][0]
        assert statement["subject"] == "read rw-tracer libbpf saved - aya-sync"
        assert statement["wanted"] == {"low": 0.0, "high": None, "strict": True}
        assert statement["missing"] == "trials of aya-sync rw-tracer"


class TestClaimsAsData:
    def test_which_keys_are_given_says_what_is_asserted(self) -> None:
        where: dict[str, Any] = {"workloads": ["read"], "tools": ["rw-tracer"]}
        within = read({"measure": "cpu_percent", **where, "high": 2, "slack": 1.2})
        order = read({"measure": "saved_percent", **where, "tiers": [["bcc"], ["rest"]]})
        more = read({"measure": "runtime_s", "tasks": [["write"], ["read"]], "setups": ["vanilla"]})
        assert within == Within(CPU, ("read",), RW, high=2.0, slack=1.2)
        assert order == Ranking(SAVED, ("read",), RW, (("bcc",), ("rest",)))
        assert more == More(RUNTIME, (Task("write"), Task("read")), ("vanilla",))
        (statement, *_) = weigh((within,), paper_witness(catalogue.paper()))[1]
        assert statement.high == pytest.approx(2.4)

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"measure": "cpu"}, "'cpu' is not one of: runtime_s"),
            ({"tools": ["rw"]}, "'rw' is not one of: syscount, rw-tracer"),
            ({"setups": ["libbp"]}, "did you mean 'libbpf'"),
            ({"hihg": 1}, "did you mean 'high'"),
            ({"tiers": [["bcc"]]}, "'high' is not one of: measure, workloads, tools, tiers"),
            ({"high": "2"}, "a number is wanted"),
        ],
    )
    def test_what_is_no_assertion_is_refused_by_name(self, changed: dict[str, Any], said: str) -> None:
        table = {"measure": "cpu_percent", "workloads": ["read"], "tools": ["rw-tracer"], "high": 2}
        with pytest.raises(ValueError, match=said):
            read(table | changed)
        del table["workloads"]
        with pytest.raises(ValueError, match="missing 1 required positional argument: 'workloads'"):
            read(table)


def test_all_setups_of_the_paper_are_ours() -> None:
    assert set(SETUPS) <= set(catalogue.SETUPS)


def test_the_documents_list_is_complete() -> None:
    text = (Path(__file__).parents[2] / "docs" / "claims.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if re.match(r"\| `[a-z0-9-]+` \| [34]", line)]
    elsewhere = dataclasses.replace(paper_witness(catalogue.paper()), kprobes=False)
    kprobes = {claim.id: Missing("kprobes") in _found_by(claim, elsewhere) for claim in CLAIMS}
    expected = [(f"| `{claim.id}`", claim.section, claim.text, kprobes[claim.id]) for claim in CLAIMS]
    assert [(row[0], row[1], row[2], row[3].startswith("yes")) for row in rows] == expected


def _found_by(claim: Claim, witness: Witness) -> list[Known | Missing]:
    return [statement.found for statement in weigh(claim.holds, witness)[1]]
