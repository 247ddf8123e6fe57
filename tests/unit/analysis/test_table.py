# SPDX-License-Identifier: Apache-2.0
"""The tidy table: every trial and metric once, whatever the trial came to; and runs of every format there has been."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl
import pytest
from builders import READ, make_config, make_failure, make_record, make_summary, make_trial

from bpfbench import store
from bpfbench.analysis import metrics, table
from bpfbench.analysis.results import of
from bpfbench.analysis.statistics import analyse
from bpfbench.analysis.summary import summarise
from bpfbench.analysis.table import tidy
from bpfbench.model import (
    Accelerator,
    Environment,
    Predecessor,
    Status,
)

RUNS = sorted((Path(__file__).parents[2] / "data" / "runs").glob("format-*"))


def value(frame: pl.DataFrame, trial: str, metric: str) -> float | None:
    row = frame.filter(pl.col("trial") == trial, pl.col("metric") == metric)
    assert len(row) == 1
    found = row["value"][0]
    return None if found is None else float(found)


def test_one_row_per_trial_and_metric_in_the_order_of_the_records() -> None:
    records = [make_record(make_trial(setup)) for setup in ("libbpf", "vanilla", "bcc")]
    frame = tidy(of(records))
    assert frame["trial"].to_list() == [r.trial.id for r in records for _ in metrics.METRICS]
    assert frame["metric"].to_list() == [metric.key for metric in metrics.METRICS] * 3
    assert set(frame["run"]) == {None}


def test_a_row_has_the_factors_of_its_trial_and_vanilla_has_none() -> None:
    libbpf, vanilla = make_trial("libbpf", config=make_config(ringbuf_bytes=4096)), make_trial()
    frame = tidy(of([make_record(libbpf), make_record(vanilla)]))
    first, last = frame.row(0, named=True), frame.row(-1, named=True)
    assert (first["attach"], first["format"], first["ringbuf_bytes"], first["variant"]) == (
        "kprobe",
        "binary",
        4096,
        "full",
    )
    assert (first["workload"], first["processes"], first["host"]) == ("read", 4, "local")
    assert [last[name] for name in ("attach", "format", "ringbuf_bytes", "poll_ms", "variant")] == [None] * 5


def test_a_row_says_what_ran_before_and_nothing_where_the_record_does_not() -> None:
    vanilla, libbpf = make_trial(), make_trial("libbpf")
    before = Predecessor("0001-warm-up", "vanilla", vanilla.tool, dataclasses.replace(READ, name="write"), warm_up=True)
    told = dataclasses.replace(make_record(libbpf), place=2, predecessor=before, drop_gap_s=0.05)
    frame = tidy(of([told, make_record(vanilla)]))
    names = ("place", "predecessor", "predecessor_setup", "predecessor_workload", "predecessor_warm_up", "drop_gap_s")
    assert [frame.row(0, named=True)[name] for name in names] == [2, "0001-warm-up", "vanilla", "write", True, 0.05]
    assert [frame.row(-1, named=True)[name] for name in names] == [None] * 6


def test_values_are_those_of_the_metrics_and_absent_ones_are_null_not_zero() -> None:
    trial = make_trial("libbpf")
    record = make_record(trial, summary=make_summary(trial, saved=900, lost={"ring_full": 100}))
    frame = tidy(of([record, make_record(make_trial())]))
    assert value(frame, trial.id, "saved_percent") == 90.0
    assert value(frame, trial.id, "energy_joules") is None
    assert value(frame, make_trial().id, "saved_percent") is None


def test_what_failed_keeps_its_rows_and_is_never_counted() -> None:
    ok, failed = make_trial("libbpf"), make_trial("libbpf", block=1)
    records = [make_record(ok), make_failure(failed, "fio died"), make_failure(failed, "?", Status.INVALID)]
    frame = tidy(of(records))
    assert frame.filter(pl.col("trial") == failed.id)["reason"].unique().sort().to_list() == ["?", "fio died"]
    assert {trial for sample in of(records).measured for trial in sample.trials} == {ok.id}


def test_a_trial_that_failed_early_is_put_where_the_others_of_its_host_and_kernel_were() -> None:
    seen = dataclasses.replace(
        make_record(make_trial("libbpf")), environment=Environment("6.12.1", "boot", Accelerator.TCG)
    )
    frame = tidy(of([seen, make_failure(make_trial("bcc"), "no READY")]))
    assert frame["kernel"].unique().to_list() == ["6.12.1"]
    assert frame["emulated"].unique().to_list() == [True]


def test_a_written_table_reads_back(tmp_path: Path) -> None:
    frame = tidy(of(make_record(make_trial(setup)) for setup in ("libbpf", "vanilla")))
    frame.write_parquet(tmp_path / "table.parquet")
    frame.write_csv(tmp_path / "table.csv")
    assert pl.read_parquet(tmp_path / "table.parquet").equals(frame)
    assert pl.read_csv(tmp_path / "table.csv", schema=frame.schema).equals(frame)


def test_a_table_of_nothing_has_all_columns() -> None:
    assert tidy(of([])).columns == [*table.SCHEMA, *table.MEASURED]


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_a_run_of_each_format_gives_table_statistics_and_summary(path: Path) -> None:
    run = store.Run(path)
    assert f"format-{run.info.format}" == path.name
    found = of(run.records(), run.info)
    assert tidy(found)["trial"].n_unique() == len(run.plan()) == run.info.trials_planned
    rows = [row for group in summarise(found).groups for row in group.rows if not row.cell.is_vanilla]
    assert {row.cell.setup for row in rows} == set(run.info.study.factors.setups)
    ratios = analyse(found).find("runtime_s", setup="libbpf", tool="rw-tracer")
    pairs = {statistic.paired and statistic.paired.n for statistic in ratios}
    assert pairs == {"format-4": {2, 3}, "format-5": {4}}.get(
        path.name, {2}
    )  # of the three pairs of one cell, one does not count
