# SPDX-License-Identifier: Apache-2.0
"""The tidy table: results as others' programs read them, one row per trial and metric, in long form.

Every trial has a row for every metric of metrics.py; `value` is null where the trial does not have it. Trials that
failed or are invalid keep their rows, told by `status`, and so do those of emulated machines. Nothing is concluded from
it in here: bpfbench's own statements are made from results.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import polars as pl

from bpfbench.analysis.metrics import METRICS
from bpfbench.analysis.results import CONFIG, WORKLOAD, Results
from bpfbench.model import Record, TracerConfig, Workload


def _columns(names: tuple[str, ...], cls: type) -> dict[str, pl.DataType]:
    """Return the columns of what a trial is told by: whole numbers, else text."""
    hints = get_type_hints(cls)
    return {name: pl.Int64() if int in (hints.get(name), *get_args(hints.get(name))) else pl.String() for name in names}


SCHEMA: dict[str, pl.DataType] = {
    "run": pl.String(),
    "trial": pl.String(),
    "index": pl.Int64(),
    "block": pl.Int64(),
    "repetition": pl.Int64(),
    "session": pl.String(),
    "host": pl.String(),
    "kernel": pl.String(),
    "emulated": pl.Boolean(),
    "setup": pl.String(),
    "tool": pl.String(),
    **_columns(WORKLOAD, Workload),
    **_columns(CONFIG, TracerConfig),
    "place": pl.Int64(),
    "predecessor": pl.String(),
    "predecessor_setup": pl.String(),
    "predecessor_workload": pl.String(),
    "predecessor_warm_up": pl.Boolean(),
    "drop_gap_s": pl.Float64(),
    "status": pl.String(),
    "reason": pl.String(),
}
"""The columns that tell a trial. What vanilla has no value for (attach to variant) is null, as is an unknown kernel;
`rate_iops` is null where fio's rate is not limited. Place, predecessor and the gap between drop and fio are null in
records of formats 1 to 3; the predecessor also where nothing ran before."""

MEASURED: dict[str, pl.DataType] = {"metric": pl.String(), "value": pl.Float64(), "unit": pl.String()}
"""The columns of one number; metric and unit are those of metrics.py."""


def tidy(results: Results) -> pl.DataFrame:
    """Return the tidy table of a run: its trials in the order of the plan, each trial's metrics in that of METRICS."""
    run = results.info.id if results.info else None
    columns = {cell: cell.columns for cell in results.cells}
    trials = pl.DataFrame([_trial(run, columns[cell], record) for cell, record in results.trials], schema=SCHEMA)
    values = pl.DataFrame(
        {
            metric.key: pl.Series([metric.read(record) for record in results.records], dtype=pl.Float64)
            for metric in METRICS
        }
    )
    units = pl.DataFrame({"metric": [metric.key for metric in METRICS], "unit": [metric.unit for metric in METRICS]})
    long = (
        trials.hstack(values)
        .with_row_index("row")
        .unpivot(index=["row", *SCHEMA], variable_name="metric", value_name="value")
        .sort("row", maintain_order=True)
        .join(units, on="metric", how="left", maintain_order="left")
    )
    return long.select([*SCHEMA, *MEASURED])


def _trial(run: str | None, cell: Mapping[str, Any], record: Record) -> dict[str, Any]:
    trial, before = record.trial, record.predecessor
    return {
        "run": run,
        "trial": trial.id,
        "index": trial.index,
        "block": trial.block,
        "repetition": trial.repetition,
        "session": record.session,
        "host": trial.host,
        **cell,
        "place": record.place,
        "predecessor": before.trial if before else None,
        "predecessor_setup": before.setup if before else None,
        "predecessor_workload": before.workload.name if before else None,
        "predecessor_warm_up": before.warm_up if before else None,
        "drop_gap_s": record.drop_gap_s,
        "status": record.status.value,
        "reason": record.reason,
    }
