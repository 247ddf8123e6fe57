# SPDX-License-Identifier: Apache-2.0
"""What hardly varies is said setup by setup, with what it varies by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from builders import make_fio, make_record, make_summary, make_trial, make_usage

from bpfbench.analysis.results import of
from bpfbench.model import Record, Tool, TracerUsage
from bpfbench.report.document import Table
from bpfbench.report.documents.steady import tables

USAGE = make_usage(user_s=0.5, system_s=0.5)


def trials(
    setup: str, saved: int, rate: int | None = None, *, tool: Tool = Tool.RW_TRACER, usage: TracerUsage = USAGE
) -> list[Record]:
    found = []
    for block in range(3):
        trial = make_trial(setup, block, tool=tool)
        trial = replace(trial, workload=replace(trial.workload, rate_iops=rate))
        summary = make_summary(trial, saved=saved, lost={"ring_full": 1000 - saved})
        found.append(make_record(trial, fio=make_fio(runtime_s=2.0 + block / 100), summary=summary, usage=usage))
    return found


def shown(records: Sequence[Record]) -> list[dict[str, dict[str, str]]]:
    def row(table: Table, fields: Sequence[str]) -> dict[str, str]:
        return dict(zip(table.header[1:], fields, strict=True))

    return [
        {own[0].text: row(table, [cell.number for cell in own[1:]]) for own in table.rows}
        for table in tables(of(records))
    ]


def test_each_setup_has_what_it_takes_and_what_it_keeps_up_with() -> None:
    (found,) = shown([*trials("libbpf", 400), *trials("libbpf", 1000, 100), *trials("bcc", 990, 100)])
    libbpf = found["libbpf"]
    assert libbpf["start, s"] == "0.25"
    assert libbpf["size, MiB"] == "3.0"
    assert libbpf["drained, k events/s"].startswith("0.2 ± ")
    assert libbpf["CPU, ns an event"].startswith("2500000")
    assert [libbpf[name] for name in libbpf if name.startswith("saved")] == ["100.00 ± 0.00", "40.00 ± 0.00"]
    assert found["bcc"]["drained, k events/s"] == "-"


def test_who_saves_all_may_drain_more() -> None:
    (found,) = shown(trials("libbpf", 1000))
    assert found["libbpf"]["drained, k events/s"].startswith("≥ 0.5")


def test_what_was_not_recorded_has_no_column_and_what_counts_drains_nothing() -> None:
    (found,) = shown(trials("libbpf", 1000, tool=Tool.SYSCOUNT, usage=replace(USAGE, code_bytes=None)))
    assert list(found["libbpf"]) == ["start, s", "PSS, MiB"]
