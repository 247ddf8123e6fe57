# SPDX-License-Identifier: Apache-2.0
"""Which of the paper's claims a run reproduces, and that no claim is reproduced by everything."""

from __future__ import annotations

import copy
import dataclasses
import functools
import io
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from builders import MIB, READ, make_config, make_failure, make_fio, make_record, make_summary, make_trial
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bpfbench import catalogue
from bpfbench.analysis.claims.claim import CLAIMS, Claim
from bpfbench.analysis.claims.evidence import CPU, POWER, RUNTIME, SAVED, SETUPS, Cell, Known
from bpfbench.analysis.claims.interval import Interval, at_least
from bpfbench.analysis.claims.judge import Judgement, Verdict, judge, judge_all
from bpfbench.analysis.claims.paper import PaperEvidence, paper_evidence
from bpfbench.analysis.claims.predicate import Every, More, Order, Predicate, Within
from bpfbench.analysis.claims.run import evidence_of
from bpfbench.model import Accelerator, Attach, Energy, EnergyDomain, Environment, Record, Tool, Workload
from bpfbench.report import claims as report
from bpfbench.report.run_info import RunInfo

RW = (Tool.RW_TRACER,)
RW_TOOLS = (Tool.RW_TRACER, Tool.RW_TRACER_ALL)
WRITE = Workload("write", 4, 32 * 1024 * MIB)
INFO = RunInfo(study="quick", run_id="20260102-030405", trials_done=9, trials_planned=9)


def _claim(predicate: Predicate, *, needs_kprobes: bool = False) -> Claim:
    return Claim("id", "3.1", "what is claimed", predicate, needs_kprobes=needs_kprobes)


def _judged(records: Sequence[Record], predicate: Predicate, *, needs_kprobes: bool = False) -> Judgement:
    return judge(_claim(predicate, needs_kprobes=needs_kprobes), evidence_of(records))


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
    def test_its_own_numbers_reproduce_it_unless_they_contradict_it(self, claim: Claim) -> None:
        verdict = judge(claim, paper_evidence(catalogue.paper())).verdict
        assert verdict is (Verdict.REFUTED if claim.contradicted else Verdict.REPRODUCED)

    @pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
    def test_other_numbers_refute_it(self, claim: Claim) -> None:
        assert any(judge(claim, evidence).verdict is Verdict.REFUTED for evidence in _perturbed())

    def test_its_latencies_are_no_milliseconds(self) -> None:
        (claim,) = (claim for claim in CLAIMS if claim.id == "latency-in-ms")
        read, write = judge(claim, paper_evidence(catalogue.paper())).statements
        # 1686.13 MiB/s are 431,649 I/Os of 4 KiB a second; 4 processes with 9.07 ms each could do 441.
        assert isinstance(read.found, Known)
        assert read.found.estimate == pytest.approx(431_649.28 * 9.07e-3 / 4)
        assert write.holds is False

    def test_ids_are_unique(self) -> None:
        assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)

    def test_numbers_stand_against_words(self) -> None:
        data = copy.deepcopy(catalogue.paper())
        data["words"] = {
            "order": [
                {
                    "quantity": "saved_percent",
                    "workloads": ["read"],
                    "tools": ["rw-tracer"],
                    "tiers": [["bpftrace"], ["libbpf"]],
                }
            ],
            "across": [],
        }
        claim = _claim(Order(SAVED, ("read",), RW, (("bpftrace",), ("libbpf",))))
        assert judge(claim, paper_evidence(data)).verdict is Verdict.REFUTED


@functools.cache
def _perturbed() -> tuple[PaperEvidence, ...]:
    """The paper with all numbers of a table, one of them, or one rank, far off."""
    return tuple(paper_evidence(data) for data in _perturbations(catalogue.paper()))


def _perturbations(paper: dict[str, Any]) -> Iterator[dict[str, Any]]:
    tables = ["vanilla.read", "vanilla.write", "fio"]
    tables += [f"{w}.saved_percent.{tool}" for w in ("read", "write") for tool in RW_TOOLS]
    tables += [f"{w}.factor_over_vanilla.{tool}" for w in ("read", "write", "mixed") for tool in Tool]
    for path, factor in itertools.product(tables, (0.001, 1000.0)):
        keys = path.split(".")
        for changed in _off(functools.reduce(dict.__getitem__, keys, paper), factor):
            data = copy.deepcopy(paper)
            functools.reduce(dict.__getitem__, keys[:-1], data)[keys[-1]] = changed
            yield data
    for kind, ranks in (("order", "tiers"), ("across", "places")):
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
        judgement = _judged(_run(), Within(RUNTIME, ("read",), RW, ("libbpf",), 1.05, 1.15, relative=True))
        assert judgement.verdict is Verdict.REPRODUCED
        found = judgement.statements[0].found
        assert isinstance(found, Known)
        assert found.n == 3
        # 1.1, 1.111 and 1.089: the logarithms 0.09531, 0.10526, 0.08526 have the mean 0.09528 and the SD 0.01000;
        # Student's t is 4.3027 with 2 degrees of freedom, so 0.09528 +- 4.3027 * 0.01 / root of 3 = +- 0.02484.
        assert found.estimate == pytest.approx(1.09996, abs=1e-5)
        assert (found.interval.low, found.interval.high) == pytest.approx((1.07298, 1.12763), abs=1e-4)

    def test_setups_are_compared_with_each_other_within_blocks(self) -> None:
        assert _judged(_run(), Order(RUNTIME, ("read",), RW, (("bcc",), ("libbpf",)))).verdict is Verdict.REPRODUCED
        assert _judged(_run(), Order(RUNTIME, ("read",), RW, (("libbpf",), ("bcc",)))).verdict is Verdict.REFUTED

    def test_an_interval_across_the_limit_is_inconclusive(self) -> None:
        judgement = _judged(_run(), Within(RUNTIME, ("read",), RW, ("libbpf",), low=1.1, relative=True))
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert judgement.deciding == judgement.statements

    def test_shares_are_compared_by_their_difference_and_stay_shares(self) -> None:
        records = [_tracer("libbpf", block, saved=saved) for block, saved in enumerate((1000, 999, 1000))]
        level = evidence_of(records).level(SAVED, Cell("read", Tool.RW_TRACER, "libbpf"))
        assert isinstance(level, Known)
        assert level.interval.high == 100.0
        nothing = [_tracer("bcc", block, saved=0) for block in range(3)]
        order = Order(SAVED, ("read",), RW, (("libbpf",), ("bcc",)))
        assert _judged([*records, *nothing], order).verdict is Verdict.REPRODUCED

    def test_places_share_no_block_and_are_compared_as_independent_samples(self) -> None:
        def blocks(workload: Workload, seconds: tuple[float, ...], first: int) -> list[Record]:
            return [
                make_record(make_trial(block=first + number, workload=workload), fio=make_fio(runtime_s=runtime_s))
                for number, runtime_s in enumerate(seconds)
            ]

        records = [*blocks(READ, (10.0, 11.0, 12.0), 0), *blocks(WRITE, (40.0, 42.0, 44.0), 3)]
        slower = More(RUNTIME, ("vanilla",), ("write", None), ("read", None))
        assert _judged(records, slower).verdict is Verdict.REPRODUCED
        faster = More(RUNTIME, ("vanilla",), ("read", None), ("write", None))
        assert _judged(records, faster).verdict is Verdict.REFUTED

    def test_enough_cells_are_enough(self) -> None:
        most = Within(SAVED, ("read",), RW, ("libbpf", "bcc"), low=90, enough=1)
        assert _judged(_run(), most).verdict is Verdict.REPRODUCED
        assert _judged(_run(), Every((most,))).verdict is Verdict.REPRODUCED
        assert _judged(_run(), dataclasses.replace(most, enough=2)).verdict is Verdict.REFUTED

    def test_one_false_statement_refutes_whatever_else_is_missing(self) -> None:
        order = Order(SAVED, ("read", "mixed"), RW, (("bcc",), ("libbpf",)))
        assert _judged(_run(), order).verdict is Verdict.REFUTED

    def test_one_of_many_comparisons_must_be_farther_off_to_refute(self) -> None:
        # Just outside the 95 % interval: enough for a claim of one statement, not for one among many.
        limit = Within(RUNTIME, ("read",), RW, ("libbpf",), high=1.07, relative=True)
        assert _judged(_run(), limit).verdict is Verdict.REFUTED
        many = Every((limit, *[Within(SAVED, ("read",), RW, ("libbpf",), low=0)] * 9))
        assert _judged(_run(), many).verdict is Verdict.INCONCLUSIVE


class TestNotTestable:
    def _missing(self, records: Sequence[Record], predicate: Predicate, **claim: bool) -> str:
        judgement = _judged(records, predicate, **claim)
        assert judgement.verdict is Verdict.NOT_TESTABLE
        assert judgement.deciding == ()
        return "; ".join(judgement.missing)

    def test_no_energy_counters(self) -> None:
        predicate = Within(POWER, ("read",), RW, ("libbpf",), relative=True)
        assert self._missing(_run(), predicate) == "RAPL counters"
        domain = EnergyDomain("package-0", joules=100, mean_w=10, idle_w=5)
        counted = [dataclasses.replace(r, energy=Energy("powercap", 10.0, (domain,))) for r in _run()]
        assert _judged(counted, predicate).verdict is Verdict.REPRODUCED

    def test_no_kprobes(self) -> None:
        predicate = Within(RUNTIME, ("read",), RW, ("libbpf",), relative=True)
        records = [_tracer("libbpf", n, config=make_config(attach=Attach.TRACEPOINT)) for n in range(3)]
        records += [make_record(make_trial(block=block)) for block in range(3)]
        assert self._missing(records, predicate, needs_kprobes=True) == "kprobes"
        assert _judged(records, predicate).verdict is Verdict.REPRODUCED
        assert any("tracepoint" in remark for remark in evidence_of(records).remarks)

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
        predicate = Within(RUNTIME, ("read",), RW, ("bcc",), relative=True)
        assert self._missing(records, predicate) == "trials of vanilla rw-tracer"

    def test_an_emulated_machine_is_no_evidence_not_even_its_counts(self) -> None:
        environment = Environment("6.12", "boot", Accelerator.TCG)
        records = [dataclasses.replace(record, environment=environment) for record in _run()]
        for predicate in (
            Within(CPU, ("read",), RW, ("bcc",), relative=True),
            Within(SAVED, ("read",), RW, ("bcc",), 39, 41),
        ):
            assert self._missing(records, predicate) == "a CPU that is not emulated"
        assert any("correctness only" in remark for remark in evidence_of(records).remarks)
        assert {judgement.verdict for judgement in judge_all(evidence_of(records))} == {Verdict.NOT_TESTABLE}

    def test_nothing_at_all(self) -> None:
        assert {judgement.verdict for judgement in judge_all(evidence_of([]))} == {Verdict.NOT_TESTABLE}


class TestWhatIsJudgedOfARun:
    def test_other_configurations_are_left_aside(self) -> None:
        large = make_config(ringbuf_bytes=64 * MIB)
        others = [_tracer("bcc", block, saved=1000, config=large) for block in range(3)]
        evidence = evidence_of([*_run(), *others])
        level = evidence.level(SAVED, Cell("read", Tool.RW_TRACER, "bcc"))
        assert isinstance(level, Known)
        assert level.estimate == pytest.approx(40.1)
        assert level.n == 3
        assert any("3 trials in other configurations" in remark for remark in evidence.remarks)

    def test_a_limited_rate_is_not_the_papers(self) -> None:
        slow = dataclasses.replace(READ, rate_iops=1000)
        others = [_tracer("bcc", block, saved=1000, workload=slow) for block in range(3)]
        evidence = evidence_of([*others, *_run()])
        assert len(evidence.trials[Cell("read", Tool.RW_TRACER, "bcc")]) == 3
        assert any("3 trials in other configurations" in remark for remark in evidence.remarks)
        assert not evidence_of(others).trials

    def test_kprobes_before_tracepoints(self) -> None:
        hooked = make_config(attach=Attach.TRACEPOINT)
        others = [_tracer("bcc", block, saved=1000, config=hooked) for block in range(3)]
        evidence = evidence_of([*others, *_run()])
        assert evidence.kprobes
        level = evidence.level(SAVED, Cell("read", Tool.RW_TRACER, "bcc"))
        assert isinstance(level, Known)
        assert level.estimate == pytest.approx(40.1)

    def test_the_largest_workload_is_taken(self) -> None:
        small = dataclasses.replace(READ, bytes_per_process=MIB)
        others = [_tracer("bcc", block + 3, saved=1000, workload=small) for block in range(3)]
        evidence = evidence_of([*_run(), *others])
        assert len(evidence.trials[Cell("read", Tool.RW_TRACER, "bcc")]) == 3
        assert not any("% of the paper's data" in remark for remark in evidence.remarks)
        only_small = evidence_of(others)
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


class TestReport:
    def _shown(self, records: Sequence[Record]) -> str:
        out = io.StringIO()
        evidence = evidence_of(records)
        report.render(judge_all(evidence), evidence, INFO, Console(file=out, width=160))
        return " ".join(out.getvalue().split())

    def test_counts_come_first_and_every_verdict_has_its_evidence(self) -> None:
        text = self._shown(_run())
        assert text.startswith(f"{len(CLAIMS)} claims judged by run 20260102-030405 (quick): ")
        assert "takes mixed runs" in text
        assert "read rw-tracer bcc saved 40.1 % [39.85, 40.35], n 3; wanted 37.45 to 57.45 %" in text

    def test_what_is_false_but_not_false_enough_for_so_many_comparisons_has_its_evidence(self) -> None:
        judged = judge_all(evidence_of(_run()))
        refuted = [judgement for judgement in judged if judgement.verdict is Verdict.REFUTED]
        assert refuted
        for judgement in refuted:
            doubted = dataclasses.replace(judgement, verdict=Verdict.INCONCLUSIVE)
            assert set(judgement.deciding) <= set(doubted.deciding)
            assert report.evidence_lines(doubted)

    def test_what_the_paper_contradicts_itself_is_said(self) -> None:
        evidence = paper_evidence(catalogue.paper())
        text = report.to_markdown(judge_all(evidence), evidence, None)
        assert "The paper contradicts itself here: aya-sync falls from 3.64 to 3.09 times vanilla's" in text
        assert text.count("\n| ") == len(CLAIMS) + len(("header", "rule"))

    def test_json_has_every_comparison(self) -> None:
        evidence = evidence_of(_run())
        document = json.loads(report.to_json(judge_all(evidence), evidence, INFO))
        assert sum(document["counts"].values()) == len(CLAIMS) == len(document["claims"])
        (found,) = (claim for claim in document["claims"] if claim["id"] == "read-rw-saved-order")
        statement = found["statements"][0]
        assert statement["subject"] == "read rw-tracer libbpf saved - aya-sync"
        assert statement["wanted"] == {"low": 0.0, "high": None}
        assert statement["missing"] == "trials of aya-sync rw-tracer"
        assert document["run"]["run_id"] == "20260102-030405"


def test_all_setups_of_the_paper_are_ours() -> None:
    assert set(SETUPS) <= set(catalogue.SETUPS)


def test_the_documents_list_is_complete() -> None:
    text = (Path(__file__).parents[2] / "docs" / "claims.md").read_text()
    listed = [line.split("`")[1] for line in text.splitlines() if re.match(r"\| `[a-z0-9-]+` \| [34]", line)]
    assert listed == [claim.id for claim in CLAIMS]
