# SPDX-License-Identifier: Apache-2.0
"""What a run knows of the paper's claims, what it lacks to, and which of its trials are judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from builders import MIB, READ, make_config, make_failure, make_fio, make_record, make_trial
from judged import CLAIMS, RW, claim_of, judged, some_run, tracer

from bpfbench import catalogue
from bpfbench.analysis.questions.claims.claim import Predicate, Ranking, Within
from bpfbench.analysis.questions.claims.judge import ClaimVerdict, judge, judge_all
from bpfbench.analysis.questions.claims.run import PAPER_BYTES_PER_PROCESS, PAPER_CONFIG, PAPER_PROCESSES, run_witness
from bpfbench.analysis.questions.claims.witness import CPU, POWER, RUNTIME, RUNTIME_SPREAD, SAVED, Contestant, Known
from bpfbench.model import Accelerator, Attach, Energy, EnergyDomain, Environment, Record, Tool, Variant


class TestNotTestable:
    def _missing(self, records: Sequence[Record], predicate: Predicate) -> str:
        judgement = judged(records, predicate)
        assert judgement.verdict is ClaimVerdict.NOT_TESTABLE
        assert judgement.deciding == ()
        return "; ".join(judgement.missing)

    def test_no_energy_counters(self) -> None:
        predicate = Within(POWER, ("read",), RW, ("libbpf",))
        assert self._missing(some_run(), predicate) == "RAPL counters"

        def measured(record: Record) -> Energy:
            watts = 10.0 + record.trial.block if record.trial.is_vanilla else 11.0
            return Energy("powercap", 10.0, (EnergyDomain("package-0", joules=100, mean_w=watts, idle_w=5),))

        counted = [dataclasses.replace(record, energy=measured(record)) for record in some_run()]
        assert judged(counted, predicate).verdict is ClaimVerdict.REPRODUCED

    def test_no_kprobes(self) -> None:
        tracepoint = make_config(attach=Attach.TRACEPOINT)
        seconds = {"libbpf": (11.0, 11.1, 10.9), "bcc": (12.0, 12.1, 12.2)}
        records = [make_record(make_trial(block=block)) for block in range(3)]
        records += [tracer(s, n, seconds[s][n], config=tracepoint) for s in seconds for n in range(3)]
        # What a setup costs is the hook's cost, too; which of two costs more, with the same hook, is theirs.
        assert self._missing(records, Within(RUNTIME, ("read",), RW, ("libbpf",))) == "kprobes"
        order = Ranking(RUNTIME, ("read",), RW, (("bcc",), ("libbpf",)))
        assert judged(records, order).verdict is ClaimVerdict.REPRODUCED
        assert judged(records, Within(SAVED, ("read",), RW, ("libbpf",), low=50)).verdict is ClaimVerdict.REPRODUCED
        assert any("tracepoint" in remark for remark in run_witness(records).remarks)

    def test_syscount_has_the_papers_hook_everywhere(self) -> None:
        config = make_config(attach=Attach.TRACEPOINT, ringbuf_bytes=None, poll_ms=None)
        counting: dict[str, Any] = {"tool": Tool.SYSCOUNT}
        records = [make_record(make_trial(block=block, **counting)) for block in range(3)]
        records += [tracer("libbpf", block, 11 + block / 10, config=config, **counting) for block in range(3)]
        predicate = Within(RUNTIME, ("read",), (Tool.SYSCOUNT,), ("libbpf",), low=1)
        assert judged(records, predicate).verdict is ClaimVerdict.REPRODUCED

    def test_repetitions_without_any_scatter_say_nothing_of_their_error(self) -> None:
        records = [make_record(make_trial(block=block)) for block in range(3)]
        records += [tracer("libbpf", block, 11.0) for block in range(3)]
        predicate = Within(RUNTIME, ("read",), RW, ("libbpf",))
        assert self._missing(records, predicate) == "repetitions that scatter"
        scatters = [*records, *[tracer("bcc", block, 11.0) for block in range(3)]]
        spread = Ranking(RUNTIME_SPREAD, ("read",), RW, (("libbpf",), ("bcc",)))
        assert self._missing(scatters, spread) == "repetitions that scatter"

    def test_what_differs_by_rounding_alone_does_not_scatter(self) -> None:
        # As of a CPU that is busy all the time: the same, give or take what floating point makes of it.
        alike = [
            (make_record(make_trial(block=n), fio=make_fio(runtime_s=10 * (1 + 1e-15 * n))), tracer("libbpf", n, 10.0))
            for n in range(3)
        ]
        predicate = Within(RUNTIME, ("read",), RW, ("libbpf",))
        assert self._missing([record for pair in alike for record in pair], predicate) == "repetitions that scatter"

    def test_no_block_has_both(self) -> None:
        records = [make_record(make_trial(block=n)) for n in range(3)] + [tracer("bcc", n) for n in range(3, 6)]
        assert self._missing(records, Within(RUNTIME, ("read",), RW, ("bcc",))) == "2 repetitions (0 here)"

    def test_no_runs_of_the_workload_or_tool(self) -> None:
        assert self._missing(some_run(), Within(SAVED, ("mixed",), RW, ("bcc",))) == "mixed runs"
        all_events = (Tool.RW_TRACER_ALL,)
        assert self._missing(some_run(), Within(SAVED, ("read",), all_events, ("bcc",))) == "read runs of rw-tracer-all"

    def test_setup_absent_or_failed(self) -> None:
        assert self._missing(some_run(), Within(SAVED, ("read",), RW, ("ebpf-go",))) == "trials of ebpf-go rw-tracer"
        failed = [*some_run(), make_failure(make_trial("ebpf-go"), "died")]
        expected = "trials of ebpf-go rw-tracer that ended ok"
        assert self._missing(failed, Within(SAVED, ("read",), RW, ("ebpf-go",))) == expected

    def test_too_few_repetitions(self) -> None:
        assert self._missing(some_run(1), Within(SAVED, ("read",), RW, ("bcc",))) == "2 repetitions (1 here)"

    def test_no_vanilla(self) -> None:
        records = [record for record in some_run() if not record.trial.is_vanilla]
        predicate = Within(RUNTIME, ("read",), RW, ("bcc",))
        assert self._missing(records, predicate) == "trials of vanilla rw-tracer"

    def test_an_emulated_machine_is_no_evidence_not_even_its_counts(self) -> None:
        environment = Environment("6.12", "boot", Accelerator.TCG)
        records = [dataclasses.replace(record, environment=environment) for record in some_run()]
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
        others = [tracer("bcc", block, saved=1000, config=large) for block in range(3)]
        witness = run_witness([*some_run(), *others])
        level = witness.level(SAVED, Contestant("read", Tool.RW_TRACER, "bcc"))
        assert isinstance(level, Known)
        assert level.estimate == pytest.approx(40.1)
        assert level.n == 3
        assert any("3 trials in other configurations" in remark for remark in witness.remarks)

    def test_a_limited_rate_is_not_the_papers(self) -> None:
        slow = dataclasses.replace(READ, rate_iops=1000)
        others = [tracer("bcc", block, saved=1000, workload=slow) for block in range(3)]
        witness = run_witness([*others, *some_run()])
        assert len(witness.trials[Contestant("read", Tool.RW_TRACER, "bcc")]) == 3
        assert any("3 trials in other configurations" in remark for remark in witness.remarks)
        assert not run_witness(others).trials

    def test_another_number_of_processes_is_not_the_papers(self) -> None:
        alone = dataclasses.replace(READ, processes=1)
        others = [tracer("bcc", block, saved=1000, workload=alone) for block in range(3)]
        assert len(run_witness([*others, *some_run()]).trials[Contestant("read", Tool.RW_TRACER, "bcc")]) == 3
        witness = run_witness(others)
        assert not witness.trials
        (claim,) = (claim for claim in CLAIMS if claim.id == "read-rw-bcc-saved")
        assert judge(claim, witness).missing == ("read runs with 4 processes",)

    def test_everything_that_makes_a_trial_unlike_the_papers_is_named(self) -> None:
        config = make_config(ringbuf_bytes=4096, poll_ms=1, payload_bytes=1, variant=Variant.NO_OUTPUT)
        workload = dataclasses.replace(READ, processes=2, rate_iops=1000)
        others = [tracer("bcc", block, config=config, workload=workload) for block in range(3)]
        (missing,) = judge(claim_of(Within(SAVED, ("read",), RW, ("bcc",))), run_witness(others)).missing
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
        others = [tracer("bcc", block, saved=1000, config=hooked) for block in range(3)]
        witness = run_witness([*others, *some_run()])
        assert witness.kprobes
        level = witness.level(SAVED, Contestant("read", Tool.RW_TRACER, "bcc"))
        assert isinstance(level, Known)
        assert level.estimate == pytest.approx(40.1)

    def test_the_largest_workload_is_taken(self) -> None:
        small = dataclasses.replace(READ, bytes_per_process=MIB)
        others = [tracer("bcc", block + 3, saved=1000, workload=small) for block in range(3)]
        witness = run_witness([*some_run(), *others])
        assert len(witness.trials[Contestant("read", Tool.RW_TRACER, "bcc")]) == 3
        assert not any("% of the paper's data" in remark for remark in witness.remarks)
        only_small = run_witness(others)
        assert any("read moves 0.00305 % of the paper's data" in remark for remark in only_small.remarks)
