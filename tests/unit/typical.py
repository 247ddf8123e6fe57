# SPDX-License-Identifier: Apache-2.0
"""A run as they come: three blocks of vanilla and two tracers, and what is known of it."""

from __future__ import annotations

from builders import (
    make_fio,
    make_load,
    make_record,
    make_summary,
    make_trial,
    make_usage,
)

from bpfbench.model import Record
from bpfbench.report.about import About

INFO = About(
    study="quick",
    run_id="20260102-030405",
    trials_done=9,
    trials_planned=9,
    host="testhost",
    kernel="6.12.48",
    image="trixie-3f2a91c",
    seed=7,
    started_at="2026-01-02T03:04:05Z",
)


def typical_run() -> list[Record]:
    """Three blocks of vanilla, libbpf (+10 %, saves 97 %) and bcc (cannot be told from vanilla, saves 40 %)."""
    records = []
    for block, (seconds, more) in enumerate(((10.0, 0.5), (11.0, -0.4), (12.0, 0.05))):
        libbpf, bcc = make_trial("libbpf", block), make_trial("bcc", block)
        records += [
            make_record(make_trial(block=block), fio=make_fio(runtime_s=seconds)),
            make_record(
                libbpf,
                fio=make_fio(runtime_s=1.1 * seconds, throughput_mib_per_s=360),
                summary=make_summary(libbpf, saved=970, lost={"ring_full": 30}),
                load=make_load(cpu_percent=36),
            ),
            make_record(
                bcc,
                fio=make_fio(runtime_s=seconds + more),
                summary=make_summary(bcc, saved=400, lost={"ring_full": 590, "map_full": 10}),
                usage=make_usage(pss_peak_bytes=None),
            ),
        ]
    return records


def few_records(blocks: int = 3) -> list[Record]:
    """Blocks of vanilla and libbpf, which takes 10 % more and saves 97 %."""
    records = []
    for block in range(blocks):
        trial = make_trial("libbpf", block)
        records += [
            make_record(make_trial(block=block), fio=make_fio(runtime_s=10.0 + block)),
            make_record(
                trial,
                fio=make_fio(runtime_s=1.1 * (10.0 + block) + 0.01 * block),
                summary=make_summary(trial, saved=970, lost={"ring_full": 30}),
            ),
        ]
    return records
