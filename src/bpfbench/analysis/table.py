# SPDX-License-Identifier: Apache-2.0
"""The tidy table: results as others' programs read them, one row per trial and metric, in long form.

Every trial has a row for every metric of metrics.py; `value` is null where the trial does not have it. Trials that
failed or are invalid keep their rows, told by `status`, and so do those of emulated machines. Nothing is concluded from
it in here: bpfbench's own statements are made from results.py.
"""

from __future__ import annotations

from typing import get_args, get_type_hints

import polars as pl

from bpfbench.analysis.metrics import at
from bpfbench.analysis.results import CONFIG, WORKLOAD, Results
from bpfbench.model import TracerConfig, Workload


def _of_cell(names: tuple[str, ...], cls: type) -> dict[str, tuple[pl.DataType, str]]:
    """Return the columns of a part of the cell: whole numbers, else text."""
    hints = get_type_hints(cls)
    whole = {name: int in (hints.get(name), *get_args(hints.get(name))) for name in names}
    return {name: (pl.Int64() if is_whole else pl.String(), "") for name, is_whole in whole.items()}


COLUMNS: dict[str, tuple[pl.DataType, str]] = {
    "run": (pl.String(), ""),
    "trial": (pl.String(), "trial.id"),
    "index": (pl.Int64(), "trial.index"),
    "block": (pl.Int64(), "trial.block"),
    "repetition": (pl.Int64(), "trial.repetition"),
    "session": (pl.String(), "session"),
    "host": (pl.String(), "trial.host"),
    "kernel": (pl.String(), ""),
    "emulated": (pl.Boolean(), ""),
    "setup": (pl.String(), ""),
    "tool": (pl.String(), ""),
    **_of_cell(WORKLOAD, Workload),
    **_of_cell(CONFIG, TracerConfig),
    "place": (pl.Int64(), "place"),
    "predecessor": (pl.String(), "predecessor.trial"),
    "predecessor_setup": (pl.String(), "predecessor.setup"),
    "predecessor_workload": (pl.String(), "predecessor.workload.name"),
    "predecessor_warm_up": (pl.Boolean(), "predecessor.warm_up"),
    "drop_gap_s": (pl.Float64(), "drop_gap_s"),
    "status": (pl.String(), "status"),
    "reason": (pl.String(), "reason"),
}
"""The columns that tell a trial, each with where its record has it; empty for those of the run, and of the cell.

What vanilla has no value for (attach to variant) is null, as is an unknown kernel; `rate_iops` is null where fio's rate
is not limited, `burst_ios` 1 where it is steady. Place, predecessor and the gap between drop and fio are null in the
records of formats 1 to 3; the predecessor also where nothing ran before.
"""

SCHEMA = {name: dtype for name, (dtype, _) in COLUMNS.items()}
READERS = {name: at(path) for name, (_, path) in COLUMNS.items() if path}

MEASURED: dict[str, pl.DataType] = {"metric": pl.String(), "value": pl.Float64(), "unit": pl.String()}
"""The columns of one number; metric and unit are those of metrics.py."""


def wide(results: Results) -> pl.DataFrame:
    """Return a run with a row per trial, in the order of the plan, and a column per metric."""
    run = results.info.id if results.info else None
    columns = {cell: cell.columns for cell in results.cells}
    told = (
        {"run": run, **columns[cell], **{name: read(record) for name, read in READERS.items()}}
        for cell, record in results.trials
    )
    trials = pl.DataFrame(told, schema=SCHEMA)
    values = pl.DataFrame(
        {
            metric.key: pl.Series([metric.read(record) for record in results.records], dtype=pl.Float64)
            for metric in results.metrics
        }
    )
    return trials.hstack(values)


def tidy(results: Results) -> pl.DataFrame:
    """Return the tidy table of a run: its trials in the order of the plan, each trial's metrics in theirs."""
    found = results.metrics
    units = pl.DataFrame({"metric": [metric.key for metric in found], "unit": [metric.unit for metric in found]})
    long = (
        wide(results)
        .with_row_index("row")
        .unpivot(index=["row", *SCHEMA], variable_name="metric", value_name="value")
        .sort("row", maintain_order=True)
        .join(units, on="metric", how="left", maintain_order="left")
    )
    return long.select([*SCHEMA, *MEASURED])
