# SPDX-License-Identifier: Apache-2.0
"""Runs that the paper's claims are judged by in tests, and what comes of one claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builders import MIB, make_fio, make_record, make_summary, make_trial

from bpfbench.analysis.questions.claims.claim import Claim, Predicate, claims, weigh
from bpfbench.analysis.questions.claims.judge import Findings, Judgement, by_run, judge
from bpfbench.analysis.questions.claims.run import run_witness
from bpfbench.analysis.questions.claims.witness import Known, Missing, Witness
from bpfbench.analysis.results import of
from bpfbench.declare import study
from bpfbench.model import Record, Tool, Workload
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


def claim_of(*holds: Predicate) -> Claim:
    """Claim this."""
    return Claim("id", "3.1", "what is claimed", holds)


def judged(records: Sequence[Record], *holds: Predicate) -> Judgement:
    """Judge by a run what is claimed."""
    return judge(claim_of(*holds), run_witness(records))


def tracer(setup: str, block: int, runtime_s: float = 11.0, saved: int = 900, **trial: Any) -> Record:
    made = make_trial(setup, block, **trial)
    summary = make_summary(made, saved=saved, lost={"ring_full": 1000 - saved})
    return make_record(made, fio=make_fio(runtime_s=runtime_s), summary=summary)


def some_run(blocks: int = 3) -> list[Record]:
    """Blocks that drift by half and more; in each, libbpf is 10 % and bcc 20 % slower than vanilla, within 1 %."""
    records = []
    for block in range(blocks):
        drift = 10.0 * (1 + 0.6 * block)
        noise = (1.0, 1.01, 0.99)[block % 3]
        records += [
            make_record(make_trial(block=block), fio=make_fio(runtime_s=drift)),
            tracer("libbpf", block, 1.1 * drift * noise, saved=960 + block),
            tracer("bcc", block, 1.2 * drift / noise, saved=400 + block),
        ]
    return records


def two(differences: Sequence[float]) -> list[Record]:
    """Blocks in which bcc takes longer, and saves more, than libbpf by these parts, each with a vanilla."""
    return [
        record
        for block, difference in enumerate(differences)
        for record in (
            make_record(make_trial(block=block), fio=make_fio(runtime_s=10.0 + block)),
            tracer("libbpf", block, 11.0 + block, saved=500),
            tracer("bcc", block, (11.0 + block) * (1 + difference), saved=round(500 * (1 + difference))),
        )
    ]


def found_by(claim: Claim, witness: Witness) -> list[Known | Missing]:
    return [statement.found for statement in weigh(claim.holds, witness)[1]]


def found_in(records: Sequence[Record]) -> Findings:
    """Judge all claims by a run."""
    return by_run(of(records, make_run_info()))
