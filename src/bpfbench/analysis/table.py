# SPDX-License-Identifier: Apache-2.0
"""Records -> the tidy table: one row per trial and metric, in long form, as a polars frame, Parquet or CSV.

Every trial has a row for every metric of metrics.py; `value` is null where the trial does not have it. Trials that
failed or are invalid keep their rows, told by `status`, and so do those of emulated machines: whoever says something of
setups takes `measured(table)`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bpfbench.analysis.metrics import METRICS
from bpfbench.model import VANILLA, Environment, Record, Status, Variant
from bpfbench.store import Run


@dataclass(frozen=True, slots=True)
class Cell:
    """What trials share that repeat each other: one setup in one configuration under one workload.

    The fields are columns of the table. The host is not among them: pairs are made within a host, and pooled.
    """

    kernel: str | None
    emulated: bool
    workload: str
    processes: int
    bytes_per_process: int
    rate_iops: int | None
    tool: str
    setup: str
    attach: str | None = None
    format: str | None = None
    ringbuf_bytes: int | None = None
    poll_ms: int | None = None
    payload_bytes: int | None = None
    variant: str | None = None

    @property
    def is_vanilla(self) -> bool:
        """True for the cell that the others are compared with."""
        return self.setup == VANILLA

    @property
    def vanilla(self) -> Cell:
        """The cell it is compared with."""
        unconfigured: dict[str, Any] = dict.fromkeys(CONFIGURED)
        return dataclasses.replace(self, setup=VANILLA, **unconfigured)

    @property
    def is_full(self) -> bool:
        """True for vanilla and for tracers that do all of their work."""
        return self.variant in (None, Variant.FULL)


CELL = tuple(field.name for field in dataclasses.fields(Cell))
"""The columns of a cell."""

GROUP = CELL[: CELL.index("setup")]
"""The columns that cells share which are compared with the same vanilla."""

CONFIGURED = CELL[CELL.index("setup") + 1 :]
"""The columns of what a tracer is configured with."""

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
    "workload": pl.String(),
    "processes": pl.Int64(),
    "bytes_per_process": pl.Int64(),
    "rate_iops": pl.Int64(),
    "attach": pl.String(),
    "format": pl.String(),
    "ringbuf_bytes": pl.Int64(),
    "poll_ms": pl.Int64(),
    "payload_bytes": pl.Int64(),
    "variant": pl.String(),
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


def load(run: Run) -> pl.DataFrame:
    """Read a run directory into a tidy table.

    Raises:
        StoreError: a record cannot be read.
    """
    return tidy(run.info.id, run.records())


def tidy(run_id: str, records: Iterable[Record]) -> pl.DataFrame:
    """Return the tidy table of records, in their order, each trial's metrics in the order of METRICS."""
    records = tuple(records)
    seen = {(record.trial.host, record.trial.kernel): record.environment for record in records if record.environment}
    trials = pl.DataFrame([_trial(run_id, record, seen) for record in records], schema=SCHEMA, orient="row")
    values = pl.DataFrame(
        {metric.key: pl.Series([metric.read(record) for record in records], dtype=pl.Float64) for metric in METRICS}
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


def counted(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that may be averaged: of trials that ended ok, with a finite value."""
    return table.filter(pl.col("status") == Status.OK.value, pl.col("value").is_finite())


def measured(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that say something of setups: counted ones, of machines whose CPU is not emulated.

    An emulated machine proves correctness only (model.EMULATED_BECAUSE). Shares, rankings, comparisons, capacity and
    recommendations are all made from here. For what is made of records, `Record.emulated` is the same.
    """
    return counted(table).filter(~pl.col("emulated"))


def write(table: pl.DataFrame, path: Path) -> None:
    """Write a table as Parquet or CSV, by the suffix of `path`.

    Raises:
        ValueError: the suffix is neither .parquet nor .csv.
        OSError: the file cannot be written.
    """
    match path.suffix:
        case ".parquet":
            table.write_parquet(path)
        case ".csv":
            table.write_csv(path)
        case suffix:
            raise ValueError(f"{path}: {suffix!r} is not one of: .parquet, .csv")


def _trial(
    run_id: str, record: Record, seen: Mapping[tuple[str, str | None], Environment]
) -> Sequence[str | int | float | bool | None]:
    trial, config, before = record.trial, record.trial.config, record.predecessor
    # A trial that failed before it could look gets what others saw on its host and kernel.
    environment = record.environment or seen.get((trial.host, trial.kernel))
    return (
        run_id,
        trial.id,
        trial.index,
        trial.block,
        trial.repetition,
        record.session,
        trial.host,
        environment.kernel if environment else trial.kernel,
        environment.emulated if environment else False,
        trial.setup,
        trial.tool.value,
        trial.workload.name,
        trial.workload.processes,
        trial.workload.bytes_per_process,
        trial.workload.rate_iops,
        config.attach.value if config else None,
        config.format.value if config else None,
        config.ringbuf_bytes if config else None,
        config.poll_ms if config else None,
        config.payload_bytes if config else None,
        config.variant.value if config else None,
        record.place,
        before.trial if before else None,
        before.setup if before else None,
        before.workload.name if before else None,
        before.warm_up if before else None,
        record.drop_gap_s,
        record.status.value,
        record.reason,
    )
