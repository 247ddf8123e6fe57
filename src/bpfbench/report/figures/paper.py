# SPDX-License-Identifier: Apache-2.0
"""What the paper prints of single setups, to be drawn beside a run's own numbers. Nothing is read off its plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bpfbench.analysis import metrics
from bpfbench.analysis.metrics import Metric
from bpfbench.model import Tool

_OVERHEADS = {"runtime": metrics.RUNTIME, "throughput": metrics.THROUGHPUT, "latency": metrics.LATENCY}
_FACTORS = {"cpu": metrics.CPU, "memory": metrics.MEMORY, "energy": metrics.POWER}


@dataclass(frozen=True, slots=True)
class Printed:
    """The paper's numbers, as data/paper.toml has them."""

    data: Mapping[str, Any]

    def saved_percent(self, workload: str, tool: Tool) -> dict[str, float]:
        """Saved events in per cent of those intercepted, by setup."""
        found = self._of(workload, "saved_percent").get(tool, {})
        return {setup: float(value) for setup, value in found.items() if isinstance(value, int | float)}

    def ratios(self, workload: str, tool: Tool, metric: Metric) -> dict[str, float]:
        """Ratios to vanilla, by setup: only of those that are printed with their name."""
        found: dict[str, float] = {}
        if metric is metrics.RUNTIME:
            runtimes = self._of(workload, "overhead_percent").get(tool, {})
            found |= {setup: 1 + value / 100 for setup, value in runtimes.items()}
        for key, value in self._of(workload, "overhead").get(tool, {}).items():
            setup, _, rest = key.partition("_")
            if _OVERHEADS.get(rest.removesuffix("_percent")) is metric and rest.endswith("_percent"):
                found[setup] = 1 + value / 100
        for name, factors in self._of(workload, "factor_over_vanilla").items():
            if _FACTORS.get(name) is metric:
                found |= _extremes(factors, tool)
        return found

    def _of(self, workload: str, table: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.data.get(workload, {}).get(table, {})
        return found


def _extremes(factors: Mapping[str, Any], tool: Tool) -> dict[str, float]:
    """The largest and smallest factor of a tool, where the paper says whose they are."""
    found: dict[str, float] = {}
    for end in ("min", "max"):
        value = factors.get(f"{tool}_{end}")
        names = factors.get(f"{tool}_{end}_setups", [factors.get(f"{tool}_{end}_setup")])
        if value is not None:
            found |= {name: float(value) for name in names if name is not None}
    return found
