# SPDX-License-Identifier: Apache-2.0
"""Claims as data: what an entry asserts, what is none, and what can be said without any run."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from builders import MIB
from judged import CLAIMS, RW, found_by, found_in, some_run

from bpfbench import catalogue
from bpfbench.analysis.questions.claims.claim import More, Ranking, Within, read, remarks, weigh
from bpfbench.analysis.questions.claims.judge import by_paper
from bpfbench.analysis.questions.claims.paper import paper_witness
from bpfbench.analysis.questions.claims.witness import CPU, RUNTIME, SAVED, Missing, Task, at_least


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


class TestRemarksOnThePaper:
    def test_its_latencies_are_no_milliseconds(self) -> None:
        # 1686.13 MiB/s are 431,649 I/Os of 4 KiB a second, by 4 processes with 9.07 us each.
        paper = catalogue.paper()
        busy = {
            workload: paper["vanilla"][workload]["latency_printed_ms"]["mean"]
            * paper["vanilla"][workload]["throughput_mib_s"]["mean"]
            * (MIB / paper["fio"]["block_bytes"] / paper["fio"]["processes"] / 1e6)
            for workload in ("read", "write")
        }
        assert busy["read"] == pytest.approx(431_649.28 * 9.07e-6 / 4)
        (unit,) = (remark for remark in remarks(paper) if remark.id == "latency-unit")
        assert f"{1000 * busy['read']:.0f} and {1000 * busy['write']:.0f} s of every second" in unit.remark
        assert f"{busy['read']:.2f} and {busy['write']:.2f} s." in unit.remark
        printed = (paper["vanilla"][workload]["latency_printed_ms"]["mean"] for workload in ("read", "write"))
        assert "is {} ms when reading, {} ms when writing".format(*printed) in unit.statement

    def test_its_number_of_events_is_fios(self) -> None:
        fio = catalogue.paper()["fio"]
        (events,) = (remark for remark in remarks(catalogue.paper()) if remark.id == "events-fixed")
        count = fio["processes"] * fio["size_per_process_gib"] * 2**30 // fio["block_bytes"]
        assert f"4 x 32 GiB / 4096 bytes are {count:,}" in events.remark
        assert f"{fio['events_printed'] / 1e6:.0f}M events" in events.statement

    def test_no_run_changes_them_and_no_verdict_counts_them(self) -> None:
        found = found_in(some_run())
        assert found.on_the_paper == by_paper().on_the_paper == remarks(catalogue.paper())
        assert not {remark.id for remark in found.on_the_paper} & {claim.id for claim in CLAIMS}
        assert sum(found.counts.values()) == len(CLAIMS)


def test_at_least_counts_the_unknown_both_ways() -> None:
    assert at_least(2, [True, True, False]) is True
    assert at_least(2, [True, None, False]) is None
    assert at_least(2, [True, False, False]) is False


def test_the_documents_list_is_complete() -> None:
    text = (Path(__file__).parents[5] / "docs" / "claims.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if re.match(r"\| `[a-z0-9-]+` \| [34]", line)]
    elsewhere = dataclasses.replace(paper_witness(catalogue.paper()), kprobes=False)
    kprobes = {claim.id: Missing("kprobes") in found_by(claim, elsewhere) for claim in CLAIMS}
    expected = [(f"| `{claim.id}`", claim.section, claim.text, kprobes[claim.id]) for claim in CLAIMS]
    assert [(row[0], row[1], row[2], row[3].startswith("yes")) for row in rows] == expected
