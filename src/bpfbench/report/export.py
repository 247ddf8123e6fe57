# SPDX-License-Identifier: Apache-2.0
"""A summary for programs: JSON and CSV, with every metric in the unit its name says, unrounded.

Data:

    metrics      key -> what the metric means
    groups[]     workload {name, processes, bytes_per_process, rate_iops}, tool, kernel, emulated, rows[]; of an
                 emulated machine the metrics that prove correctness only (counts of events), all others null
    rows[]       setup, config {attach, format, ringbuf_bytes, poll_ms, payload_bytes} or null for vanilla,
                 n, n_failed, n_invalid, n_paired,
                 metrics: key -> {mean, sd, n, versus_vanilla} or null,
                 lost_percent_by_cause: cause -> {mean, sd, n} or null where the library cannot count it,
                 uncounted: cause -> why
    versus_vanilla   {difference_percent: {mean, sd, n} or null, verdict, difference: {mean, sd, n} or null}; null for
                     vanilla and what it does not have
    difference       of memory_growth_bytes, in place of the other: value - vanilla's, in its unit
    difference_percent   over n pairs: mean is 100 * (geometric mean of the ratios - 1), sd 100 * (exp(SD of their
                     logarithms) - 1)
    order, noise   what the run says of its own trials: order.py describes both
    excluded[]   trial, workload, tool, setup, config, block, repetition, status, reason

CSV: one row per workload, tool, setup and configuration; `KEY_mean`, `KEY_sd`, `KEY_n` and, where vanilla has the
metric, `KEY_difference_percent_mean`, `..._sd`, `..._n` (`KEY_difference_mean` and so on of what is compared by its
difference) and `KEY_verdict`; losses as `lost_CAUSE_percent_mean`,
`..._sd`, `..._n`.

Absent is null in JSON and an empty field in CSV; never 0.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping
from typing import Any

from bpfbench.analysis.metrics import LOSS_CAUSES, METRICS, Metric
from bpfbench.analysis.results import FACTORS, Description
from bpfbench.analysis.summary import Comparison, Excluded, Group, Row, Summary
from bpfbench.report.wording import Said

SCHEMA = 2
"""Version of the data. History: 1 (first); 2 (in the envelope of all answers)."""
NOTHING_SAID = Said()


def data(summary: Summary, said: Said = NOTHING_SAID) -> dict[str, Any]:
    """Return a summary for programs."""
    return {
        "metrics": {metric.key: metric.meaning for metric in METRICS},
        "groups": [_group(group) for group in summary.groups],
        "excluded": [_excluded(trial) for trial in summary.excluded],
        **said.document,
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "workload": dataclasses.asdict(group.workload),
        "tool": group.tool.value,
        "kernel": group.kernel,
        "emulated": group.emulated,
        "rows": [_row(row) for row in group.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "setup": row.setup,
        "config": _asdict(row.config),
        "n": row.n,
        "n_failed": row.n_failed,
        "n_invalid": row.n_invalid,
        "n_paired": row.n_paired,
        "metrics": {metric.key: _metric(row, metric) for metric in METRICS},
        "lost_percent_by_cause": {cause: _brief(estimate) for cause, estimate in row.lost_percent_by_cause.items()},
        "uncounted": dict(row.uncounted),
    }


def _metric(row: Row, metric: Metric) -> dict[str, Any] | None:
    estimate = row.estimates.get(metric)
    if estimate is None:
        return None
    return {**estimate.brief, "versus_vanilla": _compared(row.comparisons.get(metric))}


def _compared(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return {
        "difference_percent": _brief(comparison.difference_percent),
        "verdict": comparison.verdict,
        "difference": _brief(comparison.difference),
    }


def _brief(found: Description | None) -> dict[str, Any] | None:
    return None if found is None else found.brief


def _excluded(excluded: Excluded) -> dict[str, Any]:
    trial = excluded.trial
    return {
        "trial": trial.id,
        "workload": dataclasses.asdict(trial.workload),
        "tool": trial.tool.value,
        "setup": trial.setup,
        "config": _asdict(trial.config),
        "block": trial.block,
        "repetition": trial.repetition,
        "status": excluded.status.value,
        "reason": excluded.reason,
    }


def _asdict(value: Any) -> dict[str, Any] | None:
    return None if value is None else dataclasses.asdict(value)


def to_csv(summary: Summary) -> str:
    """Write a summary as one CSV table with a header; RFC 4180 but for the line ends, which are line feeds."""
    others = {cause for group in summary.groups for row in group.rows for cause in row.lost_percent_by_cause} - set(
        LOSS_CAUSES
    )
    causes = (*LOSS_CAUSES, *sorted(others))
    rows = [_flat_row(group, row, causes) for group in summary.groups for row in group.rows]
    out = io.StringIO()
    writer = csv.DictWriter(out, _header(causes), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _header(causes: tuple[str, ...]) -> list[str]:
    """The columns; they depend on no result, but for causes of loss that the contract does not know."""
    header = [
        "workload",
        "processes",
        "bytes_per_process",
        "rate_iops",
        "tool",
        "kernel",
        "emulated",
        "setup",
        *FACTORS,
    ]
    header += ["n", "n_failed", "n_invalid", "n_paired"]
    for metric in METRICS:
        header += _flat(metric.key, None)
        if metric.versus_vanilla:
            header += [*_flat(_difference(metric), None), f"{metric.key}_verdict"]
    for cause in causes:
        header += _flat(f"lost_{cause}_percent", None)
    return header


def _difference(metric: Metric) -> str:
    return f"{metric.key}_difference{'' if metric.by_difference else '_percent'}"


def _flat_row(group: Group, row: Row, causes: tuple[str, ...]) -> dict[str, Any]:
    cells: dict[str, Any] = {
        "workload": group.workload.name,
        "processes": group.workload.processes,
        "bytes_per_process": group.workload.bytes_per_process,
        "rate_iops": group.workload.rate_iops,
        "tool": group.tool.value,
        "kernel": group.kernel,
        "emulated": group.emulated,
        "setup": row.setup,
        **(_asdict(row.config) or {}),
        "n": row.n,
        "n_failed": row.n_failed,
        "n_invalid": row.n_invalid,
        "n_paired": row.n_paired,
    }
    for metric in METRICS:
        cells |= _flat(metric.key, row.estimates.get(metric))
        if comparison := row.comparisons.get(metric):
            cells |= _flat(_difference(metric), comparison.difference or comparison.difference_percent)
            cells[f"{metric.key}_verdict"] = comparison.verdict.value
    for cause in causes:
        cells |= _flat(f"lost_{cause}_percent", row.lost_percent_by_cause.get(cause))
    return cells


def _flat(name: str, estimate: Description | None) -> Mapping[str, float | None]:
    if estimate is None:
        return {f"{name}_mean": None, f"{name}_sd": None, f"{name}_n": None}
    return {f"{name}_mean": estimate.mean, f"{name}_sd": estimate.sd, f"{name}_n": estimate.n}
